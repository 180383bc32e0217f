from fastrelay.ring.index import Index
from fastrelay.ring.retention import STEP, Retention
from fastrelay.ring.ring import Ring

RATE = 500_000
"""Bytes per second: 4 Mbit/s."""


def test_a_join_always_finds_a_mark_in_the_newer_half() -> None:
    index = Index()
    index.longest_interval = 1
    assert Retention(8, 2, 64 * STEP).hold(index) == 8
    index.longest_interval = 10
    assert Retention(8, 2, 64 * STEP).hold(index) == 14


def fill(ring: Ring, index: Index, seconds: float, hold: float, limit: int, rate: int = RATE) -> None:
    """Append `seconds` of media in pieces of 50 ms, growing as the policy says."""
    piece = bytes(rate // 20)
    for _ in range(round(seconds * 20)):
        size = Retention(hold, 0, limit).size_for(ring, index, len(piece), None)
        if size > ring.size:
            ring.grow(size)
        ring.append(piece)
        index.advance(ring.head, ring.head / rate)
        index.forget(ring.tail)


def test_it_grows_until_it_holds_the_seconds_asked_for_and_no_further() -> None:
    ring, index = Ring(2 * STEP), Index()
    fill(ring, index, 60, hold=8, limit=64 * STEP)
    assert ring.size == 4 * STEP
    assert index.seconds_behind(ring.tail) >= 8


def test_a_slow_stream_stays_at_the_least() -> None:
    ring, index = Ring(2 * STEP), Index()
    fill(ring, index, 60, hold=8, limit=64 * STEP, rate=20_000)
    assert ring.size == 2 * STEP


def test_it_never_grows_beyond_the_limit() -> None:
    ring, index = Ring(2 * STEP), Index()
    fill(ring, index, 60, hold=8, limit=3 * STEP + 5)
    assert ring.size == 3 * STEP + 5


def test_a_stream_without_a_clock_keeps_its_ring() -> None:
    ring, index = Ring(2 * STEP), Index()
    for _ in range(100):
        assert Retention(8, 2, 64 * STEP).size_for(ring, index, 65536, None) == 2 * STEP
        ring.append(bytes(65536))
        index.advance(ring.head, 0.0)


def test_what_an_open_segment_needs_is_kept_although_it_is_old() -> None:
    ring, index = Ring(2 * STEP), Index()
    fill(ring, index, 60, hold=1, limit=64 * STEP)
    assert ring.size == 2 * STEP
    needed = ring.head - STEP
    for _ in range(64):
        size = Retention(1, 0, 64 * STEP).size_for(ring, index, 65536, needed)
        if size > ring.size:
            ring.grow(size)
        ring.append(bytes(65536))
        index.advance(ring.head, ring.head / RATE)
    assert ring.tail <= needed
    assert ring.size <= 6 * STEP


def test_while_a_ring_would_still_grow_a_lag_has_room_up_to_the_limit() -> None:
    ring, index = Ring(2 * STEP), Index()
    retention = Retention(8, 2, 64 * STEP)
    fill(ring, index, 4, hold=8, limit=64 * STEP)
    assert retention.room(ring, index) == 64 * STEP
    fill(ring, index, 30, hold=8, limit=64 * STEP)
    assert retention.room(ring, index) == ring.size == 4 * STEP


def test_a_ring_without_a_clock_has_no_more_room_than_it_has() -> None:
    assert Retention(8, 2, 64 * STEP).room(Ring(2 * STEP), Index()) == 2 * STEP


def test_what_comes_in_bursts_is_joined_and_kept_further_back() -> None:
    index = Index()
    index.longest_interval = 2
    index.burst = 6
    retention = Retention(8, 2, 64 * STEP)
    assert retention.behind(index) == 6
    assert retention.hold(index) == 14
