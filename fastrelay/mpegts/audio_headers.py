"""Which audio a stream carries, by its own headers, as RFC 6381 §3.3 writes it."""

from fastrelay.mpegts.bits import Bits

_LAYERS = {3: "mp4a.40.32", 2: "mp4a.40.33", 1: "mp4a.40.34"}
"""By the layer field of ISO 11172-3: layers I, II, III as object types of ISO 14496-3 table 1.17."""

_LAST_AC3 = 10
"""bsid: up to here AC-3, above it E-AC-3 (ETSI TS 102 366 §E.1.3.1.6)."""


def frame_codec(data: bytes) -> str | None:
    """The first frame of AAC with an ADTS header (ISO 13818-7 §6.2) or of MPEG audio (ISO 11172-3 §2.4.1.3).

    Their sync words are the same, and the layer tells which it is: stream types are mixed up in the wild.
    """
    at = _sync(data, 0xFF, 0xE0, 0xE0)
    if not 0 <= at <= len(data) - 3:
        return None
    layer = data[at + 1] >> 1 & 3
    return _LAYERS.get(layer, f"mp4a.40.{(data[at + 2] >> 6) + 1}")


def latm_codec(data: bytes) -> str | None:
    """The first AAC frame in a LOAS/LATM stream (ISO 14496-3 §1.7.2) that brings its own configuration."""
    at = _sync(data, 0x56, 0xE0, 0xE0)
    if at < 0:
        return None
    bits = Bits(data[at + 3 : at + 11])
    try:
        same_as_before, version = bits.flag(), bits.u(1)
        if same_as_before or version:
            return None
        bits.skip(1 + 6 + 4 + 3)
        kind = bits.u(5)
        return f"mp4a.40.{kind if kind != 31 else 32 + bits.u(6)}"
    except EOFError:
        return None


def ac3_codec(data: bytes) -> str | None:
    """The first frame of AC-3 or E-AC-3 (ETSI TS 102 366 §4.4.1)."""
    at = _sync(data, 0x0B, 0xFF, 0x77)
    if not 0 <= at <= len(data) - 6:
        return None
    return "ac-3" if data[at + 5] >> 3 <= _LAST_AC3 else "ec-3"


def _sync(data: bytes, first: int, mask: int, second: int) -> int:
    """Where a byte `first` is followed by one whose bits in `mask` are `second`; -1 if nowhere."""
    at = data.find(first)
    while 0 <= at < len(data) - 1:
        if data[at + 1] & mask == second:
            return at
        at = data.find(first, at + 1)
    return -1
