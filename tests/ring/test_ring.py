import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.ring.ring import Ring


def pattern(start: int, end: int) -> bytes:
    """Bytes that say their own position."""
    return bytes((position * 2654435761 >> 7) & 0xFF for position in range(start, end))


def append(ring: Ring, count: int) -> None:
    ring.append(pattern(ring.head, ring.head + count))


def test_positions_name_the_same_bytes_after_wrapping() -> None:
    ring = Ring(100)
    for _ in range(7):
        append(ring, 37)
    assert (ring.tail, ring.head) == (259 - 100, 259)
    assert ring.copy(ring.tail, ring.head) == pattern(159, 259)


def test_an_append_exactly_to_the_end_of_memory() -> None:
    ring = Ring(64)
    append(ring, 64)
    assert len(ring.views(0, 64)) == 1
    append(ring, 64)
    assert ring.copy(64, 128) == pattern(64, 128)


def test_views_are_no_copies() -> None:
    ring = Ring(64)
    append(ring, 64)
    (view,) = ring.views(0, 10)
    ring.append(b"\xaa" * 64)
    assert bytes(view) == b"\xaa" * 10


def test_more_than_the_ring_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Ring(10).append(bytes(11))


@pytest.mark.parametrize(("start", "end"), [(19, 30), (30, 61), (40, 30)])
def test_positions_outside_the_ring_are_refused(start: int, end: int) -> None:
    ring = Ring(40)
    append(ring, 40)
    append(ring, 20)
    with pytest.raises(IndexError):
        ring.views(start, end)


def test_after_growing_the_tail_admits_nothing_that_was_never_copied() -> None:
    ring = Ring(100)
    for _ in range(3):
        append(ring, 90)
    ring.grow(1000)
    assert ring.tail == 170
    append(ring, 50)
    assert ring.tail == 170
    assert ring.copy(170, 320) == pattern(170, 320)


def test_a_ring_never_shrinks() -> None:
    with pytest.raises(ValueError, match="cannot grow"):
        Ring(100).grow(100)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.one_of(st.integers(0, 50), st.integers(-40, -1)), max_size=60))
def test_whatever_is_appended_and_grown_every_valid_position_keeps_its_bytes(steps: list[int]) -> None:
    """Non-negative steps append so many bytes, negative ones grow by so many; the tail never goes back."""
    ring = Ring(50)
    tail = 0
    for step in steps:
        if step < 0:
            ring.grow(ring.size - step)
        else:
            append(ring, step)
        assert ring.tail >= tail
        assert ring.head - ring.tail <= ring.size
        tail = ring.tail
        assert ring.copy(ring.tail, ring.head) == pattern(ring.tail, ring.head)
