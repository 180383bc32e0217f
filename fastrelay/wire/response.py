"""Answers: whole ones as bytes, those whose body is still coming in, and the takeover of a socket for a live stream."""

import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Protocol

import orjson

from fastrelay import __version__
from fastrelay.errors import RequestError

Headers = tuple[tuple[str, str], ...]

KEEP = b"\r\n"
KEEP_HTTP10 = b"Connection: keep-alive\r\n\r\n"
CLOSE = b"Connection: close\r\n\r\n"
"""The end of a head: what becomes of the connection afterwards (RFC 9112 §9.3; 1.1 keeps it without a word)."""

_NOSNIFF_TYPES = ("application/json", "text/html", "text/plain")
_BODILESS = frozenset({204, 304})
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "date", "server"})


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer. The protocol adds Date, Server, Content-Length and Connection.

    It may be answered any number of times: what does not change of its head is rendered once and kept.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Headers = ()
    measured: bool = True
    """False for the answer to a HEAD whose body nobody made: a length would be a guess (RFC 9110 §8.6)."""
    _fixed: bytes = field(default=b"", init=False, repr=False, compare=False)
    _kept: tuple[bytes, bytes] = field(default=(b"", b""), init=False, repr=False, compare=False)

    @property
    def bodiless(self) -> bool:
        """204 and 304 end with their head (RFC 9110 §15.3.5, §15.4.5)."""
        return self.status in _BODILESS


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer whose body is still coming in: sent piece by piece, no faster than its reader takes it.

    `length` is what all pieces have together, None when nobody knows yet: then the body is chunked (to HTTP/1.0 it
    ends with the connection). The generator is closed when the reader has left, and is never begun for HEAD. When it
    raises, or ends before `length`, the connection is reset: that is how the reader knows that it was not all.
    """

    pieces: AsyncGenerator[bytes, None]
    length: int | None
    status: int = 200
    content_type: str = "application/octet-stream"
    headers: Headers = ()


class Outlet(Protocol):
    """The writing end of a live viewer's socket. Whoever holds it owns the socket.

    Nothing written is ever queued by reference: what `send` reports as taken has been copied by the kernel
    (or, with TLS, into the transport) before it returns.
    """

    write: Callable[[memoryview], int]
    """The bare call behind `send`, for one part: raises BlockingIOError instead of taking nothing. Thousands of them
    are made in a row, and a function of ours around each would cost as much as all else that is not the kernel."""

    def send(self, *parts: memoryview) -> int:
        """Take as much as fits, now, and say how many bytes; 0 when the socket is full.

        Raises OSError when the viewer is gone.
        """

    def watch(self, writable: Callable[[], None]) -> None:
        """Call `writable` whenever more fits, until `unwatch`."""

    def unwatch(self) -> None:
        """Stop calling; idempotent."""

    def finish(self) -> None:
        """Everything was sent: close in order, the peer reads all of it, then EOF. Idempotent."""

    def reset(self) -> None:
        """Drop: the peer sees a reset at once (SO_LINGER 0). Idempotent."""


def _nothing() -> None:
    """Nothing was reserved."""


@dataclass(frozen=True, slots=True)
class Takeover:
    """Hand the connection's socket over to a live stream.

    The protocol renders the head (status 200, these headers, Date, Server, `Connection: close`) and calls
    `attach(outlet, head)` once; the new owner sends the head itself. What `attach` returns is called once, from the
    loop, when the peer has left (EOF or error on its side), unless the owner closed the outlet first.

    Where `attach` is not called because the viewer left meanwhile, `abandon` is: what was reserved for him is given
    back. For HEAD neither is called, only the head is sent: reserve nothing.
    """

    attach: Callable[[Outlet, bytes], Callable[[], None]]
    abandon: Callable[[], None] = _nothing
    content_type: str = "video/mp2t"
    headers: Headers = ()
    logged_at_end: bool = False
    """Whoever takes the socket writes the access line himself, when the viewer has gone."""


def json_response(value: Any, status: int = 200, headers: Headers = ()) -> Response:
    """`value` as JSON; dataclasses, datetimes and UUIDs as orjson writes them."""
    return Response(status, orjson.dumps(value), headers=headers)


def error_response(status: int, code: str, message: str, headers: Headers = ()) -> Response:
    """The one shape of errors: a stable code for programs, a text for people."""
    return json_response({"error": {"code": code, "message": message}}, status, headers)


def response_to(error: RequestError) -> Response:
    """What the error says to the client."""
    return error_response(error.status, error.code, error.message, error.headers)


def stamp(unix_time: float) -> bytes:
    """The Date and Server lines of every answer given in this second."""
    return f"Date: {formatdate(unix_time, usegmt=True)}\r\nServer: fastrelay/{__version__}\r\n".encode()


def render_head(response: Response, stamp: bytes, ending: bytes) -> bytes:
    """The whole head of `response`; `ending` is KEEP, KEEP_HTTP10 or CLOSE.

    Raises ValueError when a header's name or value cannot be sent (line breaks would forge headers), or is one that
    only the protocol may write.
    """
    fixed = response._fixed
    if not fixed:
        length = b"" if response.bodiless or not response.measured else b"Content-Length: %d\r\n" % len(response.body)
        fixed = _fixed_part(response.status, response.content_type, response.headers) + length
        object.__setattr__(response, "_fixed", fixed)
    return fixed + stamp + ending


def render(response: Response, stamp: bytes, ending: bytes = KEEP) -> bytes:
    """Head and body in one piece."""
    head = render_head(response, stamp, ending)
    return head if response.bodiless else head + response.body


def render_kept(response: Response, stamp: bytes) -> bytes:
    """The same, for a small answer on a connection that is kept: one object for all who ask under this stamp."""
    known, whole = response._kept
    if known is not stamp:
        whole = render(response, stamp)
        object.__setattr__(response, "_kept", (stamp, whole))
    return whole


def render_takeover_head(takeover: Takeover, stamp: bytes) -> bytes:
    """The head of a live stream: no length, it lasts until the connection closes (RFC 9112 §6.3 case 8)."""
    return _fixed_part(200, takeover.content_type, takeover.headers) + stamp + CLOSE


def render_streamed_head(streamed: Streamed, stamp: bytes, ending: bytes, *, chunked: bool) -> bytes:
    """The head of an answer that is sent as it comes in. Raises ValueError as `render_head` does."""
    length = b"" if streamed.length is None else b"Content-Length: %d\r\n" % streamed.length
    framing = b"Transfer-Encoding: chunked\r\n" if chunked else length
    return _fixed_part(streamed.status, streamed.content_type, streamed.headers) + framing + stamp + ending


def _fixed_part(status: int, content_type: str, headers: Headers) -> bytes:
    lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status]
    if content_type:
        lines.append(_line("Content-Type", content_type))
    if content_type.startswith(_NOSNIFF_TYPES):
        lines.append(b"X-Content-Type-Options: nosniff\r\n")
    for name, value in headers:
        if name.lower() in _OURS:
            raise ValueError(f"the header {name} is written by the protocol alone")
        lines.append(_line(name, value))
    return b"".join(lines)


def _line(name: str, value: str) -> bytes:
    if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
        raise ValueError(f"not sendable as a header: {name!r}")
    return f"{name}: {value}\r\n".encode("latin-1")
