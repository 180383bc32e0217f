from fastrelay.mpegts.marks import Mark
from fastrelay.ring.index import Index


def mark(position: int, seconds: float) -> Mark:
    return Mark(position=position, seconds=seconds, pts=None, dts=None, tables=b"")


def filled(seconds: int, rate: int = 1000, interval: int = 2) -> Index:
    index = Index()
    for second in range(seconds + 1):
        if second % interval == 0:
            index.add(mark(second * rate, float(second)))
        index.advance(second * rate, float(second))
    return index


def test_lag_in_seconds_follows_media_time() -> None:
    index = filled(10)
    assert index.seconds_behind(10_000) == 0
    assert index.seconds_behind(4_000) == 6
    assert index.seconds_behind(4_500) == 6


def test_marks_older_than_the_tail_are_forgotten() -> None:
    index = filled(10)
    index.forget(4_001)
    assert [mark.position for mark in index.marks] == [6_000, 8_000, 10_000]


def test_the_tail_keeps_its_time_when_old_samples_go() -> None:
    index = filled(500)
    index.forget(450_500)
    assert index.seconds_behind(450_500) == 50


def test_the_longest_key_frame_interval_is_remembered() -> None:
    index = filled(4)
    index.add(mark(11_000, 11.0))
    index.add(mark(12_000, 12.0))
    assert index.longest_interval == 7
