"""One resource on its way from the source to everybody who asked for it."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING

from fastrelay.errors import EndOfStreamError, FormatError, SourceError
from fastrelay.hls.m3u8_model import Span
from fastrelay.sources.stall import within
from fastrelay.wire.content_coding import decompress
from fastrelay.wire.source_url import redact

if TYPE_CHECKING:
    from fastrelay.sources.http import HttpClient
    from fastrelay.sources.http_reply import Reply

RESOURCE_LIMIT = 64 << 20
"""Bytes that a resource, or a range of it, may have."""
REMEMBERED = 1.0
"""Seconds for which a failure is everybody's answer: a missing segment may be there a moment later."""
_TEXT_LIMIT = 8 << 20  # of what comes compressed: subtitles, lists
# No more digits than a number may have: int() refuses thousands of them.
_CONTENT_RANGE = re.compile(r"bytes\s+([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")


class Fetch:
    """Bytes that grow while they are read. They are the source's own, shared by all readers and never changed.

    `grown(size)` is called for each piece that has come in.
    """

    def __init__(self, grown: Callable[[int], None]) -> None:
        self.size = 0
        self.busy = True
        self.body: bytes | None = None
        """All of it, once it is complete."""
        self.length: int | None = None
        """How many bytes it will have; None when the source does not say."""
        self.total: int | None = None
        """How many bytes the resource has of which this is a range, where that is known."""
        self.content_type = ""
        self.error: SourceError | None = None
        self.failed_at = 0.0
        self._grown = grown
        self._pieces: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._begun: asyncio.Future[None] = self._loop.create_future()
        self._news = asyncio.Event()

    async def begun(self) -> None:
        """Wait until the source has begun to answer. Raises SourceError when it did not."""
        await asyncio.shield(self._begun)

    async def whole(self) -> bytes:
        """Wait for all of it. Raises SourceError."""
        while self.busy:
            await self._news.wait()
        if self.body is None:
            raise self.error or EndOfStreamError("the transfer broke off")
        return self.body

    async def follow(self, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` to `end` as they come in; raises SourceError when they break off."""
        pieces, index, at = self._pieces, 0, 0
        while end is None or at < end:
            while index < len(pieces) and (end is None or at < end):
                piece = pieces[index]
                first, last = max(start - at, 0), len(piece) if end is None else min(len(piece), end - at)
                index, at = index + 1, at + len(piece)
                if first < last:
                    yield piece if last - first == len(piece) else piece[first:last]
            if index < len(pieces) or (end is not None and at >= end):
                continue
            if self.error is not None:
                raise self.error
            if not self.busy:
                return
            await self._news.wait()

    async def pull(
        self, client: "HttpClient", url: str, span: Span | None, stall_timeout: float, places: asyncio.Semaphore
    ) -> None:
        """Get it; all that goes wrong becomes the readers' error."""
        try:
            async with places:
                reply = await client.get(url, span=span)
                try:
                    await self._take(reply, span, stall_timeout)
                except BaseException:
                    await reply.abort()
                    raise
                reply.done()
        except SourceError as error:
            self._end(error)
        except BaseException:
            self.abandon(url)
            raise
        else:
            self._end(None)

    def abandon(self, url: str) -> None:
        """It was called off before it began."""
        if self.busy:
            self._end(EndOfStreamError(f"{redact(url)}: the channel was stopped"))

    async def _take(self, reply: "Reply", span: Span | None, stall_timeout: float) -> None:
        shown = redact(reply.url)
        self.content_type = reply.header("Content-Type")
        if reply.compressed:
            body = decompress(await reply.read_all(_TEXT_LIMIT, stall_timeout), _TEXT_LIMIT)
            skip, self.length = (0, len(body)) if span is None else (span[0], max(0, min(span[1], len(body) - span[0])))
            self._begin()
            self._add(body[skip : skip + self.length])
            return
        skip = self._measure(reply, span)
        self._begin()
        while self.length is None or self.size < self.length:
            async with within(stall_timeout, f"{shown}: nothing came for {stall_timeout:g} s"):
                piece = await reply.read()
            if not piece:
                break
            skipped = min(skip, len(piece))
            skip -= skipped
            end = None if self.length is None else skipped + self.length - self.size
            self._add(piece[skipped:end])
            if self.size > RESOURCE_LIMIT:
                raise _too_long(shown)
        if self.length is not None and self.size < self.length:
            raise EndOfStreamError(f"{shown}: {self.size} bytes came of {self.length}")

    def _measure(self, reply: "Reply", span: Span | None) -> int:
        """Set what is known of the length; returns how many bytes come before the range. A server may ignore ranges."""
        shown, announced = redact(reply.url), reply.content_length
        if span is None:
            self.length = self.total = announced
            skip = 0
        else:
            offset, length = span
            found = _CONTENT_RANGE.match(reply.content_range) if reply.status == 206 else None
            begins = int(found[1]) if found else offset if reply.status == 206 else 0
            self.total = int(found[3]) if found and found[3] != "*" else announced if reply.status == 200 else None
            skip = offset - begins
            ends = int(found[2]) + 1 if found else None if announced is None else begins + announced
            self.length = length if ends is None else min(length, ends - offset)
            if skip < 0 or self.length <= 0 or skip > RESOURCE_LIMIT:
                raise FormatError(f"{shown}: the server does not deliver the byte range that was asked for")
        if self.length is not None and self.length > RESOURCE_LIMIT:
            raise _too_long(shown)
        return skip

    def _begin(self) -> None:
        self._begun.set_result(None)

    def _add(self, piece: bytes) -> None:
        if piece:
            self._pieces.append(piece)
            self.size += len(piece)
            self._grown(len(piece))
            self._wake()

    def _end(self, error: SourceError | None) -> None:
        self.busy = False
        if error is None:
            self.length = self.size
            # Whoever follows has the list; for all others one piece is enough.
            self.body = b"".join(self._pieces)
            self._pieces = [self.body]
        else:
            self.error = error
            self.failed_at = self._loop.time()
            if not self._begun.done():
                self._begun.set_exception(error)
                self._begun.exception()
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news.clear()


def _too_long(shown: str) -> FormatError:
    return FormatError(f"{shown}: longer than the {RESOURCE_LIMIT >> 20} MiB allowed")
