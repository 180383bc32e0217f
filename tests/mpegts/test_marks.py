"""Marks of streams made by hand."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.mpegts.access import MAX_UNSTAMPED
from fastrelay.mpegts.marks import Mark, Scanner
from tests.mpegts.build import (
    AAC,
    AUDIO,
    H264,
    H264_ALL_I,
    H264_AUD,
    H264_I,
    H264_IDR,
    H264_P,
    H264_PPS,
    H264_SPS,
    MPEG2,
    PRIVATE,
    VC1,
    VIDEO,
    Channel,
    descriptor,
    nal,
    packet,
    pes,
    pes_packets,
)

KEY = H264_AUD + H264_SPS + H264_PPS + H264_IDR + b"\xaa" * 400
PLAIN = H264_AUD + H264_P + b"\xaa" * 300


def scan(data: bytes, scanner: Scanner | None = None, position: int = 0, step: int | None = None) -> list[Mark]:
    scanner = scanner or Scanner()
    size = (step or len(data) // 188 or 1) * 188
    marks = []
    for at in range(0, len(data), size):
        marks += scanner.scan(data[at : at + size], position + at)
    return marks


def positions(data: bytes, step: int | None = None) -> list[int]:
    return [mark.position // 188 for mark in scan(data, step=step)]


@pytest.mark.parametrize("step", [None, 1, 3])
def test_a_mark_says_where_and_when_and_with_which_tables(step: int | None) -> None:
    channel = Channel()
    tables = channel.tables()
    plain = channel.unit(PLAIN)
    at = len(tables + plain)
    data = tables + plain + channel.unit(KEY) + channel.unit(PLAIN)
    assert scan(data, position=10_000, step=step) == [Mark(10_000 + at, 0.04, 907_200, 907_200, tables)]


def test_positions_are_those_of_the_caller_whatever_buffer_it_has() -> None:
    channel = Channel()
    data = channel.tables() + channel.unit(KEY)
    for buffer in (data, bytearray(data), memoryview(data), memoryview(b"x" + data)[1:]):
        assert [mark.position for mark in Scanner().scan(buffer, 188 << 40)] == [(188 << 40) + 376]


def test_no_mark_before_the_tables() -> None:
    channel = Channel()
    key = channel.unit(KEY)
    assert scan(key + channel.pat() + channel.unit(KEY) + channel.pmt() + channel.unit(PLAIN)) == []


def test_priority_and_random_access_flags_change_nothing() -> None:
    channel = Channel()
    data = channel.tables() + channel.unit(PLAIN, flags=0x40) + channel.unit(KEY, flags=0x40)
    raised = bytearray(data)
    raised[1::188] = bytes(byte | 0x20 for byte in raised[1::188])
    assert positions(data) == positions(bytes(raised)) == [4]


def test_a_mark_that_takes_until_the_next_picture_keeps_its_place_and_tables() -> None:
    """I slices only: it is certain when the next picture begins, after new packets of the tables."""
    channel = Channel()
    tables = channel.tables()
    slow = channel.unit(H264_AUD + H264_SPS + H264_PPS + H264_I + H264_I + b"\xaa" * 200)
    scanner = Scanner()
    assert scanner.scan(tables + slow, 0) == []
    assert scanner.pending == 376
    later = channel.tables() + channel.unit(PLAIN)
    marks = scanner.scan(later, len(tables + slow))
    assert [(mark.position, mark.tables) for mark in marks] == [(376, tables)]
    assert scanner.pending is None
    assert scanner.tables == later[:376]


def test_marks_come_in_order_when_one_is_late() -> None:
    channel = Channel()
    data = channel.tables()
    for payload in (KEY, H264_AUD + H264_SPS + H264_PPS + H264_I, KEY, PLAIN):
        data += channel.unit(payload)
    assert positions(data) == positions(data, 1) == [2, 5, 6]


def test_a_pes_head_may_be_cut() -> None:
    channel = Channel()
    tables = channel.tables()
    cut = pes_packets(VIDEO, pes(KEY, 1234, 1000), channel.counters, room=5)
    assert [(mark.position, mark.pts, mark.dts) for mark in scan(tables + cut)] == [(376, 1234, 1000)]


def test_tables_with_a_begun_section_have_counters_that_lead_on() -> None:
    long = descriptor(0x0A, b"x" * 120)
    channel = Channel((VIDEO, H264, long), (AUDIO, AAC, long))
    pat, pmt, again = channel.pat(), channel.pmt(), channel.pmt()
    assert len(pmt) == 376
    data = pat + pmt + again[:188] + channel.unit(KEY) + again[188:]
    [mark] = scan(data)
    assert mark.tables == pat + pmt + again[:188]
    joined = Scanner()
    joined.scan(mark.tables + data[mark.position :], 0)
    assert joined.continuity_errors == 0


def test_two_headers_that_look_like_a_third_one_between_them() -> None:
    """PIDs 0x201 and 0x102 in a row have the bytes of PID 0x101 in their middle."""
    channel = Channel((0x101, H264))
    data = channel.tables() + channel.unit(H264_AUD + H264_SPS + H264_PPS, 0x101)
    data += packet(0x201, KEY[:184]) + packet(0x102, b"x") + channel.unit(PLAIN, 0x101)
    assert scan(data) == []


def test_scrambled_video_has_no_marks() -> None:
    channel = Channel()
    scanner = Scanner()
    assert scan(channel.tables() + channel.unit(KEY, scrambled=True), scanner) == []
    assert scanner.scrambled
    assert len(scan(channel.unit(KEY), scanner)) == 1
    assert not scanner.scrambled
    assert scan(pes_packets(VIDEO, pes(KEY, 1, scrambled=True), channel.counters), scanner) == []
    assert scanner.scrambled


def test_scrambling_that_begins_in_a_picture_drops_it() -> None:
    channel = Channel()
    head = channel.unit(H264_AUD + H264_SPS + H264_PPS + b"\x00\x00\x01\x06\x05" + b"\xaa" * 200)[:188]
    rest = packet(VIDEO, KEY[:184], 1, scrambled=True)
    scanner = Scanner()
    assert scan(channel.tables() + head + rest, scanner) == []
    assert (scanner.pending, scanner.scrambled) == (None, True)


def test_video_that_is_no_pes_has_no_marks() -> None:
    channel = Channel((VIDEO, VC1))
    assert scan(channel.tables() + packet(VIDEO, b"\x00\x00\x02nonsense", start=True)) == []


def test_audio_alone_can_be_joined_at_every_frame() -> None:
    channel = Channel((AUDIO, AAC))
    data = channel.tables() + b"".join(channel.unit(b"\xff\xf1" * 200, AUDIO) for _ in range(3))
    assert positions(data) == [2, 5, 8]


def test_data_without_pes_can_be_joined_where_a_unit_starts() -> None:
    channel = Channel((VIDEO, PRIVATE))
    data = channel.tables() + packet(VIDEO, b"\x00" + b"\xff" * 183, 0, start=True) + packet(VIDEO, b"z" * 184, 1)
    [mark] = scan(data)
    assert (mark.position, mark.pts, mark.dts, mark.seconds) == (376, None, None, 0.0)


def test_unknown_video_goes_by_the_flag() -> None:
    channel = Channel((VIDEO, VC1))
    data = channel.tables() + channel.unit(b"x") + channel.unit(b"x", flags=0x40) + channel.unit(b"x")
    assert positions(data) == [2, 3]


def test_a_new_pmt_is_followed_and_drops_the_pending_picture() -> None:
    channel = Channel((VIDEO, H264))
    undecided = H264_AUD + H264_SPS + H264_PPS + H264_I
    data = channel.tables() + channel.unit(undecided)
    channel.streams = ((VIDEO, H264), (0x200, MPEG2))
    data += channel.pmt(version=1) + channel.unit(PLAIN)
    channel.streams = ((0x200, MPEG2),)
    data += channel.pmt(version=2)
    place = len(data) // 188
    data += channel.unit(KEY) + channel.unit(nal(0xB3, 1, size=50), 0x200)
    scanner = Scanner()
    [mark] = scan(data, scanner)
    assert mark.position // 188 == place + 3
    assert scanner.codec is not None
    assert (scanner.codec.name, scanner.video) == ("mpeg2video", True)


def test_a_pmt_on_another_pid_is_followed() -> None:
    channel = Channel()
    data = channel.tables() + channel.unit(KEY)
    channel.pmt_pid = 0x55
    moved = channel.pat(version=1) + channel.pmt()
    marks = scan(data + moved + channel.unit(KEY))
    assert len(marks) == 2
    assert marks[1].tables == moved


def test_a_splice_continues_nothing() -> None:
    first, second = Channel(), Channel((0x300, H264), pmt_pid=0x40)
    scanner = Scanner()
    scan(first.tables() + first.unit(KEY) + first.unit(PLAIN) + first.unit(KEY), scanner)
    assert scanner.clock.seconds == 0.08
    scanner.splice()
    assert (scanner.tables, scanner.program, scanner.pending, scanner.unknown_programs) == (b"", None, None, None)
    second.time = 5_000_000_000
    second.counters.next(0)
    second.counters.next(0)
    assert scan(first.unit(KEY), scanner) == [], "old tables must not explain new bytes"
    tables = second.tables()
    marks = scan(tables + second.unit(KEY, 0x300) + second.unit(KEY, 0x300), scanner)
    assert [(mark.seconds, mark.tables) for mark in marks] == [(0.08, tables), (0.12, tables)]
    assert (scanner.clock.jumps, scanner.continuity_errors) == (0, 0)


def test_media_time_goes_by_dts() -> None:
    channel = Channel()
    data = channel.tables()
    for pts, dts in ((3600, (1 << 33) - 3600), (14400, 0), (7200, 3600)):
        data += pes_packets(VIDEO, pes(PLAIN, pts, dts), channel.counters)
    scanner = Scanner()
    scan(data, scanner)
    assert (scanner.clock.seconds, scanner.clock.jumps) == (0.08, 0)


@pytest.mark.parametrize("step", [None, 1, 5])
def test_the_pcr_takes_over_where_there_are_no_stamps(step: int | None) -> None:
    channel = Channel()
    data = channel.tables() + channel.unit(PLAIN) + channel.unit(PLAIN)
    for number in range(MAX_UNSTAMPED + 26):
        pcr = ((1 << 33) - 90_000 + 3600 * number) % (1 << 33)
        data += packet(VIDEO, b"", 5, adaptation=b"\x10" + (pcr << 15).to_bytes(6))
        data += pes_packets(VIDEO, pes(PLAIN), channel.counters)
    scanner = Scanner()
    scan(data, scanner, step=step)
    assert (round(scanner.clock.seconds, 6), scanner.clock.jumps) == (0.04 + 24 * 0.04, 0)
    scan(channel.unit(PLAIN) + channel.unit(PLAIN), scanner, step=step)
    assert (round(scanner.clock.seconds, 6), scanner.clock.jumps) == (0.04 + 25 * 0.04, 0)


def test_the_pcr_takes_over_where_the_stamps_are_scrambled() -> None:
    """PCRs never are: a channel that goes dark still has its time, and HLS of it goes on."""
    channel = Channel()
    scanner = Scanner()
    scan(channel.tables() + channel.unit(KEY) + channel.unit(PLAIN), scanner)
    dark = b""
    for number in range(MAX_UNSTAMPED + 26):
        dark += packet(VIDEO, b"", 5, adaptation=b"\x10" + (3600 * number << 15).to_bytes(6))
        dark += channel.unit(PLAIN, scrambled=True)
    assert scan(dark, scanner) == []
    assert (round(scanner.clock.seconds, 6), scanner.clock.jumps) == (0.04 + 24 * 0.04, 0)
    scan(channel.unit(PLAIN) + channel.unit(PLAIN), scanner)
    assert (round(scanner.clock.seconds, 6), scanner.clock.jumps) == (0.04 + 25 * 0.04, 0)


def test_the_endless_picture_is_not_held() -> None:
    channel = Channel()
    scanner = Scanner()
    scan(channel.tables() + channel.unit(H264_AUD + H264_SPS), scanner)
    assert scanner.pending is not None
    filler = b"".join(packet(VIDEO, b"\xaa" * 184, counter) for counter in range(16)) * 50
    for _ in range(40):
        scan(filler, scanner)
    assert scanner.pending is None


PIECES = [PLAIN, KEY, H264_AUD + H264_SPS + H264_PPS + H264_I + H264_I, H264_AUD + H264_SPS + H264_ALL_I, H264_SPS]


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 1 << 30), cuts=st.sets(st.integers(1, 300), max_size=12))
def test_chunks_make_no_difference(seed: int, cuts: set[int]) -> None:
    draw = random.Random(seed)
    channel = Channel()
    data = b""
    for number in range(60):
        kind = draw.randrange(12)
        if kind == 0:
            data += channel.tables()
        elif kind == 1:
            channel.streams = draw.choice([((VIDEO, H264), (AUDIO, AAC)), ((AUDIO, AAC),), ((VIDEO, H264),)])
            data += channel.pat() + channel.pmt(version=number % 32)
        elif kind == 2:
            data += pes_packets(VIDEO, pes(draw.choice(PIECES)), channel.counters, room=draw.choice([4, 9, 184]))
        elif kind == 3:
            data += channel.unit(b"\xff" * 100, AUDIO)
        else:
            data += channel.unit(draw.choice(PIECES))
    whole, pieces = Scanner(), Scanner()
    expected = whole.scan(data, 0)
    marks = []
    edges = sorted({0, len(data), *(cut * 188 for cut in cuts if cut * 188 < len(data))})
    for start, end in pairwise(edges):
        marks += pieces.scan(data[start:end], start)
    assert marks == expected
    assert [mark.position for mark in marks] == sorted({mark.position for mark in marks})
    assert (pieces.clock.seconds, pieces.continuity_errors, pieces.tables) == (
        whole.clock.seconds,
        whole.continuity_errors,
        whole.tables,
    )


@settings(deadline=None, max_examples=100)
@given(st.lists(st.binary(max_size=2000), max_size=6))
def test_garbage_raises_nothing(garbage: list[bytes]) -> None:
    scanner = Scanner()
    for piece in garbage:
        assert scanner.scan(piece, 0) == []


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 40 * 188), st.integers(0, 255)), max_size=60), st.integers(1, 20))
def test_damage_raises_nothing(damage: list[tuple[int, int]], step: int) -> None:
    channel = Channel()
    data = bytearray()
    for _ in range(5):
        data += channel.tables() + channel.unit(KEY) + channel.unit(PLAIN) + channel.unit(b"\xff" * 200, AUDIO)
    for at, value in damage:
        data[at % len(data)] = value
    for mark in scan(bytes(data), step=step):
        assert len(mark.tables) % 188 == 0


def test_nothing_in_nothing_out() -> None:
    assert Scanner().scan(b"", 0) == []
