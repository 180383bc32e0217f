"""Program-specific information (ISO 13818-1 §2.4.4): sections out of packets, and what PAT and PMT say."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from fastrelay.mpegts.packet import SCRAMBLING, payload_at

PAT_PID = 0
PAT_TABLE = 0
PMT_TABLE = 2

STUFFING = 0xFF
"""Instead of a table_id: the rest of the packet is empty."""

CRC_SIZE = 4
LONGEST_SECTION = 4096
MAX_KEPT = 64
"""Packets kept of one PID. Far more than a table has; reached only where a PID carries much else besides it."""

PARSED_TABLES = 1024
"""Tables come ten times a second and hardly ever change: so many, of all streams together, are parsed only once."""

_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def crc32(data: bytes) -> int:
    """The CRC of sections (annex A); over a whole section, its CRC field included, it is 0.

    It is zlib's polynomial with bits in the other order, so zlib does the work on mirrored bytes.
    """
    mirrored = zlib.crc32(data.translate(_MIRROR)) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_MIRROR))


class SectionReader:
    """The sections of one PID, and the packets that a joiner must get of it.

    `wanted` is called with every section that is complete and undamaged. Where it answers True the section is the
    table that matters here: `packets` then begins with the packet in which that section began, and goes on with all
    that came after it, so that its continuity counters lead up to the next packet of this PID.
    """

    __slots__ = ("_begun", "_counter", "_kept", "_last", "_partial", "_table_packets", "_wanted")

    def __init__(self, wanted: Callable[[bytes], bool]) -> None:
        self._wanted = wanted
        self._last = b""
        self._partial = b""
        self._begun = 0
        """Index in `_kept` of the packet in which the partial section began."""
        self._counter: int | None = None
        self._kept: list[bytes] = []
        self._table_packets = 0
        """So many packets at the front of `_kept` carry the wanted section; 0 while there is none."""

    @property
    def packets(self) -> bytes:
        """The packets to send to a joiner, exactly as received; empty before the first wanted section."""
        return b"".join(self._kept) if self._table_packets else b""

    def repeats(self, packet: bytes) -> bool:
        """Take a packet that is the whole of the wanted table once more, and nothing else; False: it must be fed.

        `wanted` is not asked again. This is what nearly every packet of a table is.
        """
        if len(self._kept) != 1 or not self._table_packets or self._partial:
            return False
        before = self._kept[0]
        counter = before[3] + 1 & 0x0F
        if packet[4:] != before[4:] or packet[:3] != before[:3] or packet[3] != (before[3] & 0xF0 | counter):
            return False
        self._kept[0] = packet
        self._counter = counter
        return True

    def feed(self, packet: bytes) -> None:
        """Take the next packet of this PID."""
        start = payload_at(packet, 0)
        if packet[3] & SCRAMBLING or start >= len(packet) or self._is_repeated(packet):
            return
        self._keep(packet)
        if not packet[1] & 0x40:
            if self._partial:
                self._continue(packet[start:])
            return
        pointer = start + 1 + packet[start]
        if self._partial:
            self._continue(packet[start + 1 : pointer])
        self._begin(packet[pointer:])

    def _is_repeated(self, packet: bytes) -> bool:
        """Whether it is the last packet once more (§2.4.3.3). A lost one in between ends the partial section."""
        before, self._counter = self._counter, packet[3] & 0x0F
        if before == self._counter:
            # Cheap encoders never count their PSI: the counter alone would hide every change of a table.
            return bool(self._kept) and self._kept[-1] == packet
        if before is not None and self._counter != (before + 1) & 0x0F:
            self._partial = b""
        return False

    def _keep(self, packet: bytes) -> None:
        if len(self._kept) >= MAX_KEPT:
            if not self._partial or self._begun <= self._table_packets:
                self._partial = b""
                self._begun = len(self._kept)
            del self._kept[self._table_packets : self._begun]
            self._begun = self._table_packets
        self._kept.append(packet)

    def _begin(self, data: bytes) -> None:
        """Take the sections that begin at `data`; the last may go on in the next packet."""
        self._partial = b""
        while data and data[0] != STUFFING:
            size = _section_size(data)
            self._begun = len(self._kept) - 1
            if len(data) < size:
                self._partial = data
                return
            self._complete(data[:size])
            data = data[size:]

    def _continue(self, data: bytes) -> None:
        self._partial += data
        size = _section_size(self._partial)
        if len(self._partial) >= size:
            section, self._partial = self._partial[:size], b""
            self._complete(section)

    def _complete(self, section: bytes) -> None:
        if section != self._last and crc32(section):
            return
        self._last = section
        if self._wanted(section):
            del self._kept[: self._begun]
            self._table_packets = len(self._kept)
            self._begun = 0


def _section_size(data: bytes) -> int:
    """The whole size of the section that begins with `data`, in bytes; the longest while its length is not there."""
    return 3 + ((data[1] & 0x0F) << 8 | data[2]) if len(data) >= 3 else LONGEST_SECTION


@dataclass(frozen=True, slots=True)
class Pat:
    """One section of the Program Association Table (§2.4.4.3)."""

    version: int
    number: int
    last_number: int
    programs: tuple[tuple[int, int], ...]
    """(program number, PID of its PMT), without the entry of the network."""


@dataclass(frozen=True, slots=True)
class ElementaryStream:
    """One stream of a program: `descriptors` are the bytes of its descriptor loop."""

    pid: int
    stream_type: int
    descriptors: bytes


@dataclass(frozen=True, slots=True)
class Program:
    """A program as its PMT describes it (§2.4.4.8)."""

    number: int
    pmt_pid: int
    pcr_pid: int
    streams: tuple[ElementaryStream, ...]
    version: int


@lru_cache(PARSED_TABLES)
def parse_pat(section: bytes) -> Pat | None:
    """What a PAT section in force says; None if it is another table, or one for later."""
    if not _is_in_force(section, PAT_TABLE, 8):
        return None
    entries = section[8 : len(section) - CRC_SIZE]
    programs = tuple((_uint16(entries, at), _uint16(entries, at + 2) & 0x1FFF) for at in range(0, len(entries) - 3, 4))
    return Pat(
        version=section[5] >> 1 & 0x1F,
        number=section[6],
        last_number=section[7],
        programs=tuple((number, pid) for number, pid in programs if number),
    )


@lru_cache(PARSED_TABLES)
def parse_pmt(section: bytes, pmt_pid: int) -> Program | None:
    """What a PMT section in force says; None if it is another table, or one for later."""
    if not _is_in_force(section, PMT_TABLE, 12):
        return None
    return Program(
        number=_uint16(section, 3),
        pmt_pid=pmt_pid,
        pcr_pid=_uint16(section, 8) & 0x1FFF,
        streams=tuple(_streams(section[12 + (_uint16(section, 10) & 0x0FFF) : len(section) - CRC_SIZE])),
        version=section[5] >> 1 & 0x1F,
    )


def _streams(loop: bytes) -> Iterator[ElementaryStream]:
    at = 0
    while at + 5 <= len(loop):
        end = at + 5 + (_uint16(loop, at + 3) & 0x0FFF)
        yield ElementaryStream(_uint16(loop, at + 1) & 0x1FFF, loop[at], loop[at + 5 : end])
        at = end


def descriptors(loop: bytes) -> Iterator[tuple[int, bytes]]:
    """The (tag, body) pairs of a descriptor loop (§2.6); ends early where it is cut off."""
    at = 0
    while at + 2 <= len(loop):
        end = at + 2 + loop[at + 1]
        yield loop[at], loop[at + 2 : end]
        at = end


def _is_in_force(section: bytes, table: int, head: int) -> bool:
    """A long section of this table, with its fixed fields whole, and with current_next_indicator set."""
    return len(section) >= head + CRC_SIZE and section[0] == table and bool(section[1] & 0x80) and bool(section[5] & 1)


def _uint16(data: bytes, at: int) -> int:
    return data[at] << 8 | data[at + 1]
