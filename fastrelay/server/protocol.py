"""One HTTP/1.1 connection, from its first byte to its last.

Read it top to bottom: bytes come in, a head is found, then a body, the request is exchanged for an answer (see
exchange.py), the connection is kept, closed or handed over to a live stream. One request is worked on at a time;
pipelined ones wait as bytes, so answers are in order and nothing is parsed ahead.
"""

import asyncio
from enum import Enum, auto
from math import inf
from typing import cast

from fastrelay.errors import RequestError
from fastrelay.server.answers import JOIN_MAX, Answers
from fastrelay.server.connections import Connections, Slot
from fastrelay.server.exchange import End, Exchange, RequestDone
from fastrelay.server.repeated import Repeated, repeated
from fastrelay.server.transport import reset_transport
from fastrelay.wire.reader import HeadParser, RequestReader
from fastrelay.wire.request import Upload, Write
from fastrelay.wire.response import Response, error_response, response_to

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class _Phase(Enum):
    IDLE = auto()
    """Between requests."""
    HEAD = auto()
    """A head has begun."""
    BODY = auto()
    """The head is read, its body is coming."""
    ANSWER = auto()
    """An exchange is busy."""
    CLOSING = auto()
    """The last answer is on its way out; what still comes in is thrown away."""


_IDLE = _Phase.IDLE  # looked at for every poll: by way of its class that takes several times as long


class HttpProtocol(asyncio.Protocol):
    """Drives one connection; deadlines come from the table's tick (`check`)."""

    __slots__ = (
        "_again", "_answers", "_connections", "_deadline", "_discarded", "_done", "_eof", "_exchange", "_handed_over",
        "_limits", "_local", "_loop", "_peer", "_phase", "_reader", "_refusal", "_secure", "_slot", "_transport",
        "_turn", "_upload",
    )  # fmt: skip

    _transport: asyncio.Transport
    _answers: Answers
    _exchange: Exchange

    def __init__(
        self,
        heads: HeadParser,
        connections: Connections,
        loop: asyncio.AbstractEventLoop,
        peer: tuple[str, int],
        slot: Slot,
        refusal: Response | None = None,
        done: RequestDone | None = None,
    ) -> None:
        """With a `refusal` the connection is answered with it and closed, whatever it asks for. `done` is called for
        each request (see access.py)."""
        self._reader = RequestReader(heads, self._receive)
        self._connections = connections
        self._limits = connections.limits
        self._loop = loop
        self._peer = peer
        self._slot = slot
        self._refusal = refusal
        self._done = done
        self._phase = _Phase.IDLE
        self._deadline = inf
        self._upload: Upload | None = None
        self._turn: asyncio.Handle | None = None
        self._eof = False
        self._handed_over = False
        self._discarded = 0
        self._again: Repeated | None = None

    # -- bytes come in ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._answers = Answers(self._transport, self._connections, self._loop)
        self._exchange = Exchange(
            self._transport, self._answers, self._connections, self._loop, self._slot, self._over, self._done
        )
        self._local = self._transport.get_extra_info("sockname")[:2]
        self._secure = self._transport.get_extra_info("ssl_object") is not None
        self._connections.add(self)
        self._deadline = self._loop.time() + self._limits.head_timeout
        if self._refusal is not None:
            self._refuse(self._refusal)

    def data_received(self, data: bytes) -> None:
        again = self._again
        if again is None or again.data != data:
            again = self._connections.common.find(data)
        if again is not None and self._repeats(again):
            return
        if self._phase is _Phase.CLOSING:
            self._discard(len(data))
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
        waiting = self._turn is not None or self._answers.full
        stays = waiting and self._phase is _Phase.IDLE and not self._secure
        if not stays:
            self._exchange.abandon()
        return stays

    def connection_lost(self, exc: Exception | None) -> None:
        self._phase = _Phase.CLOSING
        self._connections.discard(self)
        self._exchange.abandon()
        if self._turn is not None:
            self._turn.cancel()
        self._break_off()
        if not self._handed_over:
            self._slot.release()

    def _held(self) -> bool:
        """Must the next request wait? For the answer in work, for the client to read, or for the others' turn."""
        phase = self._phase
        return phase is _Phase.ANSWER or phase is _Phase.CLOSING or self._answers.full or self._turn is not None

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
            self._refuse(response_to(error))
        if not self._held():
            self._await_rest()

    def _repeats(self, again: Repeated) -> bool:
        """Players poll, and ask for the same segments: answer what was asked with the very same bytes as before, if
        that is all there is to answer."""
        held = self._answers.full or self._turn is not None
        if self._phase is not _IDLE or held or self._connections.draining:
            return False
        answer = again.answer(self._peer[0])
        if answer is None:
            if again is self._again:
                self._again = None
            else:
                self._connections.common.forget(again.data)
            return False
        sent = self._answers.write_again(answer)
        self._deadline = self._loop.time() + self._limits.idle_timeout
        if self._done is not None:
            self._done(again.request, answer.status, sent, 0.0)
        return True

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
        # After its end nothing more comes: reading on would only tell of it again, in the midst of the next answer.
        if self._reader.buffered <= self._limits.read_ahead and self._phase is not _Phase.CLOSING and not self._eof:
            self._transport.resume_reading()

    def _receive(self) -> Write:
        """Where the body goes that is about to come. Raises RequestError when it is not wanted."""
        receive = self._reader.route.receive
        assert receive is not None
        self._upload = receive(self._reader.request(b"", self._peer, self._local, self._secure), self._transport)
        return self._upload.write

    def _break_off(self) -> None:
        if self._upload is not None:
            self._upload.discard()
            self._upload = None

    # -- its answer ---------------------------------------------------------------------------------------------------

    def _handle(self, body: bytes) -> None:
        reader = self._reader
        request = reader.request(body, self._peer, self._local, self._secure)
        request.upload, self._upload = self._upload, None
        self._exchange.begin(request, reader.head, reader.route.handler)
        if request.again is not None:
            self._again = repeated(request, reader) or self._again
        if request.for_all is not None:
            self._connections.common.remember(request, reader)
        if self._exchange.busy:
            self._enter(_Phase.ANSWER, inf)

    def _over(self, end: End, sent: int) -> None:
        waited = self._phase is _Phase.ANSWER
        if end is End.KEPT:
            self._enter(_Phase.IDLE, self._limits.idle_timeout)
        elif end is End.TAKEN:
            self._handed_over = True
            self._phase = _Phase.CLOSING
            self._connections.discard(self)
        elif end is End.BROKEN:
            self._phase = _Phase.CLOSING
            reset_transport(self._transport)
        elif sent > JOIN_MAX and self._transport.can_write_eof():
            # The kernel would hold the rest of it for as long as it takes: only a connection that is ours can be cut.
            self._linger()
        else:
            self._close()
        if waited:
            self._go_on()

    # -- the client reads, or does not --------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        self._answers.pause()

    def resume_writing(self) -> None:
        self._answers.resume()
        self._exchange.resume()
        self._go_on()

    # -- deadlines ----------------------------------------------------------------------------------------------------

    def check(self, now: float) -> None:
        """See Connection. While an answer is being read, only its reader's progress counts."""
        owed = self._answers.owed()
        if owed:
            self._check_reader(owed, now)
            return
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
        if self._answers.is_too_slow(owed, now):
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
        sent = self._answers.write_last(response, bodiless=self._reader.asks_for_head)
        if self._done is not None:
            self._done(None, response.status, sent, 0.0)
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
