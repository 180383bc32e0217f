"""From a connection's bytes to requests, one at a time and in order, whatever the split of the bytes."""

from collections.abc import Callable
from functools import lru_cache

from fastrelay.wire.body import ChunkedBody, SizedBody, too_large
from fastrelay.wire.head import Head, find_head, parse_head
from fastrelay.wire.request import Request, Write
from fastrelay.wire.router import Route, Router

_CACHED_HEADS = 1024
_CACHED_HEAD_MAX = 1024  # bytes: with this many heads of this size the cache stays at a few megabytes

RoutedHead = tuple[Head, Route, dict[str, str]]
"""A head, its route and the parameters its path gives to the route's pattern. Shared: not to be changed."""


class HeadParser:
    """Parses and routes heads for all connections, remembering recent ones.

    Players repeat themselves: one reloads its playlist with the very same bytes, and all of one kind ask for the
    newest segment with the same bytes. The bytes are the whole key, so remembering cannot change an answer.
    """

    def __init__(self, router: Router) -> None:
        self._router = router
        self._parse_known = lru_cache(_CACHED_HEADS)(self._parse)

    def parse(self, data: bytes) -> RoutedHead:
        """One complete head. Raises RequestError as `parse_head` does."""
        return self._parse_known(data) if len(data) <= _CACHED_HEAD_MAX else self._parse(data)

    def _parse(self, data: bytes) -> RoutedHead:
        head = parse_head(data)
        route, params = self._router.resolve(head.method, head.target)
        return head, route, params


class RequestReader:
    """Holds what came in and is not yet read. After `read` raised, nothing more may be read.

    The route is looked up as soon as the head is there, because it says how large the body may be, and where it goes:
    `receive` is called for the upload of a route that receives its bodies piece by piece.
    """

    __slots__ = ("_alone", "_body", "_buffer", "_heads", "_receive", "_start", "head", "in_body", "params", "route")

    head: Head
    route: Route
    params: dict[str, str]

    def __init__(self, heads: HeadParser, receive: Callable[[], Write] | None = None) -> None:
        self._heads = heads
        self._receive = receive
        self._buffer = b""
        self._start = 0
        self._alone = False
        """The last request began where the buffer does."""
        self._body: SizedBody | ChunkedBody
        self.in_body = False
        """A head is read and its body is not complete."""

    @property
    def buffered(self) -> int:
        """Bytes that are not yet read."""
        return len(self._buffer) - self._start

    def feed(self, data: bytes) -> None:
        """Take what the connection received."""
        self._buffer = self._buffer[self._start :] + data if self._start < len(self._buffer) else data
        self._start = 0

    def read(self) -> bytes | None:
        """The body of the next complete request, which `head`, `route` and `params` describe; None if there is none.
        Empty where it went into an upload.

        Raises RequestError for what is no request, or one too large.
        """
        if self.in_body:
            return self._read_body()
        if self._start >= len(self._buffer):
            return None
        end = find_head(self._buffer, self._start)
        if not end:
            return None
        self.head, self.route, self.params = self._heads.parse(self._buffer[self._start : end])
        self._alone = not self._start
        self._start = end
        head = self.head
        if not head.length and not head.chunked:
            return b""
        self.in_body = True
        limit = self.route.body_limit
        if head.length > limit:
            raise too_large(limit)
        take = None
        if self.route.receive is not None and self._receive is not None:
            take = self._receive()
        self._body = ChunkedBody(limit, take) if head.chunked else SizedBody(head.length, limit, take)
        return self._read_body()

    def request(self, body: bytes, peer: tuple[str, int], local: tuple[str, int], secure: bool) -> Request:
        """The request of the last head, with a `body`. What of it handlers may change is its own."""
        head = self.head
        to = head.target
        query, headers, params = to.query.copy(), head.headers.copy(), self.params.copy()
        return Request(head.method, to.text, to.path, query, headers, peer, local, secure, body, params)

    @property
    def alone(self) -> bytes | None:
        """The bytes of the last request, which has no body, if nothing came before or behind it since the last feed."""
        return self._buffer if self._alone and self._start == len(self._buffer) else None

    @property
    def wants_continue(self) -> bool:
        """Does the client wait for a word before it sends the body (RFC 9110 §10.1.1)?"""
        return self.in_body and self.head.expects_continue and not self._body.size

    @property
    def asks_for_head(self) -> bool:
        """Is the request in work, readable or not, a HEAD, whose answer never has a body?"""
        return self.head.method == "HEAD" if self.in_body else self._buffer.startswith(b"HEAD ", self._start)

    def _read_body(self) -> bytes | None:
        self._buffer = self._body.feed(self._buffer[self._start :])
        self._start = 0
        if not self._body.done:
            return None
        self.in_body = False
        return bytes(self._body.data)
