"""Which codec an elementary stream is, by stream_type (ISO 13818-1 table 2-34) and descriptors. Names as ffprobe's."""

from typing import Literal, NamedTuple

from fastrelay.mpegts.psi import ElementaryStream, descriptors

Kind = Literal["video", "audio", "subtitle", "data"]


class Codec(NamedTuple):
    name: str
    kind: Kind


_BY_STREAM_TYPE: dict[int, Codec] = {
    0x01: Codec("mpeg1video", "video"),
    0x02: Codec("mpeg2video", "video"),
    0x03: Codec("mp2", "audio"),
    0x04: Codec("mp2", "audio"),
    0x0F: Codec("aac", "audio"),
    0x10: Codec("mpeg4", "video"),
    0x11: Codec("aac_latm", "audio"),
    0x15: Codec("timed_id3", "data"),
    0x1B: Codec("h264", "video"),
    0x1C: Codec("aac", "audio"),
    0x21: Codec("jpeg2000", "video"),
    0x24: Codec("hevc", "video"),
    0x32: Codec("jpegxs", "video"),
    0x33: Codec("vvc", "video"),
    0x42: Codec("cavs", "video"),
    0x80: Codec("mpeg2video", "video"),
    0x81: Codec("ac3", "audio"),
    0x82: Codec("dts", "audio"),
    0x83: Codec("truehd", "audio"),
    0x84: Codec("eac3", "audio"),
    0x85: Codec("dts", "audio"),
    0x86: Codec("scte_35", "data"),
    0x87: Codec("eac3", "audio"),
    0x8A: Codec("dts", "audio"),
    0x90: Codec("hdmv_pgs_subtitle", "subtitle"),
    0xD1: Codec("dirac", "video"),
    0xD2: Codec("avs2", "video"),
    0xD4: Codec("avs3", "video"),
    0xEA: Codec("vc1", "video"),
}

_PRIVATE = frozenset({0x05, 0x06, *range(0x80, 0x100)})
"""Stream types that leave it to the descriptors what they are: private data, and what users assign."""

_BY_REGISTRATION: dict[bytes, Codec] = {
    b"AC-3": Codec("ac3", "audio"),
    b"AC-4": Codec("ac4", "audio"),
    b"AV01": Codec("av1", "video"),
    b"BSSD": Codec("s302m", "audio"),
    b"CUEI": Codec("scte_35", "data"),
    b"DTS1": Codec("dts", "audio"),
    b"DTS2": Codec("dts", "audio"),
    b"DTS3": Codec("dts", "audio"),
    b"EAC3": Codec("eac3", "audio"),
    b"HEVC": Codec("hevc", "video"),
    b"ID3 ": Codec("timed_id3", "data"),
    b"KLVA": Codec("klv", "data"),
    b"Opus": Codec("opus", "audio"),
    b"VC-1": Codec("vc1", "video"),
    b"VVC ": Codec("vvc", "video"),
    b"drac": Codec("dirac", "video"),
}

_BY_DESCRIPTOR: dict[int, Codec] = {
    0x28: Codec("h264", "video"),
    0x38: Codec("hevc", "video"),
    0x46: Codec("dvb_teletext", "subtitle"),
    0x56: Codec("dvb_teletext", "subtitle"),
    0x59: Codec("dvb_subtitle", "subtitle"),
    0x6A: Codec("ac3", "audio"),
    0x7A: Codec("eac3", "audio"),
    0x7B: Codec("dts", "audio"),
    0x7C: Codec("aac", "audio"),
}
"""ISO 13818-1 table 2-45 and EN 300 468 table 12."""

_BY_EXTENSION: dict[int, Codec] = {
    0x0E: Codec("dts", "audio"),
    0x15: Codec("ac4", "audio"),
}
"""EN 300 468 table 109: the first byte of an extension descriptor."""

_REGISTRATION = 0x05
_EXTENSION = 0x7F


def codec_of(stream: ElementaryStream) -> Codec:
    """The codec of a stream; `unknown (0x..)` of kind data when nothing tells."""
    told = _told_by_descriptors(stream.descriptors) if stream.stream_type in _PRIVATE else None
    return told or _BY_STREAM_TYPE.get(stream.stream_type) or Codec(f"unknown (0x{stream.stream_type:02x})", "data")


def _told_by_descriptors(loop: bytes) -> Codec | None:
    for tag, body in descriptors(loop):
        if tag == _REGISTRATION:
            found = _BY_REGISTRATION.get(body[:4])
        elif tag == _EXTENSION:
            found = _BY_EXTENSION.get(body[0]) if body else None
        else:
            found = _BY_DESCRIPTOR.get(tag)
        if found:
            return found
    return None
