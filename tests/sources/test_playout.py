"""When pieces of a recording are due; time is a number here."""

import itertools

import pytest

from fastrelay.demo import demo_clip
from fastrelay.sources.playout import AHEAD, LATE, STEP, Pace, Pieces


def pcr_packet(seconds: float, pid: int = 0x100) -> bytes:
    base = round(seconds * 90_000) % (1 << 33)
    head = bytes([0x47, pid >> 8, pid & 0xFF, 0x30, 7, 0x10]) + (base << 15).to_bytes(6)
    return head.ljust(188, b"x")


def plain_packet(pid: int = 0x100) -> bytes:
    return bytes([0x47, pid >> 8, pid & 0xFF, 0x10]).ljust(188, b"x")


def test_the_first_pieces_go_out_at_once_the_rest_by_the_clock() -> None:
    pace = Pace()
    assert pace.delay(0.0, 100.0) == 0
    assert pace.delay(AHEAD, 100.0) == 0
    assert pace.delay(AHEAD + 0.1, 100.0) == pytest.approx(0.1)
    assert pace.delay(AHEAD + 5, 103.0) == pytest.approx(2.0)


def test_a_slow_reader_catches_up_a_paused_one_does_not() -> None:
    pace = Pace()
    pace.delay(0.0, 0.0)
    assert pace.delay(10.0, 10.0 - AHEAD + LATE / 2) == 0
    assert pace.delay(11.0, 11.0 - AHEAD) == pytest.approx(0)
    assert pace.delay(12.0, 60.0) == 0
    assert pace.delay(12.0 + AHEAD + 1, 60.0) == pytest.approx(1.0)


def test_pieces_are_cut_at_clocks_and_lose_nothing() -> None:
    clip = demo_clip()
    pieces = list(Pieces().cut(clip))
    assert b"".join(packets for _, packets in pieces) == clip
    dues = [due for due, _ in pieces]
    assert dues[0] == 0
    assert all(STEP <= b - a <= 2 * STEP for a, b in itertools.pairwise(dues))
    assert dues[-1] == pytest.approx(8.0, abs=0.1)


def test_time_goes_on_over_blocks_wraps_and_jumps() -> None:
    pieces = Pieces()
    wrap = (1 << 33) / 90_000
    dues = []
    for seconds in (wrap - 0.2, wrap - 0.1, wrap + 0.1, 500.0, 500.1, 400.0, 400.2):
        dues += [due for due, _ in pieces.cut(plain_packet() + pcr_packet(seconds))]
    assert dues == sorted(dues)
    assert pieces.seconds == pytest.approx(0.1 + 0.2 + 0.1 + 0.2)


def test_one_program_is_the_clock_until_it_is_gone() -> None:
    pieces = Pieces()
    both = b"".join(pcr_packet(10 + n / 10) + pcr_packet(900 + n, pid=0x200) for n in range(3))
    list(pieces.cut(both))
    assert pieces.seconds == pytest.approx(0.2)
    list(pieces.cut(b"".join(pcr_packet(15 + n / 10, pid=0x200) for n in range(4))))
    assert pieces.seconds == pytest.approx(0.5)


def test_without_any_clock() -> None:
    pieces = Pieces()
    assert list(pieces.cut(plain_packet())) == [(0.0, plain_packet())]
    assert not pieces.has_clock
