"""Fetching what a playlist names: playlists, whole segments, byte ranges, keys."""

import asyncio
import re

from fastrelay.config import Failover
from fastrelay.errors import EndOfStreamError, FormatError
from fastrelay.hls.m3u8 import Master, Media, Parser
from fastrelay.hls.m3u8_model import Key, Segment, Span
from fastrelay.sources.aside import import_aside
from fastrelay.sources.http import HttpClient
from fastrelay.sources.http_reply import Reply
from fastrelay.sources.sniff import ENOUGH, recognise
from fastrelay.wire.content_coding import decompress
from fastrelay.wire.source_url import redact

PLAYLIST_LIMIT = 2 << 20
SEGMENT_LIMIT = 64 << 20
_KEYS_KEPT = 16
_STEP = 100
"""Lines of a playlist read in one go, about a millisecond; then the loop breathes."""
_SLICE = 1 << 20
"""Bytes decrypted in one go, a few milliseconds; then the loop breathes."""
_CONTENT_RANGE = re.compile(r"bytes (?:([0-9]{1,18})|[0-9]+)-")
_BEYOND_ALL = 10**30
"""Where a range with more digits begins: behind every offset that a playlist of this size can add up to."""


async def read_playlist(reply: Reply, head: bytes, failover: Failover) -> Master | Media:
    """The playlist in an answer whose first bytes `head` have been read. Raises FormatError when it is none."""
    body = await reply.read_all(PLAYLIST_LIMIT, failover.stall_timeout, head)
    reply.done()
    if reply.compressed:
        body = decompress(body, PLAYLIST_LIMIT)
    try:
        parser = Parser(body.decode("utf-8", errors="replace"), reply.url)
        while parser.step(_STEP):  # noqa: ASYNC110  # others get their turn, nothing is waited for
            await asyncio.sleep(0)
        return parser.result()
    except FormatError as error:
        raise FormatError(f"{redact(reply.url)}: {error}") from None


class SegmentFetcher:
    """Gets segments whole and in the clear, or not at all."""

    def __init__(self, client: HttpClient, failover: Failover) -> None:
        self._client = client
        self._failover = failover
        self._keys: dict[str, bytes] = {}

    async def fetch(self, segment: Segment) -> bytes:
        """The segment's transport stream.

        Raises what HttpClient.get raises, StallError, EndOfStreamError when it is cut short, FormatError when it is
        no transport stream, too long, or cannot be decrypted.
        """
        data = await self._download(segment.uri, segment.span)
        if segment.key is not None:
            data = await _decrypt(data, await self._key(segment.key), segment)
        try:
            kind = recognise(data[:ENOUGH], complete=True)
        except FormatError as error:
            raise FormatError(f"{redact(segment.uri)}: {error}") from None
        if kind != "ts":
            raise FormatError(f"{redact(segment.uri)}: the segment is a playlist, expected MPEG-TS")
        return data

    async def _download(self, uri: str, span: Span | None, limit: int = SEGMENT_LIMIT) -> bytes:
        reply = await self._client.get(uri, span=span)
        try:
            if span is None:
                data = await reply.read_all(limit, self._failover.stall_timeout)
            else:
                data = await self._slice(reply, span)
        except BaseException:
            await reply.abort()
            raise
        reply.done()
        return data

    async def _slice(self, reply: Reply, span: Span) -> bytes:
        """A byte range out of a 206, or out of the whole resource when the server ignored the range."""
        offset, length = span
        begins = 0
        if reply.status == 206:
            match = _CONTENT_RANGE.match(reply.content_range)
            begins = int(match[1] or _BEYOND_ALL) if match else offset
        if begins > offset or offset - begins + length > SEGMENT_LIMIT:
            raise FormatError(f"{redact(reply.url)}: the server does not deliver the byte range that was asked for")
        data = await reply.read_all(SEGMENT_LIMIT, self._failover.stall_timeout, enough=offset - begins + length)
        data = data[offset - begins : offset - begins + length]
        if len(data) < length:
            raise EndOfStreamError(f"{redact(reply.url)}: {len(data)} bytes came of a byte range of {length}")
        return data

    async def _key(self, key: Key) -> bytes:
        """An AES-128 key; asked for once per URI."""
        if key.uri not in self._keys:
            data = await self._download(key.uri, None, limit=1 << 20)
            if len(data) != 16:
                raise FormatError(f"{redact(key.uri)}: a key of 16 bytes was expected, {len(data)} came")
            while len(self._keys) >= _KEYS_KEPT:
                del self._keys[next(iter(self._keys))]
            self._keys[key.uri] = data
        return self._keys[key.uri]


async def _decrypt(data: bytes, key: bytes, segment: Segment) -> bytes:
    """AES-128 in CBC mode with PKCS7 padding (RFC 8216 §4.3.2.4); the number is the vector when none is given."""
    await import_aside("cryptography.hazmat.primitives.ciphers", "cryptography.hazmat.primitives.padding")
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    given = segment.key.iv if segment.key is not None else None
    vector = given if given is not None else segment.sequence.to_bytes(16, "big")
    decryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
    unpadder = PKCS7(128).unpadder()
    plain = []
    try:
        for at in range(0, len(data), _SLICE):
            plain.append(unpadder.update(decryptor.update(data[at : at + _SLICE])))
            await asyncio.sleep(0)
        plain.append(unpadder.update(decryptor.finalize()) + unpadder.finalize())
    except ValueError:
        raise FormatError(f"{redact(segment.uri)}: the segment cannot be decrypted with the key named for it") from None
    return b"".join(plain)
