"""Transport stream packets, written by hand for tests (ISO 13818-1 §2.4); owes nothing to the code under test."""

PACKET = 188
CLOCK = 90_000
TIMESTAMP_WRAP = 1 << 33


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x04C11DB7 if crc & 0x80000000 else 0)
        table.append(crc & 0xFFFFFFFF)
    return table


_CRC_TABLE = _crc_table()


def crc32_mpeg(data: bytes) -> int:
    """CRC of a PSI section (ISO 13818-1 annex A)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = ((crc << 8) & 0xFFFFFFFF) ^ _CRC_TABLE[(crc >> 24) ^ byte]
    return crc


def header(pid: int, counter: int, *, start: bool = False, adaptation: bool = False, payload: bool = True) -> bytes:
    return bytes((0x47, start << 6 | pid >> 8, pid & 0xFF, adaptation << 5 | payload << 4 | counter & 15))


def _section(table_id: int, extension: int, version: int, body: bytes) -> bytes:
    length = len(body) + 9
    section = bytes((table_id, 0xB0 | length >> 8, length & 0xFF))
    section += extension.to_bytes(2, "big") + bytes((0xC1 | version << 1, 0, 0)) + body
    return section + crc32_mpeg(section).to_bytes(4, "big")


def pat_section(stream_id: int, version: int, program: int, pmt_pid: int) -> bytes:
    return _section(0, stream_id, version, program.to_bytes(2, "big") + (0xE000 | pmt_pid).to_bytes(2, "big"))


def pmt_section(program: int, version: int, pcr_pid: int, streams: tuple[tuple[int, int], ...]) -> bytes:
    """`streams` are pairs of stream type and PID."""
    body = (0xE000 | pcr_pid).to_bytes(2, "big") + b"\xf0\x00"
    for stream_type, pid in streams:
        body += bytes((stream_type,)) + (0xE000 | pid).to_bytes(2, "big") + b"\xf0\x00"
    return _section(2, program, version, body)


def psi_packet(pid: int, counter: int, section: bytes) -> bytes:
    return (header(pid, counter, start=True) + b"\x00" + section).ljust(PACKET, b"\xff")


def _timestamp(mark: int, ticks: int) -> bytes:
    ticks %= TIMESTAMP_WRAP
    return bytes(
        (
            mark << 4 | (ticks >> 30) << 1 | 1,
            ticks >> 22 & 0xFF,
            (ticks >> 15 & 0x7F) << 1 | 1,
            ticks >> 7 & 0xFF,
            (ticks & 0x7F) << 1 | 1,
        )
    )


def pes_header(stream_id: int, pts: int, dts: int | None = None, size: int = 0) -> bytes:
    """PES header of an aligned access unit; `size` bytes follow it (0: not told, for video). Times in 90 kHz ticks."""
    times = _timestamp(2, pts) if dts is None else _timestamp(3, pts) + _timestamp(1, dts)
    length = 3 + len(times) + size if size else 0
    flags = 0x80 if dts is None else 0xC0
    return b"\x00\x00\x01" + bytes((stream_id, length >> 8, length & 0xFF, 0x84, flags, len(times))) + times


def pcr_field(ticks: int, *, random_access: bool) -> bytes:
    """An adaptation field of 8 bytes with a PCR; `ticks` of 27 MHz."""
    base, extension = divmod(ticks % (TIMESTAMP_WRAP * 300), 300)
    pcr = base << 15 | 0x3F << 9 | extension
    return bytes((7, 0x10 | random_access << 6)) + pcr.to_bytes(6, "big")


def discontinuity_packet(pid: int, counter: int) -> bytes:
    """An adaptation-only packet that says: the counters and times of this PID start anew (§2.4.3.5)."""
    return (header(pid, counter, adaptation=True, payload=False) + b"\xb7\x80").ljust(PACKET, b"\xff")


def pid_of(packet: bytes | bytearray) -> int:
    return (packet[1] & 0x1F) << 8 | packet[2]


def has_payload(packet: bytes) -> bool:
    return bool(packet[3] & 0x10)


def is_flagged(packet: bytes) -> bool:
    """Is discontinuity_indicator set?"""
    return bool(packet[3] & 0x20 and packet[4] and packet[5] & 0x80)


def without_flag(packet: bytes) -> bytes:
    """The packet as it was before discontinuity_indicator was set in place."""
    return packet[:5] + bytes((packet[5] & 0x7F,)) + packet[6:] if is_flagged(packet) else packet


def section_of(packet: bytes) -> bytes | None:
    """The one section of a PSI packet; None when it holds no whole section right at its start."""
    at = 5 + packet[4] if packet[3] & 0x20 else 4
    if not packet[1] & 0x40 or at + 4 > PACKET or packet[at]:
        return None
    size = 3 + ((packet[at + 2] & 0x0F) << 8 | packet[at + 3])
    section = packet[at + 1 : at + 1 + size]
    return section if len(section) == size else None
