"""One request of a connection and its answer: the handler at work, the answer of whatever kind, the access line."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from enum import Enum, auto
from typing import Any

from fastrelay.errors import FastrelayError, RequestError
from fastrelay.server.answers import Answers
from fastrelay.server.connections import Connections, Slot
from fastrelay.server.live import outlet_of
from fastrelay.wire.head import Head
from fastrelay.wire.request import Request
from fastrelay.wire.response import Response, Streamed, Takeover, error_response, render_takeover_head, response_to
from fastrelay.wire.router import Answer, Handler

log = logging.getLogger(__name__)

RequestDone = Callable[[Request | None, int, int, float], None]
"""The request (None when it was refused before it was one), status, bytes sent, seconds in the handler."""

_INTERNAL_ERROR = error_response(500, "internal_error", "the server failed to answer this request; its log says why")
_CLIENT_CLOSED = 499  # never sent: what the access log shows for a viewer who left before his answer


class End(Enum):
    """What becomes of the connection behind an answer."""

    KEPT = auto()
    """It may go on."""
    LAST = auto()
    """It ends with this answer."""
    BROKEN = auto()
    """Some of the answer may be sent, the rest never comes: only a reset tells the reader that this is not the end."""
    TAKEN = auto()
    """A live stream has the socket now."""


class Exchange:
    """The exchanges of one connection, one after the other.

    `over(end, sent)` is called behind each, with the bytes of the answer; but not when the client left before. It comes
    within `begin` where the handler answers at once, and may begin the next exchange otherwise.
    """

    __slots__ = (
        "_answers", "_connections", "_done", "_head", "_left", "_loop", "_over", "_request", "_slot", "_started",
        "_takeover", "_task", "_transport",
    )  # fmt: skip

    _head: Head

    def __init__(
        self,
        transport: asyncio.Transport,
        answers: Answers,
        connections: Connections,
        loop: asyncio.AbstractEventLoop,
        slot: Slot,
        over: Callable[[End, int], None],
        done: RequestDone | None,
    ) -> None:
        self._transport = transport
        self._answers = answers
        self._connections = connections
        self._loop = loop
        self._slot = slot
        self._over = over
        self._done = done
        self._request: Request | None = None
        self._task: asyncio.Task[Answer] | None = None
        self._takeover: Takeover | None = None
        self._left = False
        self._started = 0.0

    @property
    def busy(self) -> bool:
        """A handler's task runs, its answer is sent as it comes in, or a live stream waits for earlier answers."""
        return self._request is not None

    def begin(self, request: Request, head: Head, handler: Handler) -> None:
        """Call the handler, and answer at once if it does. Otherwise `busy` is true afterwards."""
        self._request = request
        self._head = head
        if self._done is not None:
            self._started = self._loop.time()
        try:
            answer = handler(request)
            if not isinstance(answer, (Response, Streamed, Takeover)):
                self._wait_for(answer)
                return
        except Exception as error:
            answer = _failure(request, error)
        self._answer(answer)

    def resume(self) -> None:
        """The transport takes more."""
        if self._takeover is not None and not self._transport.get_write_buffer_size():
            self._hand_over(self._takeover)

    def abandon(self) -> None:
        """The client has left: an answer is of no use any more. Idempotent."""
        self._left = True
        if self._task is not None:
            self._task.cancel()
        self._answers.cancel()
        if self._takeover is not None:
            self._takeover.abandon()
            self._takeover = None

    def _wait_for(self, answer: Coroutine[Any, Any, Answer]) -> None:
        self._task = self._loop.create_task(answer)
        self._task.add_done_callback(self._handled)

    def _handled(self, task: asyncio.Task[Answer]) -> None:
        self._task = None
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if self._left:
            if error is None and isinstance(answer := task.result(), Takeover):
                answer.abandon()
            self._report(_CLIENT_CLOSED, 0)
            return
        self._answer(task.result() if error is None else _failure(self._request, error))

    def _answer(self, answer: Answer) -> None:
        if isinstance(answer, Takeover):
            self._take_over(answer)
        elif isinstance(answer, Streamed):
            self._send_as_it_comes(answer)
        else:
            self._respond(answer)

    def _respond(self, response: Response) -> None:
        keep = self._head.keep_alive and not self._connections.draining
        try:
            sent = self._answers.write(response, self._head, keep=keep)
        except ValueError as error:
            self._respond(_failure(self._request, error))
            return
        self._answered(response.status, sent, keep)

    def _answered(self, status: int, sent: int, keep: bool) -> None:
        self._report(status, sent)
        self._over(End.KEPT if keep else End.LAST, sent)

    def _report(self, status: int, sent: int) -> None:
        request, self._request = self._request, None
        if self._done is not None:
            self._done(request, status, sent, self._loop.time() - self._started)

    # -- the body is still coming in ----------------------------------------------------------------------------------

    def _send_as_it_comes(self, streamed: Streamed) -> None:
        head = self._head
        # Without a length HTTP/1.0 has no other end of a body than the connection's.
        keep = head.keep_alive and not self._connections.draining and (head.http11 or streamed.length is not None)
        try:
            begun = self._answers.begin(streamed, head, keep=keep)
        except ValueError as error:
            self._respond(_failure(self._request, error))
            return
        if head.method == "HEAD":
            self._answered(streamed.status, begun, keep)
            return
        task = self._answers.send_body(streamed, head)
        task.add_done_callback(lambda task: self._sent(task, streamed.status, begun, keep))

    def _sent(self, task: asyncio.Task[int], status: int, begun: int, keep: bool) -> None:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if self._left:
            self._report(_CLIENT_CLOSED, begun)
        elif error is None:
            self._answered(status, begun + task.result(), keep)
        else:
            if not isinstance(error, FastrelayError | EOFError):
                log.error("the body of an answer failed", exc_info=error)
            self._report(status, begun)
            self._over(End.BROKEN, begun)

    # -- a live stream takes over -------------------------------------------------------------------------------------

    def _take_over(self, takeover: Takeover) -> None:
        """Once earlier answers are sent; the kernel has them then, and nothing of ours is behind the socket."""
        if self._transport.get_write_buffer_size():
            self._takeover = takeover
            self._transport.set_write_buffer_limits(0)
        else:
            self._hand_over(takeover)

    def _hand_over(self, takeover: Takeover) -> None:
        self._takeover = None
        try:
            head = render_takeover_head(takeover, self._connections.stamp)
            if self._head.method == "HEAD":
                self._transport.write(head)
                self._answered(200, len(head), keep=False)
                return
            outlet = outlet_of(self._loop, self._transport, self._slot.release)
        except (OSError, ValueError) as error:
            takeover.abandon()
            self._respond(_failure(self._request, error))
            return
        if takeover.logged_at_end:
            self._request = None
        else:
            self._report(200, len(head))
        self._over(End.TAKEN, len(head))
        try:
            outlet.listen(takeover.attach(outlet, head))
        except Exception:
            log.exception("a live stream failed to take a viewer")
            outlet.reset()


def _failure(request: Request | None, error: BaseException) -> Response:
    """The answer to a handler's exception. What is not a RequestError is our bug: logged, never shown."""
    if isinstance(error, RequestError):
        return response_to(error)
    where = f"{request.method} {request.path}" if request is not None else "a request"
    log.error("the handler of %s failed", where, exc_info=error)
    return _INTERNAL_ERROR
