"""The upstream's borders: kept while they are random-access points, and judged anew after a switch."""

from fastrelay.hls.borders import Borders


def nothing(start: int, end: int) -> bool:
    return False


def a_picture(start: int, end: int) -> bool:
    return True


def with_borders(*positions: int) -> Borders:
    borders = Borders()
    for position in positions:
        borders.add(position)
    return borders


def test_a_border_with_tables_before_its_picture_is_kept() -> None:
    borders = with_borders(100, 200)
    assert not borders.kept
    assert borders.is_at(110, 0, nothing)
    assert borders.kept
    assert not borders.is_at(150, 110, nothing), "no border has come"
    assert borders.kept
    assert borders.is_at(200, 110, nothing)


def test_a_border_where_the_open_segment_begins_is_kept_but_ends_nothing() -> None:
    borders = with_borders(100)
    assert not borders.is_at(150, 100, a_picture)
    assert borders.kept


def test_one_border_within_pictures_makes_all_of_no_use_until_another_upstream_comes() -> None:
    borders = with_borders(100, 200, 300, 400)
    assert not borders.is_at(110, 0, a_picture)
    assert not borders.is_at(200, 110, nothing)
    assert not borders.kept
    borders.start_over(400)
    assert not borders.is_at(390, 200, nothing), "those before the switch are gone"
    assert borders.is_at(400, 390, nothing)
    assert borders.kept


def test_another_upstream_has_to_show_borders_of_its_own() -> None:
    borders = with_borders(100)
    assert borders.is_at(100, 0, nothing)
    borders.start_over(200)
    assert not borders.kept
