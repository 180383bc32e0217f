"""Content codings: what a compressed answer unpacks to (RFC 9110 §8.4.1)."""

import zlib

from fastrelay.errors import FormatError

COMPRESSIONS = frozenset({"gzip", "x-gzip", "deflate"})
"""The codings that `decompress` undoes."""


def decompress(data: bytes, limit: int, complete: bool = True) -> bytes:
    """Undo gzip or deflate; raises FormatError when it is damaged or unpacks to more than `limit` bytes.

    With `complete` off the data may be the beginning only.
    """
    # RFC 9110 §8.4.1.2: deflate is the zlib format, but some servers send it bare. 47: gzip or zlib by its header.
    for window in (47, -15):
        unpacker = zlib.decompressobj(window)
        try:
            plain = unpacker.decompress(data, limit + 1)
        except zlib.error:
            continue
        if len(plain) > limit:
            raise FormatError(f"the compressed answer unpacks to more than {limit >> 20} MiB")
        if unpacker.eof or not complete:
            return plain
    raise FormatError("the compressed answer cannot be unpacked")
