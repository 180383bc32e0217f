"""The head of a PES packet (ISO 13818-1 §2.4.3.6): its time stamps and where its payload begins."""

from typing import NamedTuple

_START = b"\x00\x00\x01"
_WITHOUT_FLAGS = frozenset({0xBC, 0xBE, 0xBF, 0xF0, 0xF1, 0xF2, 0xF8, 0xFF})
"""stream_ids whose packets have no optional head: maps, padding, private 2, ECM, EMM, DSM-CC, H.222.1 E, directory."""

_PTS = 0x80
_DTS = 0x40


class PesHead(NamedTuple):
    """Time stamps in ticks of 90 kHz. Where only a PTS is sent, the DTS is the same (§2.7.5)."""

    payload: int
    """Offset of the first payload byte."""
    pts: int | None = None
    dts: int | None = None
    scrambled: bool = False


NO_PES = PesHead(0)
"""The bytes do not begin a PES packet."""


def read_head(data: bytes) -> PesHead | None:
    """Read the head of a PES packet that begins `data`; NO_PES if none does, None if more bytes are needed.

    At most 264 bytes are needed.
    """
    size = len(data)
    if not data.startswith(_START):
        return NO_PES if size >= 3 or not _START.startswith(data) else None
    if size >= 6 and data[3] in _WITHOUT_FLAGS:
        return PesHead(6)
    if size < 9 or size < (end := 9 + data[8]):
        return None
    flags = data[7]
    pts = _stamp(data, 9) if flags & _PTS and end >= 14 else None
    dts = _stamp(data, 14) if flags & _DTS and end >= 19 else pts
    return PesHead(end, pts, dts if pts is not None else None, bool(data[6] & 0x30))


def _stamp(data: bytes, at: int) -> int:
    """33 bits in five bytes, with marker bits between."""
    return (
        (data[at] & 0x0E) << 29
        | data[at + 1] << 22
        | (data[at + 2] & 0xFE) << 14
        | data[at + 3] << 7
        | data[at + 4] >> 1
    )
