"""An answer of a source by HTTP, whose body is read as it comes."""

import asyncio
import contextlib
import socket

import aiohttp

from fastrelay.errors import EndOfStreamError, FormatError
from fastrelay.sources.http_errors import brief
from fastrelay.sources.stall import within
from fastrelay.wire.content_coding import COMPRESSIONS
from fastrelay.wire.source_url import redact


class Reply:
    """A 2xx answer whose body has not been read; or 304, where that was asked for."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        url: str,
        first_byte_by: float,
        sock: socket.socket | None = None,
        redirected: bool = False,
    ) -> None:
        self.url = url
        """Where it came from, after redirects: what relative names resolve against."""
        self.redirected = redirected
        self.status = response.status
        self.first_byte_by = first_byte_by
        """Loop time until which the first byte of the body may take."""
        self._response = response
        self._sock = sock
        self._least = 1
        self._gathered: asyncio.TimerHandle | None = None
        protocol = response.connection.protocol if response.connection is not None else None
        self._gone = protocol.closed if protocol is not None else None
        if self._gone is not None:
            self._gone.add_done_callback(self._lost)

    def _lost(self, gone: "asyncio.Future[None]") -> None:
        """Wake whoever reads: after damaged chunked framing aiohttp drops the connection without telling him."""
        content = self._response.content
        if not gone.cancelled() and gone.exception() is None and not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("the connection is gone"))

    def header(self, name: str) -> str:
        """The value of a header; empty where there is none."""
        return self._response.headers.get(name, "")

    @property
    def content_range(self) -> str:
        """Which bytes a 206 brings (RFC 9110 §14.4); empty where it does not say."""
        return self.header("Content-Range")

    @property
    def content_length(self) -> int | None:
        """Bytes of the body as it comes; None when they are not announced."""
        return self._response.content_length

    @property
    def compressed(self) -> bool:
        """Whether the body has to go through `decompress`."""
        return self.header("Content-Encoding").strip().lower() in COMPRESSIONS

    def gather(self, seconds: float, size: int) -> None:
        """Let the kernel wake `read` when there are `size` bytes, or `seconds` have gone by; for an end at once.

        SO_RCVLOWAT, not a pause: the receive window stays as open as it is, and the kernel itself wakes us early when
        it would close, so that the sender notices nothing.
        """
        if self._gathered is not None:
            self._gathered.cancel()
            self._gathered = None
        if seconds <= 0:
            self._wake_for(1)
            return
        self._wake_for(size)
        self._gathered = asyncio.get_running_loop().call_later(seconds, self._wake_for, 1)

    def _wake_for(self, least: int) -> None:
        if least != self._least and self._sock is not None and self._sock.fileno() >= 0:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, least)
            self._least = least

    async def read(self) -> bytes:
        """What has arrived, waiting for at least one byte; empty at the true end.

        Raises EndOfStreamError when the connection breaks before the announced end.
        """
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise EndOfStreamError(f"{redact(self.url)}: the transfer broke off ({brief(error)})") from None

    async def read_all(self, limit: int, stall_timeout: float, head: bytes = b"", enough: int | None = None) -> bytes:
        """The body from `head` on, which was read before, to its end, or until there are `enough` bytes.

        Raises StallError when nothing comes for `stall_timeout` seconds, EndOfStreamError when it is cut short,
        FormatError when it is longer than `limit` bytes.
        """
        pieces, size = [head], len(head)
        while enough is None or size < enough:
            async with within(stall_timeout, f"{redact(self.url)}: nothing came for {stall_timeout:g} s"):
                piece = await self.read()
            if not piece:
                break
            size += len(piece)
            if size > limit and enough is None:
                raise FormatError(f"{redact(self.url)}: longer than the {limit >> 20} MiB allowed")
            pieces.append(piece)
        return b"".join(pieces)

    def done(self) -> None:
        """No more is read: the connection may serve the next request, if the body has ended, else it is closed."""
        self._forget()
        self._response.release()

    def _forget(self) -> None:
        """A connection outlives its replies: it must not hold on to them, nor wait for what one of them let wait."""
        self.gather(0, 0)
        if self._gone is not None:
            self._gone.remove_done_callback(self._lost)

    async def abort(self) -> None:
        """Drop the connection, whatever is still on its way, and wait until it is gone. Idempotent, never raises."""
        self._forget()
        connection = self._response.connection
        if connection is None:  # the body was complete, the connection is not ours any more
            self._response.close()
            return
        if connection.transport is not None:
            connection.transport.abort()
        self._response.close()
        if self._gone is not None:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                await self._gone
