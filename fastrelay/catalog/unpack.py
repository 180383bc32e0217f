"""A list's file as the text that the parser reads, whatever it is wrapped in: gzip, UTF-16, line ends of old Macs."""

import codecs
import gzip
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO, cast

from fastrelay.catalog.m3u import NotAListError

_PIECE = 256 * 1024
_GZIP = b"\x1f\x8b"  # RFC 1952 §2.3.1


def unpacked(file: BinaryIO) -> Iterator[bytes]:
    """The list's bytes in pieces, with LF or CRLF at the line ends. What they are, their first ones say: names and
    headers lie.

    Raises NotAListError for a list that is compressed twice, and what gzip raises for a damaged one.
    """
    packed = file.read(2) == _GZIP
    file.seek(0)
    content = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
    pieces = iter(lambda: content.read(_PIECE), b"")
    first = next(pieces, b"")
    if packed and first.startswith(_GZIP):
        raise NotAListError("expected an M3U list, or one that is compressed with gzip: this one is compressed twice")
    pieces = chain((first,), pieces)
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        pieces = _from_utf16(pieces)
        first = next(pieces, b"")
        pieces = chain((first,), pieces)
    if b"\r" in first and b"\n" not in first:
        return (piece.replace(b"\r", b"\n") for piece in pieces)
    return pieces


def _from_utf16(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """As UTF-8; the BOM at the beginning says in which order the bytes are, and goes."""
    decoder = codecs.getincrementaldecoder("utf-16")("replace")
    for piece in pieces:
        yield decoder.decode(piece).encode("utf-8", "replace")
    yield decoder.decode(b"", True).encode("utf-8", "replace")
