"""When a reader is too slow; time and bytes are numbers here."""

from fastrelay.server.limits import Limits
from fastrelay.server.reading import Reading

LIMITS = Limits(max_connections=1, write_timeout=30.0)
SIZE = 2_000_000


def cut_at(rate: float, *, first: int = 0) -> float | None:
    """When a reader of SIZE bytes is cut, who takes `first` at once and then `rate` bytes per second."""
    reading = Reading()
    reading.wrote(SIZE)
    for second in range(1000):
        owed = SIZE - first - int(rate * second)
        if owed <= 0:
            return None
        if reading.is_too_slow(owed, 500.0 + second, LIMITS):
            return float(second)
    return None


def test_who_takes_nothing_is_cut_after_the_timeout() -> None:
    assert cut_at(0) == 30
    assert cut_at(0, first=1_000_000) == 30


def test_who_takes_next_to_nothing_is_cut_as_soon() -> None:
    assert cut_at(1 / 29) == 30
    assert cut_at(10_000) == 30


def test_who_reads_slower_than_it_plays_is_not() -> None:
    assert cut_at(17_000) is None


def test_who_stops_later_is_cut_later() -> None:
    reading = Reading()
    reading.wrote(SIZE)
    for second in range(20):
        assert not reading.is_too_slow(SIZE - 50_000 * second, second, LIMITS)
    # Ten seconds are 500,000 bytes, which is enough for the time they are counted in: it began at 10 s and ends at 40.
    assert not reading.is_too_slow(SIZE - 950_000, 39.9, LIMITS)
    assert reading.is_too_slow(SIZE - 950_000, 40.0, LIMITS)


def test_more_answers_are_no_progress() -> None:
    """Small requests now and then must not pay for a large answer that nobody reads."""
    reading = Reading()
    reading.wrote(SIZE)
    owed = SIZE
    for second in range(30):
        assert not reading.is_too_slow(owed, second, LIMITS)
        reading.wrote(300)
        owed += 300
    assert reading.is_too_slow(owed, 30, LIMITS)


def test_time_begins_anew_when_all_was_read() -> None:
    reading = Reading()
    reading.wrote(SIZE)
    assert not reading.is_too_slow(SIZE, 0, LIMITS)
    reading.done()
    assert not reading.owing
    reading.wrote(SIZE)
    assert not reading.is_too_slow(SIZE, 100, LIMITS)
    assert reading.is_too_slow(SIZE, 130, LIMITS)
