"""One HTTP/1.1 connection, from its first byte to its last.

Read it top to bottom: bytes come in, a head is found, then a body, a handler answers, the answer goes out, the
connection is kept, closed or handed over to a live stream. One request is worked on at a time; pipelined ones wait as
bytes, so answers are in order and nothing is parsed ahead.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from enum import Enum, auto
from math import inf
from typing import Any, NamedTuple, cast

from fastrelay.errors import FastrelayError, RequestError
from fastrelay.server.connections import Connections, Slot
from fastrelay.server.live import outlet_of
from fastrelay.server.reading import Reading
from fastrelay.server.sending import Sending
from fastrelay.server.transport import in_kernel, reset_transport
from fastrelay.wire.reader import HeadParser, RequestReader
from fastrelay.wire.request import Again, Request, Upload, Write
from fastrelay.wire.response import (
    CLOSE,
    KEEP,
    KEEP_HTTP10,
    Response,
    Streamed,
    Takeover,
    error_response,
    render_head,
    render_kept,
    render_streamed_head,
    render_takeover_head,
)
from fastrelay.wire.router import Answer

log = logging.getLogger(__name__)

OnRequestDone = Callable[[str, Request | None, int, int, float], None]
"""Access log: the client's address, request (None when it was refused before it was one), status, bytes sent, seconds
in the handler."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_REPEATED_MAX = 1024  # bytes of a request that is remembered: every connection may have one
_JOIN_MAX = 16 * 1024  # bytes: up to here copying a body behind its head is cheaper than a second buffer
_INTERNAL_ERROR = error_response(500, "internal_error", "the server failed to answer this request; its log says why")
_CLIENT_CLOSED = 499  # never sent: what the access log shows for a viewer who left before his answer


class _Phase(Enum):
    IDLE = auto()
    """Between requests."""
    HEAD = auto()
    """A head has begun."""
    BODY = auto()
    """The head is read, its body is coming."""
    ANSWER = auto()
    """A handler's task runs, its answer is sent as it comes in, or a live stream waits for earlier answers to go."""
    CLOSING = auto()
    """The last answer is on its way out; what still comes in is thrown away."""


class Repeated(NamedTuple):
    """The last request that may be asked again (see `Request.again`), and its bytes."""

    data: bytes
    request: Request
    answer: Again


