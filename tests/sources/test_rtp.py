"""RTP: headers in all their forms, order, loss, restarts."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.sources.rtp import MAX_DROPOUT, MAX_MISORDER, WINDOW_PACKETS, WINDOW_SECONDS, Reorder, RtpPacket, parse

TS = b"\x47" + b"t" * 187


def rtp(sequence: int, payload: bytes = TS, first: int = 0x80, kind: int = 33, ssrc: bytes = b"ssrc") -> bytes:
    return bytes([first, kind]) + (sequence & 0xFFFF).to_bytes(2) + b"time" + ssrc + payload


def one(sequence: int, ssrc: bytes = b"ssrc") -> RtpPacket:
    sequence &= 0xFFFF
    return RtpPacket(sequence, ssrc, sequence.to_bytes(2))


def take_all(reorder: Reorder, sequences: list[int], now: float = 0.0) -> list[int]:
    return [int.from_bytes(p) for sequence in sequences for p in reorder.take(one(sequence), now)]


def test_headers_come_off() -> None:
    assert parse(rtp(7)) == RtpPacket(7, b"ssrc", TS)
    assert parse(rtp(7, kind=0x80 | 96)) == RtpPacket(7, b"ssrc", TS), "marker and a dynamic type"
    assert parse(rtp(7, b"csrc" * 3 + TS, first=0x83)) == RtpPacket(7, b"ssrc", TS)
    extension = b"\xbe\xde\x00\x02" + b"12345678"
    assert parse(rtp(7, extension + TS, first=0x90)) == RtpPacket(7, b"ssrc", TS)
    assert parse(rtp(7, TS + b"\0\0\0\x04", first=0xA0)) == RtpPacket(7, b"ssrc", TS)
    everything = b"csrc" + extension + TS + b"\x01"
    assert parse(rtp(7, everything, first=0xB1)) == RtpPacket(7, b"ssrc", TS)
    assert parse(rtp(7, b"")) == RtpPacket(7, b"ssrc", b""), "a keep-alive"


def test_what_is_not_mpegts_in_rtp_is_told() -> None:
    assert parse(TS) is None
    assert parse(rtp(7, b"h264 video", kind=96)) is None
    assert parse(rtp(7, b"", kind=96)) is None
    assert parse(rtp(7, TS + b"\xff", first=0xA0)) is None, "more padding than packet"
    assert parse(rtp(7, b"\xbe\xde\xff\xff" + TS, first=0x90)) is None
    assert parse(b"\x80") is None


@given(st.binary(max_size=64))
@settings(deadline=None, max_examples=200)
def test_parsing_never_raises(datagram: bytes) -> None:
    parse(b"\x80" + datagram)
    parse(b"\xbf" + datagram)


def test_order_is_restored_over_the_wrap_and_repeats_are_dropped() -> None:
    reorder = Reorder()
    sent = [65533, 65535, 65534, 65534, 1, 0, 0, 65535, 2]
    assert take_all(reorder, sent) == [65533, 65534, 65535, 0, 1, 2]
    assert reorder.lost == 0


@given(seed=st.integers(0, 999), start=st.integers(0, 0xFFFF), distance=st.integers(1, MAX_MISORDER // 2))
@settings(deadline=None, max_examples=60)
def test_any_order_within_the_window_comes_out_right(seed: int, start: int, distance: int) -> None:
    shuffle = random.Random(seed)
    rest = sorted(range(1, 300), key=lambda n: n + shuffle.uniform(0, distance))
    repeated = [n for n in rest for _ in range(shuffle.choice((1, 1, 1, 2)))]
    reorder = Reorder()
    out = take_all(reorder, [start + n for n in [0, *repeated]])
    assert out == [(start + n) & 0xFFFF for n in range(300)]
    assert reorder.lost == 0


def test_a_missing_packet_is_waited_for_as_long_as_the_window() -> None:
    reorder = Reorder()
    assert take_all(reorder, [1, 3, 4], now=10.0) == [1]
    assert take_all(reorder, [5], now=10.0 + WINDOW_SECONDS * 0.9) == []
    assert take_all(reorder, [6], now=10.0 + WINDOW_SECONDS * 1.1) == [3, 4, 5, 6]
    assert reorder.lost == 1
    assert take_all(reorder, [2, 7], now=11.0) == [7], "too late is dropped"
    assert reorder.lost == 1


def test_the_window_is_bounded_in_packets() -> None:
    reorder = Reorder()
    sequences = list(range(2, 2 + WINDOW_PACKETS))
    assert take_all(reorder, [0, *sequences]) == [0]
    assert take_all(reorder, [2 + WINDOW_PACKETS]) == [*sequences, 2 + WINDOW_PACKETS]
    assert reorder.lost == 1


def test_two_gaps_are_both_counted() -> None:
    reorder = Reorder()
    take_all(reorder, [0, 3, 5], now=0.0)
    assert take_all(reorder, [10], now=1.0) == [3, 5]
    assert take_all(reorder, [11], now=2.0) == [10, 11]
    assert reorder.lost == 2 + 1 + 4


def test_a_sender_that_starts_anew_is_followed() -> None:
    reorder = Reorder()
    take_all(reorder, [100, 101])
    assert take_all(reorder, [40000]) == []
    assert take_all(reorder, [102]) == [102], "one stray changes nothing"
    assert take_all(reorder, [40000, 40001, 40002]) == [40000, 40001, 40002]
    assert take_all(reorder, [40003 + MAX_DROPOUT + 1, 40003 + MAX_DROPOUT + 2])[-1:] == [40003 + MAX_DROPOUT + 2]
    assert reorder.lost == 0


def test_another_ssrc_is_another_sender() -> None:
    reorder = Reorder()
    assert reorder.take(one(5), 0.0) and not reorder.take(one(7), 0.0)
    due = reorder.take(one(3, b"else"), 0.0)
    assert due == [one(7).payload, one(3).payload]
    assert reorder.take(one(4, b"else"), 0.0) == [one(4).payload]
