"""Answers on their way out of one connection, and whether their reader takes them."""

import asyncio

from fastrelay.server.connections import Connections
from fastrelay.server.reading import Reading
from fastrelay.server.sending import Sending
from fastrelay.server.transport import in_kernel
from fastrelay.wire.head import Head
from fastrelay.wire.response import (
    CLOSE,
    KEEP,
    KEEP_HTTP10,
    Response,
    Streamed,
    render_head,
    render_kept,
    render_streamed_head,
)

JOIN_MAX = 16 * 1024
"""Bytes of a body: up to here copying it behind its head is cheaper than a second buffer."""


class Answers:
    """Writes the answers to requests of the given heads. With `keep` the connection goes on behind them.

    Raises ValueError, before anything is written, for headers that cannot be sent (see `render_head`).
    """

    __slots__ = ("_connections", "_loop", "_reading", "_sending", "_task", "_transport", "full")

    def __init__(self, transport: asyncio.Transport, connections: Connections, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._connections = connections
        self._loop = loop
        self._reading = Reading()
        self._sending: Sending | None = None
        self._task: asyncio.Task[int] | None = None
        self.full = False
        """The transport holds more than it should."""

    def write(self, response: Response, head: Head, *, keep: bool) -> int:
        """A whole answer; its body is never copied when it is large. Returns how many bytes it has."""
        body = b"" if response.bodiless or head.method == "HEAD" else response.body
        return self._put_whole(render_head(response, self._connections.stamp, _ending(head, keep)), body)

    def _put_whole(self, rendered: bytes, body: bytes) -> int:
        if not body:
            self._transport.write(rendered)
        elif len(body) <= JOIN_MAX:
            self._transport.write(rendered + body)
        else:
            self._transport.writelines((rendered, body))
        size = len(rendered) + len(body)
        self._reading.wrote(size)
        return size

    def write_again(self, response: Response) -> int:
        """An answer that was given before, to a GET of HTTP/1.1 behind which the connection goes on."""
        stamp = self._connections.stamp
        if len(response.body) <= JOIN_MAX:
            return self._put(render_kept(response, stamp))
        return self._put_whole(render_head(response, stamp, KEEP), response.body)

    def write_last(self, response: Response, *, bodiless: bool) -> int:
        """The answer to what may be no request at all, so that it has no head."""
        return self._put(render_head(response, self._connections.stamp, CLOSE) + (b"" if bodiless else response.body))

    def begin(self, streamed: Streamed, head: Head, *, keep: bool) -> int:
        """The head of an answer whose body is still to come. Returns how many bytes it has."""
        ending, chunked = _ending(head, keep), _is_chunked(streamed, head)
        return self._put(render_streamed_head(streamed, self._connections.stamp, ending, chunked=chunked))

    def send_body(self, streamed: Streamed, head: Head) -> "asyncio.Task[int]":
        """The body behind `begin`, as it comes in. The task raises and returns what `Sending.run` does."""
        self._sending = Sending(
            self._transport, streamed, self._reading.wrote, chunked=_is_chunked(streamed, head), paused=self.full
        )
        self._task = self._loop.create_task(self._sending.run())
        self._task.add_done_callback(self._sent)
        return self._task

    def _put(self, data: bytes) -> int:
        self._transport.write(data)
        self._reading.wrote(len(data))
        return len(data)

    def _sent(self, _task: "asyncio.Task[int]") -> None:
        self._sending = self._task = None

    def pause(self) -> None:
        """The transport is full."""
        self.full = True
        if self._sending is not None:
            self._sending.pause()

    def resume(self) -> None:
        """The transport takes more."""
        self.full = False
        if self._sending is not None:
            self._sending.resume()

    def cancel(self) -> None:
        """The connection is gone."""
        if self._task is not None:
            self._task.cancel()

    def owed(self) -> int:
        """Bytes that were written and that the peer may not have yet."""
        if not self._reading.owing:
            return 0
        owed = self._transport.get_write_buffer_size() + in_kernel(self._transport)
        if not owed:
            self._reading.done()
        return owed

    def is_too_slow(self, owed: int, now: float) -> bool:
        """See Reading."""
        return self._reading.is_too_slow(owed, now, self._connections.limits)


def _ending(head: Head, keep: bool) -> bytes:
    if not keep:
        return CLOSE
    return KEEP if head.http11 else KEEP_HTTP10


def _is_chunked(streamed: Streamed, head: Head) -> bool:
    return head.http11 and streamed.length is None
