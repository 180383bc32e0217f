"""Continuity counters: the fast way must say what a plain count says, however the stream is cut."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.mpegts.continuity import Continuity
from tests.media import media
from tests.mpegts.build import packet


def count(data: bytes, *cuts: int, into: Continuity | None = None) -> Continuity:
    continuity = into or Continuity()
    edges = [0, *(cut * 188 for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        piece = data[start:end]
        continuity.check(piece, piece[1::188], piece[2::188], piece[3::188])
    return continuity


def plain(data: bytes) -> tuple[int, int]:
    """(errors, transport errors) by the words of the standard."""
    last: dict[int, int] = {}
    repeated: dict[int, bool] = {}
    errors = damaged = 0
    for at in range(0, len(data), 188):
        pid = (data[at + 1] & 0x1F) << 8 | data[at + 2]
        if data[at + 1] & 0x80:
            damaged += 1
            continue
        if pid == 0x1FFF:
            continue
        if data[at + 3] & 0x20 and data[at + 4] and data[at + 5] & 0x80:
            last.pop(pid, None)
        if not data[at + 3] & 0x10:
            continue
        counter = data[at + 3] & 0x0F
        if pid in last and counter == last[pid] and not repeated[pid]:
            repeated[pid] = True
            continue
        errors += pid in last and counter != (last[pid] + 1) % 16
        last[pid], repeated[pid] = counter, False
    return errors, damaged


def run(*counters: int, pid: int = 0x100) -> bytes:
    return b"".join(packet(pid, b"x", counter) for counter in counters)


@pytest.mark.parametrize(
    ("counters", "errors"),
    [
        (tuple(range(40)), 0),
        ((3, 4, 5, 7, 8), 1),
        ((3, 4, 4, 5), 0),
        ((3, 4, 4, 4, 5), 1),
        ((9, 9, 10, 10, 11), 0),
        ((5, 4, 3), 2),
        ((7,), 0),
    ],
)
def test_errors(counters: tuple[int, ...], errors: int) -> None:
    data = run(*counters)
    assert count(data).errors == errors
    assert count(data, *range(1, len(counters))).errors == errors


def test_packets_without_payload_do_not_count() -> None:
    assert count(run(1, 2) + packet(0x100, b"", 2, adaptation=b"\x00") + run(3)).errors == 0


def test_an_announced_jump_is_no_error() -> None:
    assert count(run(1, 2) + packet(0x100, b"x", 9, adaptation=b"\x80") + run(10)).errors == 0


@pytest.mark.parametrize("cuts", [(), (2,), (3,), (2, 3)])
def test_a_jump_announced_without_payload_is_no_error(cuts: tuple[int, ...]) -> None:
    assert count(run(1, 2) + packet(0x100, b"", 2, adaptation=b"\x80") + run(9, 10), *cuts).errors == 0


def test_null_packets_do_not_count() -> None:
    assert count(run(0, 0, 0, 5, 9, pid=0x1FFF)).errors == 0


def test_damaged_packets_are_counted_apart() -> None:
    damaged = bytearray(run(2))
    damaged[1] |= 0x80
    continuity = count(run(1) + bytes(damaged) + run(2))
    assert (continuity.errors, continuity.transport_errors) == (0, 1)


def test_nothing_is_expected_after_forget() -> None:
    continuity = count(run(1, 2))
    continuity.forget()
    assert count(run(9), into=continuity).errors == 0


def test_a_long_chunk() -> None:
    assert count(run(*range(3000))).errors == 0
    assert count(run(*range(3000), 5)).errors == 1


PIDS = [0x000, 0x100, 0x101, 0x1000, 0x1FFF, 0x200, 0x1234]


@settings(deadline=None, max_examples=150)
@given(
    pids=st.lists(st.sampled_from(PIDS), min_size=1, max_size=60),
    seed=st.integers(0, 1 << 30),
    cuts=st.sets(st.integers(0, 60), max_size=6),
)
def test_as_a_plain_count_and_however_cut(pids: list[int], seed: int, cuts: set[int]) -> None:
    draw = random.Random(seed)
    counters = dict.fromkeys(PIDS, 0)
    data = b""
    for pid in pids:
        counters[pid] += draw.choices([1, 0, 2], [20, 2, 1])[0]
        made = packet(
            pid, draw.choice([b"x", b"x", b"x", b""]), counters[pid], adaptation=draw.choice([b"\0", b"\0", b"\x80"])
        )
        data += made[:1] + bytes([made[1] | draw.choice([0, 0, 0, 0x20, 0x40, 0x80])]) + made[2:]
    continuity = count(data, *sorted(cut for cut in cuts if cut <= len(pids)))
    assert (continuity.errors, continuity.transport_errors) == plain(data)


def test_more_pids_than_numbers() -> None:
    """A whole multiplex: 300 PIDs, a hole in each."""
    pids = range(0x20, 0x20 + 300)
    data = b"".join(packet(pid, b"x", counter) for counter in (1, 2, 4, 5) for pid in pids)
    assert count(data, 100, 500, 900).errors == 300


def test_numbers_are_given_anew_when_pids_are_gone() -> None:
    continuity = count(b"".join(packet(pid, b"x") for pid in range(0x20, 0x20 + 60)))
    for counter in range(5000):
        count(run(counter), into=continuity)
    assert 0x100 in continuity._tracks
    assert continuity._tracks[0x100].code >= 0
    assert continuity.errors == 0


@pytest.mark.parametrize(
    ("name", "errors"),
    [("broadcast-no-idr/broadcast.ts", 167), ("rai-every-frame/test-072.ts", 0), ("ad-insert/80s_with_ad.ts", 166)],
)
def test_real_streams(name: str, errors: int) -> None:
    data = media(name).read_bytes()
    data = data[: len(data) // 188 * 188]
    assert plain(data) == (errors, 0)
    assert count(data, *range(348, len(data) // 188, 348)).errors == errors
