"""What a segment holds: its tables, their counters, its own program and no other."""

import pytest

from fastrelay.hls.segment import Assembler, Segment
from fastrelay.hls.segmenter import Cut, Point
from fastrelay.hls.tables import read_tables
from fastrelay.mpegts.psi import crc32
from tests.hls.kit import counter_errors, packets, payload_of, pid_of
from tests.mpegts import build
from tests.mpegts.build import AAC, AUDIO, H264, H264_IDR, H264_PPS, H264_SPS, PMT, VIDEO, Channel, descriptor

KEY = H264_SPS + H264_PPS + H264_IDR


def assemble(assembler: Assembler, tables: bytes, body: bytes, **point: bool) -> Segment:
    read = read_tables(tables)
    assert read is not None
    return assembler.assemble(Cut(Point(0, 0.0, None, read, **point), len(body), 4.0), body)


def test_tables_then_the_body_untouched() -> None:
    channel = Channel()
    tables, body = channel.tables(), channel.unit(KEY) + channel.unit(build.H264_P)
    made = assemble(Assembler(), tables, body)
    assert made.data == tables + body
    assert (made.duration, made.discontinuity) == (4.0, False)


def test_counters_of_tables_go_on_over_segments() -> None:
    channel, assembler = Channel(), Assembler()
    made = b""
    for _ in range(20):
        tables = channel.tables()
        body = channel.unit(KEY) + channel.tables() + channel.unit(build.H264_P) + channel.tables()
        made += assemble(assembler, tables, body).data
    assert counter_errors(made, {0, PMT, VIDEO}) == 0


def test_a_table_of_several_packets() -> None:
    """The mark lies between the packets of a PMT: what came of it stands in front, and the rest follows."""
    channel, assembler = Channel((VIDEO, H264, descriptor(0x52, bytes(170))), (AUDIO, AAC)), Assembler()
    pat = channel.pat()
    pmt = channel.pmt()
    assert len(pmt) == 2 * 188
    half = channel.pmt()
    made = b""
    for _ in range(3):
        body = channel.unit(KEY) + half[188:] + channel.unit(build.H264_P) + half[:188]
        made += assemble(assembler, pat + pmt + half[:188], body).data
    assert counter_errors(made, {0, PMT}) == 0
    # Joined again, every section that is complete has its CRC.
    sections = []
    for packet in packets(made):
        if pid_of(packet) == PMT:
            payload = payload_of(packet)
            if packet[1] & 0x40:
                sections.append(payload[1:])
            else:
                sections[-1] += payload
    whole = [section for section in sections if len(section) > 188]
    assert len(whole) == 6
    assert all(crc32(section[: 3 + ((section[1] & 15) << 8 | section[2])]) == 0 for section in whole)


def test_encoders_that_do_not_count_their_tables() -> None:
    channel, assembler = Channel(), Assembler()
    tables = channel.tables()
    made = assemble(assembler, tables, channel.unit(KEY) + tables + tables).data
    assert counter_errors(made, {0, PMT}) == 0


def test_a_packet_sent_twice_stays_that() -> None:
    channel = Channel((VIDEO, H264, descriptor(0x52, bytes(170))), (AUDIO, AAC))
    tables = channel.tables()
    again = channel.pmt()
    made = assemble(Assembler(), tables, channel.unit(KEY) + again[:188] + again[188:] + again[188:]).data
    counters = [packet[3] & 15 for packet in packets(made) if pid_of(packet) == PMT]
    assert counters == [0, 1, 2, 3, 3]


def test_one_program_is_kept() -> None:
    one, other = Channel(number=7, pmt_pid=0x30), Channel((0x200, H264), (0x201, AAC), number=8, pmt_pid=0x31)
    pat = one.pat((8, 0x31))
    tables = pat + one.pmt()
    body = one.unit(KEY) + other.unit(KEY, 0x200) + one.pat((8, 0x31)) + one.pmt() + other.pmt() + one.unit(KEY)
    body += build.packet(0x1FFF, bytes(184)) + build.packet(0x11, bytes(184)) + one.unit(bytes(300), AUDIO)
    made = assemble(Assembler(), tables, body).data
    assert [pid_of(packet) for packet in packets(made)] == [0, 0x30, VIDEO, 0, 0x30, VIDEO, AUDIO, AUDIO]
    for packet in packets(made):
        if pid_of(packet) == 0:
            section = payload_of(packet)[1:17]
            assert crc32(section) == 0
            assert section[8:12] == b"\x00\x07\xe0\x30"
            assert section[3:6] == pat[8:11]
    assert counter_errors(made, {0, 0x30}) == 0


def test_a_pat_of_several_packets_becomes_one() -> None:
    one = Channel(number=7, pmt_pid=0x30)
    many = one.pat(*((number, 0x400 + number) for number in range(100, 160)))
    assert len(many) == 2 * 188
    made = assemble(Assembler(), many + one.pmt(), one.unit(KEY) + many + one.pmt()).data
    assert [pid_of(packet) for packet in packets(made)] == [0, 0x30, VIDEO, 0, 0x30]
    assert counter_errors(made, {0, 0x30}) == 0


def test_null_packets_are_no_clock() -> None:
    """PCR_PID 0x1FFF says that there is none (ISO 13818-1 §2.4.4.9)."""
    one = Channel(number=7, pmt_pid=0x30)
    tables = one.pat((8, 0x31)) + one.pmt(pcr_pid=0x1FFF)
    body = one.unit(KEY) + build.packet(0x1FFF, bytes(184))
    assert [pid_of(packet) for packet in packets(assemble(Assembler(), tables, body).data)] == [0, 0x30, VIDEO]


def test_a_pcr_on_a_pid_of_its_own_is_kept() -> None:
    one = Channel(number=7, pmt_pid=0x30)
    tables = one.pat((8, 0x31)) + one.pmt(pcr_pid=0x99)
    clock = build.packet(0x99, adaptation=b"\x10" + bytes(6))
    assert clock in assemble(Assembler(), tables, one.unit(KEY) + clock).data


def test_a_segment_that_does_not_begin_at_an_access_point_is_not_independent() -> None:
    channel = Channel()
    tables, body = channel.tables(), channel.unit(KEY)
    assert assemble(Assembler(), tables, body).independent
    assert not assemble(Assembler(), tables, body, random_access=False).independent
    assert not assemble(Assembler(), tables, channel.unit(build.H264_P)).independent


SMALL = bytes.fromhex("6742c00dda0507ec0440000003004000000c83c50aa8")
LARGE = bytes.fromhex("67640028acd940780227e5c044000003000400000300c83c60c658")


def picture(sps: bytes) -> bytes:
    return b"\x00\x00\x01" + sps + H264_PPS + H264_IDR


@pytest.mark.parametrize(("second", "expected"), [(SMALL, False), (LARGE, True)])
def test_another_picture_size_is_a_discontinuity_though_the_tables_stay(second: bytes, expected: bool) -> None:
    """Encoders that adapt to the line change their parameter sets and nothing else."""
    channel, assembler = Channel(), Assembler()
    tables = channel.tables()
    first = assemble(assembler, tables, channel.unit(picture(SMALL)))
    assert first.opening.resolution is not None
    assert not first.discontinuity
    # A forced cut between them shows no parameter sets and changes nothing.
    assert not assemble(assembler, tables, channel.unit(build.H264_P), random_access=False).discontinuity
    assert assemble(assembler, tables, channel.unit(picture(second))).discontinuity is expected


def test_no_tables() -> None:
    assert read_tables(b"") is None
    assert read_tables(Channel().pat()) is None
