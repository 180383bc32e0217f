from fastrelay.mpegts.marks import Mark
from fastrelay.ring.cursor import Watermarks, first_point, join_point
from fastrelay.ring.index import Index
from fastrelay.ring.ring import Ring

RATE = 1000


def stream(seconds: float, marks: list[float], size: int = 10_000) -> tuple[Ring, Index]:
    """A ring at 1000 bytes a second whose random-access points lie at `marks`."""
    ring, index = Ring(size), Index()
    for at in marks:
        index.add(Mark(position=int(at * RATE), seconds=at, pts=None, dts=None, tables=b""))
    for _ in range(int(seconds * 10)):
        ring.append(bytes(RATE // 10))
        index.advance(ring.head, ring.head / RATE)
    index.forget(ring.tail)
    return ring, index


def join(seconds: float, marks: list[float], behind: float = 2.0) -> float | None:
    mark = join_point(*stream(seconds, marks), behind)
    return mark.seconds if mark else None


def test_newest_mark_at_least_so_far_behind() -> None:
    assert join(9.5, [5, 6, 7, 8, 9]) == 7


def test_exactly_so_far_behind_counts() -> None:
    assert join(9.0, [5, 6, 7, 8, 9]) == 7


def test_a_mark_in_the_older_half_gives_way_to_the_newest() -> None:
    assert join(20.0, [12, 19]) == 19


def test_a_stream_younger_than_the_distance_starts_at_the_newest() -> None:
    assert join(1.0, [0.0]) == 0.0


def test_the_only_mark_serves_although_it_is_old() -> None:
    assert join(20.0, [12]) == 12


def test_no_mark_in_the_ring_means_waiting() -> None:
    assert join(20.0, [3]) is None


def test_high_watermark_is_a_part_of_the_ring() -> None:
    marks = Watermarks(high=0.75, patience=5)
    assert not marks.is_over(750, 1000)
    assert marks.is_over(751, 1000)


def test_low_watermark_is_measured_from_where_the_viewer_joined() -> None:
    marks = Watermarks(high=0.75, patience=5)
    assert not marks.is_growing(lag=700, lag_at_join=450, ring_size=1000)
    assert marks.is_growing(lag=701, lag_at_join=450, ring_size=1000)


def test_nobody_starts_before_the_last_splice() -> None:
    ring, index = stream(9.5, [5, 6, 7, 8, 9])
    index.splice(8 * RATE - 376)
    mark = join_point(ring, index, 2.0)
    assert mark is not None
    assert mark.seconds == 9


def test_who_waited_for_the_stream_starts_at_its_beginning() -> None:
    ring, index = stream(4.0, [0, 1, 2, 3])
    mark = first_point(ring, index, room=64_000)
    assert mark is not None
    assert mark.seconds == 0
    late = first_point(ring, index, room=5_000)
    assert late is not None
    assert late.seconds == 2, "no further back than half of the room"


def test_who_waited_while_the_ring_has_one_old_mark_gets_that() -> None:
    ring, index = stream(9.0, [1])
    mark = first_point(ring, index, room=10_000)
    assert mark is not None
    assert mark.seconds == 1
