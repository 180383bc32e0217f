"""Transport streams made by hand: packets, sections, tables, PES."""

from collections.abc import Iterator
from itertools import count

from fastrelay.mpegts.packet import PACKET_SIZE
from fastrelay.mpegts.psi import crc32

VIDEO = 0x100
AUDIO = 0x101
PMT = 0x1000

H264, HEVC, MPEG2, AAC, PRIVATE, VC1 = 0x1B, 0x24, 0x02, 0x0F, 0x06, 0xEA


def packet(
    pid: int,
    payload: bytes = b"",
    counter: int = 0,
    start: bool = False,
    adaptation: bytes | None = None,
    scrambled: bool = False,
) -> bytes:
    """One packet. `adaptation`: flags and what follows them; it is stuffed until the payload fills the packet."""
    room = PACKET_SIZE - 4 - len(payload)
    field = b""
    if adaptation is not None or room:
        body = adaptation or (b"\x00" if room > 1 else b"")
        field = bytes([room - 1]) + body.ljust(room - 1, b"\xff")
    control = (0xC0 if scrambled else 0) | (0x20 if field else 0) | (0x10 if payload else 0) | counter & 0x0F
    head = bytes([0x47, (0x40 if start else 0) | pid >> 8, pid & 0xFF, control])
    made = head + field + payload
    assert len(made) == PACKET_SIZE
    return made


class Counters:
    """The continuity counters of all PIDs of a stream under construction."""

    def __init__(self) -> None:
        self._counts: dict[int, Iterator[int]] = {}

    def next(self, pid: int) -> int:
        return next(self._counts.setdefault(pid, count())) & 0x0F


def section(
    table: int, number: int, body: bytes, version: int = 0, current: bool = True, part: int = 0, last: int = 0
) -> bytes:
    """A long section with its CRC; `number` is the table_id_extension."""
    size = 5 + len(body) + 4
    head = bytes([table, 0xB0 | size >> 8, size & 0xFF]) + number.to_bytes(2)
    data = head + bytes([0xC0 | version << 1 | current, part, last]) + body
    return data + crc32(data).to_bytes(4)


def pat(*programs: tuple[int, int], version: int = 0, part: int = 0, last: int = 0) -> bytes:
    body = b"".join(number.to_bytes(2) + (0xE000 | pid).to_bytes(2) for number, pid in programs)
    return section(0, 1, body, version, part=part, last=last)


def pmt(
    number: int,
    *streams: tuple[int, int] | tuple[int, int, bytes],
    pcr_pid: int = VIDEO,
    version: int = 0,
    program_descriptors: bytes = b"",
    current: bool = True,
) -> bytes:
    """`streams`: (PID, stream_type) or (PID, stream_type, descriptors)."""
    body = (0xE000 | pcr_pid).to_bytes(2) + (0xF000 | len(program_descriptors)).to_bytes(2) + program_descriptors
    for pid, stream_type, *rest in streams:
        descriptors = rest[0] if rest else b""
        body += (
            bytes([stream_type]) + (0xE000 | pid).to_bytes(2) + (0xF000 | len(descriptors)).to_bytes(2) + descriptors
        )
    return section(2, number, body, version, current)


def descriptor(tag: int, body: bytes = b"") -> bytes:
    return bytes([tag, len(body)]) + body


def psi_packets(pid: int, sections: bytes, counters: Counters) -> bytes:
    """Sections as packets, the first with pointer_field 0."""
    data = b"\x00" + sections
    return b"".join(
        packet(pid, data[at : at + 184].ljust(184, b"\xff"), counters.next(pid), start=not at)
        for at in range(0, len(data), 184)
    )


def stamp(prefix: int, ticks: int) -> bytes:
    return bytes(
        [
            prefix << 4 | ticks >> 29 & 0x0E | 1,
            ticks >> 22 & 0xFF,
            ticks >> 14 & 0xFE | 1,
            ticks >> 7 & 0xFF,
            ticks << 1 & 0xFE | 1,
        ]
    )


def pes(
    payload: bytes, pts: int | None = None, dts: int | None = None, stream_id: int = 0xE0, scrambled: bool = False
) -> bytes:
    fields = b""
    flags = 0
    if pts is not None:
        fields = stamp(2 if dts is None else 3, pts)
        flags = 0x80
    if dts is not None:
        fields += stamp(1, dts)
        flags = 0xC0
    head = bytes([0, 0, 1, stream_id, 0, 0, 0x80 | (0x10 if scrambled else 0), flags, len(fields)])
    return head + fields + payload


def pes_packets(
    pid: int, data: bytes, counters: Counters, flags: int | None = None, scrambled: bool = False, room: int = 184
) -> bytes:
    """A PES packet as packets; `flags` are the adaptation flags of the first, `room` the most payload of each."""
    made = b""
    first = True
    while data:
        size = min(room, 182 if flags is not None and first else 184)
        adaptation = bytes([flags]) if flags is not None and first else None
        made += packet(pid, data[:size], counters.next(pid), first, adaptation, scrambled)
        data = data[size:]
        first = False
    return made


def nal(*body: int, size: int = 0) -> bytes:
    """A NAL unit behind its start code, filled up to `size` bytes with what cannot be a start code."""
    return b"\x00\x00\x01" + bytes(body).ljust(size, b"\xaa")


# H.264: a slice begins with first_mb_in_slice 0 (bit 1), then slice_type as Exp-Golomb.
H264_AUD = nal(9, 0xF0)
H264_SPS = nal(0x67, 0x64, 0x00, 0x1F)
H264_PPS = nal(0x68, 0xEE, 0x3C)
H264_IDR = nal(0x65, 0x88, 0x84, size=40)
H264_P = nal(0x41, 0b1_1_000000, size=40)
"""slice_type 0"""
H264_I = nal(0x41, 0b1_011_0000, size=40)
"""slice_type 2"""
H264_ALL_I = nal(0x41, 0b1_0001000, size=40)
"""slice_type 7"""
H264_RECOVERY = nal(6, 6, 1, 0x80, 0x80)


class Channel:
    """A channel under construction: every method returns the next packets, with counters that go on."""

    def __init__(self, *streams: tuple[int, int] | tuple[int, int, bytes], number: int = 1, pmt_pid: int = PMT) -> None:
        self.streams = streams or ((VIDEO, H264), (AUDIO, AAC))
        self.number = number
        self.pmt_pid = pmt_pid
        self.counters = Counters()
        self.time = 900_000

    def pat(self, *more: tuple[int, int], version: int = 0) -> bytes:
        return psi_packets(0, pat((self.number, self.pmt_pid), *more, version=version), self.counters)

    def pmt(self, version: int = 0, pcr_pid: int = VIDEO) -> bytes:
        return psi_packets(
            self.pmt_pid, pmt(self.number, *self.streams, pcr_pid=pcr_pid, version=version), self.counters
        )

    def tables(self) -> bytes:
        return self.pat() + self.pmt()

    def unit(self, payload: bytes, pid: int = VIDEO, flags: int | None = None, scrambled: bool = False) -> bytes:
        """An access unit 40 ms after the last one."""
        self.time += 3_600
        return pes_packets(pid, pes(payload, self.time), self.counters, flags, scrambled)
