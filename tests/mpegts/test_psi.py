"""Sections out of packets, and tables out of sections."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.mpegts.psi import MAX_KEPT, ElementaryStream, SectionReader, crc32, descriptors, parse_pat, parse_pmt
from tests.mpegts.build import AAC, H264, Counters, descriptor, packet, pat, pmt, psi_packets, section

PID = 0x1000


def test_crc_check_value() -> None:
    assert crc32(b"123456789") == 0x0376E6E7


@given(st.binary(max_size=300))
def test_crc_is_the_polynomial_of_the_standard(data: bytes) -> None:
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte << 24
        for _ in range(8):
            register = (register << 1 ^ (0x04C11DB7 if register & 0x80000000 else 0)) & 0xFFFFFFFF
    assert crc32(data) == register
    assert crc32(data + register.to_bytes(4)) == 0


class Table:
    """A reader and what it found; `wanted` is the table_id that counts."""

    def __init__(self, wanted: int = 2) -> None:
        self.found: list[bytes] = []
        self.reader = SectionReader(lambda made: self.found.append(made) or made[0] == wanted)

    def feed(self, data: bytes) -> "Table":
        for at in range(0, len(data), 188):
            self.reader.feed(data[at : at + 188])
        return self


def big(size: int = 400, number: int = 1) -> bytes:
    return section(2, number, bytes(index % 251 for index in range(size)))


def test_a_section_over_three_packets() -> None:
    data = psi_packets(PID, big(), Counters())
    assert len(data) == 3 * 188
    table = Table().feed(data)
    assert table.found == [big()]
    assert table.reader.packets == data


def test_several_sections_in_a_packet() -> None:
    sections = [section(2, number, b"abc") for number in range(5)]
    assert Table().feed(psi_packets(PID, b"".join(sections), Counters())).found == sections


def test_a_section_that_begins_where_the_last_one_ends() -> None:
    """pointer_field: the end of one section, then the next, in the same packet."""
    first, second = big(200, 1), big(120, 2)
    tail = first[183:]
    data = packet(PID, b"\x00" + first[:183], 0, start=True)
    data += packet(PID, (bytes([len(tail)]) + tail + second).ljust(184, b"\xff"), 1, start=True)
    table = Table().feed(data)
    assert table.found == [first, second]
    assert table.reader.packets == data[188:]


def test_even_the_length_field_may_be_cut() -> None:
    made = section(2, 1, b"x" * 20)
    filler = section(9, 1, b"y" * (183 - 12 - 2))
    assert Table().feed(psi_packets(PID, filler + made, Counters())).found == [filler, made]


def test_a_lost_packet_loses_the_section() -> None:
    data = psi_packets(PID, big(), Counters())
    assert Table().feed(data[:188] + data[376:]).found == []


def test_a_repeated_packet_is_taken_once() -> None:
    data = psi_packets(PID, big(), Counters())
    table = Table().feed(data[:188] + data[:188] + data[188:376] + data[188:])
    assert table.found == [big()]
    assert table.reader.packets == data


def test_a_counter_that_never_counts_does_not_hide_changes() -> None:
    old, new = (psi_packets(PID, section(2, 1, body), Counters()) for body in (b"old", b"new"))
    table = Table().feed(old + old + new)
    assert table.found == [section(2, 1, b"old"), section(2, 1, b"new")]
    assert table.reader.packets == new


def test_a_damaged_section_is_none() -> None:
    data = bytearray(psi_packets(PID, big(), Counters()))
    data[300] ^= 1
    table = Table().feed(bytes(data))
    assert table.found == []
    assert table.reader.packets == b""


def test_packets_lead_up_to_the_next_one() -> None:
    """A joiner gets the beginning of the section whose rest comes live, else its counters have a hole."""
    counters = Counters()
    whole = psi_packets(PID, big(), counters)
    begun = psi_packets(PID, big(), counters)[:188]
    table = Table().feed(whole + begun)
    assert table.reader.packets == whole + begun


def test_packets_begin_with_the_table_that_is_wanted() -> None:
    counters = Counters()
    mine = psi_packets(PID, section(2, 1, b"mine"), counters)
    other = psi_packets(PID, section(0x42, 1, b"other"), counters)
    table = Table()
    assert table.feed(other).reader.packets == b""
    assert table.feed(mine + other).reader.packets == mine + other
    again = psi_packets(PID, section(2, 1, b"mine"), counters)
    assert table.feed(again).reader.packets == again


def test_what_else_a_pid_carries_does_not_pile_up() -> None:
    counters = Counters()
    mine = psi_packets(PID, big(), counters)
    table = Table().feed(mine)
    for _ in range(3 * MAX_KEPT):
        table.feed(psi_packets(PID, section(0x42, 1, b"other"), counters))
        assert len(table.reader.packets) <= MAX_KEPT * 188
        assert table.reader.packets.startswith(mine)
    again = psi_packets(PID, big(), counters)
    assert table.feed(again).reader.packets == again


def test_a_section_without_end_does_not_pile_up() -> None:
    reader = Table().reader
    reader.feed(packet(PID, b"\x00\x02\xbf\xff", 0, start=True))
    for counter in range(1, 5000):
        reader.feed(packet(PID, b"x", counter))
        assert len(reader._kept) <= MAX_KEPT


def test_a_table_once_more_is_known_by_its_bytes() -> None:
    counters = Counters()
    first, again = (psi_packets(PID, section(2, 1, b"same"), counters) for _ in range(2))
    skipped, other = (psi_packets(PID, section(2, 1, body), counters) for body in (b"same", b"other"))
    table = Table()
    assert not table.reader.repeats(first)
    table.feed(first)
    assert table.reader.repeats(again)
    assert table.reader.packets == again
    assert not table.reader.repeats(other), "one lost, and another table"
    assert not table.reader.repeats(first), "not the next counter"
    assert table.reader.repeats(skipped)
    assert table.feed(other).found == [section(2, 1, b"same"), section(2, 1, b"other")]


def test_a_table_of_two_packets_is_fed_whole() -> None:
    counters = Counters()
    table = Table().feed(psi_packets(PID, big(), counters))
    assert not table.reader.repeats(psi_packets(PID, big(), counters)[:188])


def test_scrambled_and_empty_packets_are_passed_over() -> None:
    data = psi_packets(PID, big(), Counters())
    idle = packet(PID, b"", 0, adaptation=b"\x00")
    secret = packet(PID, b"s" * 184, 9, scrambled=True)
    assert Table().feed(data[:188] + idle + secret + data[188:]).found == [big()]


def test_pat() -> None:
    parsed = parse_pat(pat((0, 0x10), (1, 0x1000), (7, 0x1FFE), version=5, part=1, last=2))
    assert parsed is not None
    assert (parsed.version, parsed.number, parsed.last_number) == (5, 1, 2)
    assert parsed.programs == ((1, 0x1000), (7, 0x1FFE))


def test_pmt() -> None:
    language = descriptor(0x0A, b"fra\0")
    made = pmt(3, (0x100, H264), (0x101, AAC, language), pcr_pid=0x1FF, version=31, program_descriptors=b"\x0e\x01x")
    program = parse_pmt(made, 0x20)
    assert program is not None
    assert (program.number, program.pmt_pid, program.pcr_pid, program.version) == (3, 0x20, 0x1FF, 31)
    assert program.streams == (ElementaryStream(0x100, H264, b""), ElementaryStream(0x101, AAC, language))


def test_tables_for_later_and_other_tables_are_none() -> None:
    assert parse_pmt(pmt(1, (0x100, H264), current=False), 0x20) is None
    assert parse_pmt(pat((1, 2)), 0x20) is None
    assert parse_pat(pmt(1)) is None


@pytest.mark.parametrize("length", [0, 5, 12])
def test_a_stream_loop_cut_off_is_no_error(length: int) -> None:
    made = pmt(1, (0x100, H264, b"abcdef"), (0x101, AAC))
    body = made[8 : 12 + length]
    program = parse_pmt(section(2, 1, body), 0x20)
    assert program is not None
    assert len(program.streams) <= 2


def test_descriptors() -> None:
    assert list(descriptors(descriptor(5, b"HEVC") + b"\x0a\x04fr")) == [(5, b"HEVC"), (0x0A, b"fr")]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.binary(min_size=188, max_size=188), max_size=80))
def test_garbage_raises_nothing(garbage: list[bytes]) -> None:
    table = Table()
    for piece in garbage:
        table.reader.feed(piece)
    assert table.reader.packets == b""


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=80))
def test_garbage_tables_raise_nothing(body: bytes) -> None:
    parse_pat(section(0, 1, body))
    parse_pmt(section(2, 1, body), 1)