class HttpProtocol(asyncio.Protocol):
    """Drives one connection; deadlines come from the table's tick (`check`)."""

    __slots__ = (
        "_again", "_connections", "_deadline", "_discarded", "_eof", "_handed_over", "_handler_started", "_limits",
        "_local", "_loop", "_on_request_done", "_peer", "_phase", "_reader", "_reading", "_refusal", "_request",
        "_secure", "_sending", "_slot", "_takeover", "_task", "_transport", "_turn", "_upload", "_write_paused",
    )  # fmt: skip

    _transport: asyncio.Transport

    def __init__(
        self,
        heads: HeadParser,
        connections: Connections,
        loop: asyncio.AbstractEventLoop,
        peer: tuple[str, int],
        slot: Slot,
        refusal: Response | None = None,
        on_request_done: OnRequestDone | None = None,
    ) -> None:
        """With a `refusal` the connection is answered with it and closed, whatever it asks for."""
        self._reader = RequestReader(heads, self._receive)
        self._connections = connections
        self._limits = connections.limits
        self._loop = loop
        self._peer = peer
        self._slot = slot
        self._refusal = refusal
        self._on_request_done = on_request_done
        self._phase = _Phase.IDLE
        self._deadline = inf
        self._request: Request | None = None
        self._task: asyncio.Task[Answer] | None = None
        self._sending: tuple[Sending, asyncio.Task[int]] | None = None
        self._takeover: Takeover | None = None
        self._upload: Upload | None = None
        self._turn: asyncio.Handle | None = None
        self._write_paused = False
        self._eof = False
        self._handed_over = False
        self._discarded = 0
        self._reading = Reading()
        self._again: Repeated | None = None
        self._handler_started = 0.0

    # -- bytes come in ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._local = self._transport.get_extra_info("sockname")[:2]
        self._secure = self._transport.get_extra_info("ssl_object") is not None
        self._connections.add(self)
        self._deadline = self._loop.time() + self._limits.head_timeout
        if self._refusal is not None:
            self._refuse(self._refusal)

    def data_received(self, data: bytes) -> None:
        if self._phase is _Phase.CLOSING:
            self._discard(len(data))
            return
        again = self._again
        if again is not None and again.data == data and self._repeats(again):
            return
        self._reader.feed(data)
        if self._held():
            if self._reader.buffered > self._limits.read_ahead:
                self._transport.pause_reading()
        else:
            self._advance()

    def eof_received(self) -> bool:
        """A client that closes its side while a handler works for it has left. One that only asked, closed its side
        and has answers or pipelined requests waiting still gets them (TLS has no such half-closed state)."""
        self._eof = True
        waiting = self._turn is not None or self._write_paused
        return waiting and self._phase is _Phase.IDLE and not self._secure

    def connection_lost(self, exc: Exception | None) -> None:
        self._phase = _Phase.CLOSING
        self._connections.discard(self)
        if self._task is not None:
            self._task.cancel()
        if self._turn is not None:
            self._turn.cancel()
        if self._sending is not None:
            self._sending[1].cancel()
        if self._takeover is not None:
            self._takeover.abandon()
        self._break_off()
        if not self._handed_over:
            self._slot.release()

    def _held(self) -> bool:
        """Must the next request wait? For the answer in work, for the client to read, or for the others' turn."""
        phase = self._phase
        return phase is _Phase.ANSWER or phase is _Phase.CLOSING or self._write_paused or self._turn is not None

    def _advance(self) -> None:
        """Answer the requests that are complete, a few at a time, and set the deadline of an unfinished one."""
        reader = self._reader
        try:
            for _ in range(self._limits.pipeline_max):
                body = reader.read()
                if body is None:
                    break
                self._handle(body)
                if not reader.buffered or self._held():
                    break
            else:
                self._turn = self._loop.call_soon(self._next_turn)
        except RequestError as error:
            self._refuse(error_response(error.status, error.code, error.message, error.headers))
        if not self._held():
            self._await_rest()

    def _repeats(self, again: Repeated) -> bool:
        """Players poll: answer what was asked with the very same bytes as before, if that is all there is to answer."""
        if self._phase is not _Phase.IDLE or self._held() or self._connections.draining:
            return False
        answer = again.answer()
        if answer is None:
            self._again = None
            return False
        whole = render_kept(answer, self._connections.stamp)
        self._transport.write(whole)
        self._reading.wrote(len(whole))
        self._deadline = self._loop.time() + self._limits.idle_timeout
        if self._on_request_done is not None:
            self._on_request_done(self._peer[0], again.request, answer.status, len(whole), 0.0)
        return True

    def _remember(self, request: Request) -> None:
        data, head = self._reader.alone, self._reader.head
        if request.again is not None and data and len(data) <= _REPEATED_MAX and head.http11 and head.keep_alive:
            self._again = Repeated(data, request, request.again)

    def _await_rest(self) -> None:
        """The buffer holds no complete request. Deadlines are absolute: they start with the first byte only."""
        if self._eof:
            self._close()
        elif self._reader.in_body:
            if self._phase is not _Phase.BODY:
                limits = self._limits
                self._enter(_Phase.BODY, limits.body_timeout if self._upload is None else limits.upload_timeout)
                if self._reader.wants_continue:
                    self._transport.write(_CONTINUE)
        elif self._reader.buffered and self._phase is _Phase.IDLE:
            self._enter(_Phase.HEAD, self._limits.head_timeout)

    def _next_turn(self) -> None:
        self._turn = None
        self._go_on()

    def _go_on(self) -> None:
        """After a hold: the requests that came in meanwhile."""
        if self._held():
            return
        self._advance()
        if self._reader.buffered <= self._limits.read_ahead and self._phase is not _Phase.CLOSING:
            self._transport.resume_reading()

    def _receive(self) -> Write:
        """Where the body goes that is about to come. Raises RequestError when it is not wanted."""
        receive = self._reader.route.receive
        assert receive is not None
        self._upload = receive(self._read_request(b""), self._transport)
        return self._upload.write

    def _break_off(self) -> None:
        if self._upload is not None:
            self._upload.discard()
            self._upload = None

    # -- its answer ---------------------------------------------------------------------------------------------------

    def _handle(self, body: bytes) -> None:
        reader = self._reader
        self._request = request = self._read_request(body)
        request.upload, self._upload = self._upload, None
        if self._on_request_done is not None:
            self._handler_started = self._loop.time()
        try:
            answer = reader.route.handler(request)
            if request.again is not None:
                self._remember(request)
            if not isinstance(answer, (Response, Streamed, Takeover)):
                self._wait_for(answer)
                return
        except Exception as error:
            answer = _failure(request, error)
        self._answer(answer)

    def _read_request(self, body: bytes) -> Request:
        head = self._reader.head
        to = head.target
        query, headers, params = to.query.copy(), head.headers.copy(), self._reader.params.copy()
        return Request(
            head.method, to.text, to.path, query, headers, self._peer, self._local, self._secure, body, params
        )

    def _wait_for(self, answer: Coroutine[Any, Any, Answer]) -> None:
        self._task = self._loop.create_task(answer)
        self._task.add_done_callback(self._handled)
        self._phase = _Phase.ANSWER
        self._deadline = inf

    def _handled(self, task: asyncio.Task[Answer]) -> None:
        self._task = None
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if self._phase is _Phase.CLOSING or self._eof:
            if error is None and isinstance(answer := task.result(), Takeover):
                answer.abandon()
            self._report(_CLIENT_CLOSED, 0)
            return
        assert self._request is not None
        self._answer(task.result() if error is None else _failure(self._request, error))
        self._go_on()

    def _answer(self, answer: Answer) -> None:
        if isinstance(answer, Takeover):
            self._take_over(answer)
        elif isinstance(answer, Streamed):
            self._send_as_it_comes(answer)
        else:
            self._respond(answer)

    def _respond(self, response: Response) -> None:
        """Write a whole answer; its body is never copied when it is large."""
        keep = self._reader.head.keep_alive and not self._connections.draining
        head, response = self._render(response, keep)
        body = response.body
        if not body or response.bodiless or self._reader.head.method == "HEAD":
            body = b""
            self._transport.write(head)
        elif len(body) <= _JOIN_MAX:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
        self._reading.wrote(len(head) + len(body))
        self._answered(response.status, len(head) + len(body), keep)

    def _answered(self, status: int, sent: int, keep: bool) -> None:
        self._report(status, sent)
        if keep:
            self._enter(_Phase.IDLE, self._limits.idle_timeout)
        elif sent > _JOIN_MAX and self._transport.can_write_eof():
            # The kernel would hold the rest of it for as long as it takes: only a connection that is ours can be cut.
            self._linger()
        else:
            self._close()

    def _send_as_it_comes(self, streamed: Streamed) -> None:
        """Write the head, and the body as it comes in. Only its reader's progress counts against the deadline: how long
        the source may take is the handler's affair."""
        head = self._reader.head
        # Without a length HTTP/1.0 has no other end of a body than the connection's.
        keep = head.keep_alive and not self._connections.draining and (head.http11 or streamed.length is not None)
        chunked = head.http11 and streamed.length is None
        ending = CLOSE if not keep else KEEP if head.http11 else KEEP_HTTP10
        try:
            rendered = render_streamed_head(streamed, self._connections.stamp, ending, chunked=chunked)
        except ValueError as error:
            self._respond(_failure(self._request, error))
            return
        self._transport.write(rendered)
        self._reading.wrote(len(rendered))
        if head.method == "HEAD":
            self._answered(streamed.status, len(rendered), keep)
            return
        self._phase = _Phase.ANSWER
        self._deadline = inf
        sending = Sending(self._transport, streamed, self._reading.wrote, chunked=chunked, paused=self._write_paused)
        task = self._loop.create_task(sending.run())
        self._sending = (sending, task)
        task.add_done_callback(lambda task: self._sent(task, streamed.status, len(rendered), keep))

    def _sent(self, task: asyncio.Task[int], status: int, head: int, keep: bool) -> None:
        self._sending = None
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if self._phase is _Phase.CLOSING:
            self._report(_CLIENT_CLOSED, head)
        elif error is None:
            self._answered(status, head + task.result(), keep and not self._eof)
            self._go_on()
        else:
            if not isinstance(error, FastrelayError | EOFError):
                log.error("the body of an answer failed", exc_info=error)
            # Some of it may be sent: only a reset tells the reader that this is not the end.
            self._report(status, head)
            self._phase = _Phase.CLOSING
            reset_transport(self._transport)

    def _render(self, response: Response, keep: bool) -> tuple[bytes, Response]:
        ending = CLOSE if not keep else KEEP if self._reader.head.http11 else KEEP_HTTP10
        stamp = self._connections.stamp
        try:
            return render_head(response, stamp, ending), response
        except ValueError as error:
            response = _failure(self._request, error)
            return render_head(response, stamp, ending), response

    def _report(self, status: int, sent: int) -> None:
        if self._on_request_done is not None:
            seconds = self._loop.time() - self._handler_started if self._request is not None else 0.0
            self._on_request_done(self._peer[0], self._request, status, sent, seconds)
        self._request = None

    # -- a live stream takes over -------------------------------------------------------------------------------------

    def _take_over(self, takeover: Takeover) -> None:
        """Once earlier answers are sent; the kernel has them then, and nothing of ours is behind the socket."""
        self._phase = _Phase.ANSWER
        self._deadline = inf
        self._takeover = takeover
        if self._transport.get_write_buffer_size():
            self._transport.set_write_buffer_limits(0)
        else:
            self._hand_over(takeover)

    def _hand_over(self, takeover: Takeover) -> None:
        self._takeover = None
        try:
            head = render_takeover_head(takeover, self._connections.stamp)
            if self._reader.head.method == "HEAD":
                self._transport.write(head)
                self._report(200, len(head))
                self._close()
                return
            outlet = outlet_of(self._loop, self._transport, self._slot.release)
        except (OSError, ValueError) as error:
            takeover.abandon()
            self._respond(_failure(self._request, error))
            return
        self._handed_over = True
        self._phase = _Phase.CLOSING
        self._connections.discard(self)
        if not takeover.logged_at_end:
            self._report(200, len(head))
        try:
            outlet.listen(takeover.attach(outlet, head))
        except Exception:
            log.exception("a live stream failed to take a viewer")
            outlet.reset()

    # -- the client reads, or does not --------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        self._write_paused = True
        if self._sending is not None:
            self._sending[0].pause()

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._sending is not None:
            self._sending[0].resume()
        if self._takeover is not None and not self._transport.get_write_buffer_size():
            self._hand_over(self._takeover)
        self._go_on()

    # -- deadlines ----------------------------------------------------------------------------------------------------

    def check(self, now: float) -> None:
        """See Connection. While an answer is being read, only its reader's progress counts."""
        if self._reading.owing:
            owed = self._transport.get_write_buffer_size() + in_kernel(self._transport)
            if owed:
                self._check_reader(owed, now)
                return
            self._reading.done()
        if now < self._deadline:
            return
        if self._phase in (_Phase.HEAD, _Phase.BODY):
            self._refuse(error_response(408, "request_timeout", "the request took too long to arrive"))
        elif self._phase is _Phase.CLOSING:
            self.abort()
        else:
            self._close()

    def drain(self) -> None:
        """See Connection."""
        if self._phase is _Phase.IDLE and not self._held():
            self._transport.close()

    def abort(self) -> None:
        """See Connection."""
        self._transport.abort()

    def _enter(self, phase: _Phase, seconds: float) -> None:
        self._phase = phase
        self._deadline = self._loop.time() + seconds

    def _check_reader(self, owed: int, now: float) -> None:
        if self._reading.is_too_slow(owed, now, self._limits):
            reset_transport(self._transport)
            return
        if self._phase is _Phase.IDLE:
            self._deadline = now + self._limits.idle_timeout
        elif self._phase is _Phase.CLOSING:
            self._deadline = now + self._limits.linger_timeout

    # -- the end ------------------------------------------------------------------------------------------------------

    def _refuse(self, response: Response) -> None:
        """The last answer of a connection whose bytes cannot be trusted to be requests any more."""
        self._break_off()
        head = render_head(response, self._connections.stamp, CLOSE)
        body = b"" if self._reader.asks_for_head else response.body
        self._transport.write(head + body)
        self._reading.wrote(len(head) + len(body))
        self._request = None
        self._report(response.status, len(head) + len(body))
        self._linger()

    def _close(self) -> None:
        """After a last answer: what the client has sent beyond it must not turn our close into a reset."""
        if self._reader.buffered and not self._eof:
            self._linger()
        else:
            self._phase = _Phase.CLOSING
            self._transport.close()

    def _linger(self) -> None:
        """Say that we are done, and read on for a while: closing with unread bytes would send a reset, and that
        makes the client lose an answer it has not read yet (RFC 9112 §9.6)."""
        self._enter(_Phase.CLOSING, self._limits.linger_timeout)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._transport.resume_reading()

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > self._limits.linger_bytes:
            self.abort()


def _failure(request: Request | None, error: BaseException) -> Response:
    """The answer to a handler's exception. What is not a RequestError is our bug: logged, never shown."""
    if isinstance(error, RequestError):
        return error_response(error.status, error.code, error.message, error.headers)
    where = f"{request.method} {request.path}" if request is not None else "a request"
    log.error("the handler of %s failed", where, exc_info=error)
    return _INTERNAL_ERROR
