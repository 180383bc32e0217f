"""What a body is, told by its first bytes: names and Content-Type of IPTV servers are not to be trusted. Pure."""

from typing import Literal

from fastrelay.errors import FormatError

ENOUGH = 8192
"""Bytes after which there is always a verdict: 4 KiB of garbage may precede the first packet."""

_SYNC = 0x47
_PACKETS = (188, 192, 204)  # ISO 13818-1; with the time stamp of Blu-ray; with the Reed-Solomon bytes of DVB
_RUN = 5  # sync bytes in a row that are no accident
_QUICK_RUN = 3  # … and at the very start of a body

_TEXTS = (
    (b"<mpd", "a DASH manifest"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"<head", "a web page"),
    (b"<?xml", "an XML document"),
    (b"<", "a web page"),
    (b"{", "JSON"),
    (b"[", "JSON"),
)
_BINARIES = (
    (b"ID3", "packed audio (ID3)"),
    (b"\x1f\x8b", "compressed data"),
    (b"FLV", "an FLV file"),
    (b"OggS", "an Ogg file"),
    (b"\x1aE\xdf\xa3", "a Matroska file"),
    (b"\x00\x00\x01\xba", "an MPEG program stream"),
)
_BOXES = (b"ftyp", b"styp", b"moov", b"moof", b"sidx", b"emsg")


def recognise(head: bytes, complete: bool) -> Literal["ts", "hls"] | None:
    """`ts` or `hls`; None when more bytes are needed for a verdict, never once there are `ENOUGH` or it is `complete`.

    Raises FormatError that names what else it is.
    """
    if _is_ts(head, complete):
        return "ts"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    if text.startswith(b"#EXTM3U") or (text.startswith(b"#") and b"\n#EXTM3U" in text):
        return "hls"
    if not complete and len(head) < ENOUGH:
        return None
    raise FormatError(f"the source answered with {_other(head, text)}, expected MPEG-TS or an HLS playlist")


def _is_ts(head: bytes, complete: bool) -> bool:
    if any(_run(head, 0, size) >= _QUICK_RUN for size in _PACKETS):
        return True
    # The 192-byte form has its time stamp in front of the sync byte.
    offset = head.find(_SYNC)
    while 0 <= offset <= len(head) - 188 and offset < 4096:
        if any(_run(head, offset, size) >= _RUN for size in _PACKETS):
            return True
        if offset == 0 and complete and len(head) % 188 == 0 and _run(head, 0, 188) == len(head) // 188:
            return True
        offset = head.find(_SYNC, offset + 1)
    return False


def _run(head: bytes, offset: int, size: int) -> int:
    """How many sync bytes stand in a row, one every `size` bytes from `offset`."""
    count = 0
    while offset < len(head) and head[offset] == _SYNC:
        count += 1
        offset += size
    return count


def _other(head: bytes, text: bytes) -> str:
    if not head:
        return "an empty body"
    if head[4:8] in _BOXES:
        return "fragmented MP4 (only the HLS passthrough can relay it)"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "packed audio (ADTS)"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return "MPEG audio without a transport stream"
    start = text[:64].lower()
    named = (name for mark, name in _BINARIES if head.startswith(mark))
    return next(named, None) or next((name for mark, name in _TEXTS if start.startswith(mark)), "something unknown")
