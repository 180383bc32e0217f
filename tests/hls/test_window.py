from fastrelay.hls.m3u8_model import Media, Segment
from fastrelay.hls.window import BEHIND_IN_ROW, Window


def listed(first: int, count: int, ended: bool = False, name: str = "s{}.ts") -> Media:
    segments = (Segment(f"http://h/{name.format(n)}?load={first}", 6.0, n) for n in range(first, first + count))
    return Media(tuple(segments), 6.0, media_sequence=first, ended=ended)


def numbers(window: Window, media: Media) -> list[int]:
    return [segment.sequence for segment in window.update(media).segments]


def test_a_live_list_is_joined_three_segments_from_its_end() -> None:
    assert numbers(Window(), listed(10, 6)) == [13, 14, 15]
    assert numbers(Window(), listed(10, 2)) == [10, 11]


def test_a_finished_list_plays_from_its_first_segment() -> None:
    assert numbers(Window(), listed(10, 6, ended=True)) == [10, 11, 12, 13, 14, 15]


def test_each_segment_is_new_once() -> None:
    window = Window()
    assert numbers(window, listed(10, 6)) == [13, 14, 15]
    assert numbers(window, listed(10, 6)) == []
    assert numbers(window, listed(11, 6)) == [16]
    assert numbers(window, listed(13, 6)) == [17, 18]
    assert numbers(window, listed(13, 7, ended=True)) == [19]


def test_an_empty_list_is_no_news_and_the_first_segments_are_joined_later() -> None:
    window = Window()
    assert numbers(window, listed(0, 0)) == []
    assert numbers(window, listed(0, 1)) == [0]
    assert numbers(window, listed(0, 0)) == []
    assert numbers(window, listed(0, 2)) == [1]


def test_a_reader_left_behind_joins_again_near_the_end_and_knows_what_it_lost() -> None:
    window = Window()
    window.update(listed(0, 6))
    news = window.update(listed(20, 6))
    assert [segment.sequence for segment in news.segments] == [23, 24, 25]
    assert news.lost == 23 - 6
    assert not news.restarted


def test_a_server_that_begins_again_is_a_new_list() -> None:
    window = Window()
    window.update(listed(100, 6))
    news = window.update(listed(0, 4, name="new{}.ts"))
    assert news.restarted
    assert [segment.sequence for segment in news.segments] == [1, 2, 3]
    assert numbers(window, listed(1, 4, name="new{}.ts")) == [4]


def test_a_lagging_edge_is_waited_for_and_nothing_is_played_twice() -> None:
    window = Window()
    window.update(listed(10, 6))
    assert numbers(window, listed(9, 6)) == []
    assert numbers(window, listed(11, 6)) == [16]
    news = window.update(listed(10, 6))
    assert not news.segments and not news.restarted


def test_an_edge_that_lags_may_answer_several_times_in_a_row_until_it_has_caught_up() -> None:
    window = Window()
    window.update(listed(10, 6))
    for first in (7, 8, 8):
        news = window.update(listed(first, 6))
        assert not news.segments and not news.restarted
    assert numbers(window, listed(9, 8)) == [16]
    for first in (7, 8, 8):
        assert numbers(window, listed(first, 6)) == [], "who has caught up may fall behind again"


def test_a_list_that_stays_behind_is_a_restart_even_under_known_names() -> None:
    window = Window()
    window.update(listed(10, 6))
    for _ in range(BEHIND_IN_ROW):
        assert numbers(window, listed(8, 6)) == []
    news = window.update(listed(8, 6))
    assert news.restarted
    assert [segment.sequence for segment in news.segments] == [11, 12, 13]
