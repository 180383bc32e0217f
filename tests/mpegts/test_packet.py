"""Packet borders: layouts, damage, and chunks that cut anywhere."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.mpegts.packet import PACKET_SIZE, Framer, adaptation_flags, payload_at, pcr_at, pid_at


def packets(count: int, seed: int = 1) -> bytes:
    """Packets without a sync byte inside, so that borders are known."""
    draw = random.Random(seed)
    body = [byte for byte in range(256) if byte != 0x47]
    return b"".join(b"\x47" + bytes(draw.choices(body, k=PACKET_SIZE - 1)) for _ in range(count))


def spaced(plain: bytes, before: bytes = b"", behind: bytes = b"") -> bytes:
    return b"".join(before + plain[at : at + PACKET_SIZE] + behind for at in range(0, len(plain), PACKET_SIZE))


def damaged(plain: bytes, *numbers: int) -> bytes:
    data = bytearray(plain)
    for number in numbers:
        data[number * PACKET_SIZE] = 0
    return bytes(data)


def without(plain: bytes, *numbers: int) -> bytes:
    return b"".join(
        plain[at : at + PACKET_SIZE] for at in range(0, len(plain), PACKET_SIZE) if at // PACKET_SIZE not in numbers
    )


def test_aligned_input_is_passed_on_as_the_same_object() -> None:
    framer = Framer()
    assert framer.feed(packets(7)) == packets(7)
    again = packets(7, seed=2)
    assert framer.feed(again) is again


@pytest.mark.parametrize("count", [5, 7, 16])
def test_a_tiny_source_locks(count: int) -> None:
    framer = Framer()
    assert bytes(framer.feed(packets(count))) == packets(count)
    assert framer.locked
    assert framer.skipped == 0


def test_four_packets_are_no_lock() -> None:
    framer = Framer()
    assert framer.feed(packets(4)) == b""
    assert not framer.locked


@pytest.mark.parametrize(("before", "behind"), [(b"", b""), (b"\x01\x02\x03\x04", b""), (b"", b"P" * 16)])
def test_every_layout_is_stripped(before: bytes, behind: bytes) -> None:
    framer = Framer()
    assert bytes(framer.feed(spaced(packets(20), before, behind))) == packets(20)
    assert framer.skipped == 0


def test_what_stands_before_the_first_packet_is_skipped() -> None:
    framer = Framer()
    assert bytes(framer.feed(b"G" * 3 + b"HTTP" + packets(9))) == packets(9)
    assert framer.skipped == 7


def test_one_damaged_sync_byte_costs_one_packet() -> None:
    framer = Framer()
    assert bytes(framer.feed(damaged(packets(40), 10, 20))) == without(packets(40), 10, 20)
    assert framer.locked
    assert framer.skipped == 2 * PACKET_SIZE


def test_the_packet_before_lost_bytes_is_the_only_wrong_one() -> None:
    """Bytes lost inside packet 9 are seen only at the next border; from packet 11 on all is well again."""
    plain = packets(40)
    framer = Framer()
    out = bytes(framer.feed(plain[: 9 * PACKET_SIZE + 50] + plain[9 * PACKET_SIZE + 60 :]))
    assert out[: 9 * PACKET_SIZE] == plain[: 9 * PACKET_SIZE]
    assert out[10 * PACKET_SIZE :] == plain[11 * PACKET_SIZE :]


def test_the_layout_may_change_after_lost_sync() -> None:
    framer = Framer()
    out = bytes(framer.feed(packets(10) + spaced(packets(10, seed=2), behind=b"P" * 16)))
    assert out == packets(10) + packets(10, seed=2)


def test_reset_forgets_the_unfinished_packet() -> None:
    framer = Framer()
    framer.feed(packets(7) + packets(1)[:100])
    framer.reset()
    assert bytes(framer.feed(packets(7, seed=2))) == packets(7, seed=2)


def test_garbage_is_neither_kept_nor_locked_on() -> None:
    framer = Framer()
    page = b"<html>GGG GG no transport stream</html>" * 20_000
    assert framer.feed(page) == b""
    assert not framer.locked
    assert len(page) - framer.skipped <= 820


LAYOUTS = st.sampled_from([(b"", b""), (b"\x01\x02\x03\x04", b""), (b"", b"P" * 16)])


@settings(deadline=None, max_examples=150)
@given(
    layout=LAYOUTS,
    bad=st.sets(st.integers(0, 29), max_size=4),
    cut=st.one_of(st.none(), st.tuples(st.integers(0, 5000), st.integers(1, 300))),
    junk=st.binary(max_size=40),
    chunks=st.lists(st.integers(0, 700), max_size=40),
)
def test_chunks_make_no_difference(
    layout: tuple[bytes, bytes],
    bad: set[int],
    cut: tuple[int, int] | None,
    junk: bytes,
    chunks: list[int],
) -> None:
    stream = junk + spaced(damaged(packets(30), *bad), *layout)
    if cut:
        stream = stream[: cut[0]] + stream[cut[0] + cut[1] :]
    whole = Framer()
    expected = bytes(whole.feed(stream))
    pieces = Framer()
    out = b""
    for size in chunks:
        out += pieces.feed(stream[:size])
        stream = stream[size:]
    out += pieces.feed(stream)
    assert out == expected
    assert (pieces.skipped, pieces.locked) == (whole.skipped, whole.locked)


def test_fields() -> None:
    pcr = (0x1_2345_6789 << 15 | 0x7E00).to_bytes(6)
    packet = b"\x00\x47\x41\x23\x37" + bytes([7, 0x50]) + pcr + bytes(176)
    assert pid_at(packet, 1) == 0x123
    assert payload_at(packet, 1) == 1 + 12
    assert adaptation_flags(packet, 1) == 0x50
    assert pcr_at(packet, 1) == 0x1_2345_6789


@pytest.mark.parametrize(
    ("head", "start"),
    [("47010010", 4), ("47010020b7", 188), ("47010000", 188), ("47010030ff", 188), ("4701003000", 5)],
)
def test_payload_stays_inside_the_packet(head: str, start: int) -> None:
    packet = bytes.fromhex(head).ljust(PACKET_SIZE, b"\0")
    assert payload_at(packet, 0) == start
    assert pcr_at(packet, 0) is None
