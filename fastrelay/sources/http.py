"""The HTTP client of one source: its own connections, cookies and headers, shared with no other source.

aiohttp's defaults suit web pages, not live streams; what is changed here and why: no total timeout and no connection
limit, no proxies from the environment, no automatic redirects (each hop is checked), no automatic decompression
(media bytes are passed on as they came).
"""

import asyncio
import contextlib
import os
import socket
import ssl
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

import aiohttp
from yarl import URL

from fastrelay import __version__
from fastrelay.config import Failover
from fastrelay.errors import (
    ConnectError,
    EndOfStreamError,
    FormatError,
    HttpStatusError,
    SourceRefusedError,
    StallError,
    StatusError,
)
from fastrelay.sources.addresses import AddressPolicy
from fastrelay.sources.resolver import CheckedResolver
from fastrelay.wire.source_url import redact

if TYPE_CHECKING:
    from aiohttp.connector import AddrInfoType

MAX_REDIRECTS = 5
READ_BUFFER = 256 * 1024
"""aiohttp stops reading from the socket at twice this many unread bytes: the back-pressure."""

DEFAULT_USER_AGENT = f"fastrelay/{__version__}"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ANYWHERE = frozenset({"user-agent", "referer"})
"""Headers that go along when a redirect leaves the origin they were meant for."""
_CREDENTIALS = frozenset({"authorization", "cookie"})
_ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_read=None, sock_connect=None)

Headers = tuple[tuple[str, str], ...]


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
        return self.header("Content-Range")

    @property
    def content_length(self) -> int | None:
        """Bytes of the body as it comes; None when they are not announced."""
        return self._response.content_length

    @property
    def compressed(self) -> bool:
        return self.header("Content-Encoding").strip().lower() in _ENCODINGS

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
            raise EndOfStreamError(f"{redact(self.url)}: the transfer broke off ({_brief(error)})") from None

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


class HttpClient:
    """Requests of one source. Cookies it is given come back to the same hosts only, and never to another source.

    `single`: never more than one connection, also over redirects and to several hosts; for requests in turn.
    """

    def __init__(
        self,
        url: str,
        headers: Headers,
        *,
        policy: AddressPolicy,
        failover: Failover,
        user_agent: str | None = None,
        single: bool = False,
    ) -> None:
        self._single = single
        self._policy = policy
        self._failover = failover
        self._home = _origin(_to_url(url))
        self._headers = {"User-Agent": user_agent or DEFAULT_USER_AGENT, "Accept": "*/*"}
        own = _userinfo(_to_url(url))
        self._suffix = {name.title(): value for name, value in (*own, *headers)}
        self._sockets: list[socket.socket] = []
        connector = aiohttp.TCPConnector(
            limit=0,
            resolver=CheckedResolver(policy),
            use_dns_cache=False,
            socket_factory=self._socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            timeout=_NO_TIMEOUT,
            trust_env=False,
            auto_decompress=False,
            read_bufsize=READ_BUFFER,
            max_line_size=32 * 1024,
            max_field_size=32 * 1024,
            trace_configs=[_tracing()],
        )

    async def get(
        self,
        url: str,
        *,
        span: tuple[int, int] | None = None,
        compressed: bool = False,
        conditions: Headers = (),
        patience: float | None = None,
    ) -> Reply:
        """GET, following up to 5 redirects; `span` is (offset, length) in bytes, `compressed` allows gzip.

        With `conditions` (If-None-Match and the like) the answer may be 304. `patience` are the seconds that the answer
        may take where the provider was asked to hold it back, instead of failover.first_byte_timeout.

        Raises SourceRefusedError (scheme or address, at any hop), ConnectError, StallError (no answer in time),
        StatusError (not 2xx, too many redirects), FormatError (not HTTP).
        """
        fields = {"Accept-Encoding": "gzip" if compressed else "identity"}
        if span is not None:
            fields["Range"] = f"bytes={span[0]}-{span[0] + span[1] - 1}"
        fields |= conditions
        current = _to_url(url)
        suffix = self._for_origin(_origin(current))
        redirected = False
        for _ in range(MAX_REDIRECTS + 1):
            own = dict(_userinfo(current))
            response, by = await self._request(current, {**self._headers, **suffix, **own, **fields}, patience)
            if 200 <= response.status < 300 or (conditions and response.status == 304):
                return Reply(response, str(current.with_user(None)), by, self._socket_of(response), redirected)
            target = await self._rejected(response, current)
            if _origin(target) != _origin(current):
                suffix = {name: value for name, value in suffix.items() if name.lower() in _ANYWHERE}
            current, redirected = target, True
        raise StatusError(f"{redact(url)}: redirected more than {MAX_REDIRECTS} times")

    async def close(self) -> None:
        """Close every connection and wait until none is left. Idempotent, never raises."""
        await self._session.close()
        # A TLS connection may still be waiting for the peer's good-bye, and a cancelled request leaves its own a moment
        # later. The provider counts connections: end them on the wire now. What is left of them goes by itself.
        self._shut_down()
        self._sockets.clear()
        await asyncio.sleep(0)

    def _for_origin(self, origin: tuple[str, str, int]) -> dict[str, str]:
        """The suffix's headers for a request that the source itself names; another host gets no credentials."""
        if origin == self._home:
            return self._suffix
        return {name: value for name, value in self._suffix.items() if name.lower() not in _CREDENTIALS}

    def _socket(self, info: "AddrInfoType") -> socket.socket:
        """The socket for an address about to be dialled. Every connection comes through here, names and literals."""
        family, kind, proto, _, address = info
        self._policy.require(str(address[0]), str(address[0]), int(address[1]))
        sock = socket.socket(family, kind, proto)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 20_000)  # milliseconds
        if self._single:
            self._shut_down()
        self._sockets = [one for one in self._sockets if one.fileno() >= 0] + [sock]
        return sock

    def _shut_down(self) -> None:
        """End every connection on the wire now, also one that is kept for the next request or is being made."""
        for sock in self._sockets:
            if sock.fileno() >= 0:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def _socket_of(self, response: aiohttp.ClientResponse) -> socket.socket | None:
        """The socket an answer comes over; None when the whole answer is here already."""
        transport = response.connection.transport if response.connection is not None else None
        if transport is None:
            return None
        number = transport.get_extra_info("socket").fileno()
        return next((sock for sock in self._sockets if sock.fileno() == number), None)

    async def _request(
        self, url: URL, headers: dict[str, str], patience: float | None
    ) -> tuple[aiohttp.ClientResponse, float]:
        """One hop. The connection has connect_timeout, then the answer's head has first_byte_timeout, or `patience`."""
        connect, first_byte = self._failover.connect_timeout, patience or self._failover.first_byte_timeout
        hop = SimpleNamespace(connected=False, first_byte=first_byte, clock=None)
        target = url.with_user(None)
        shown = redact(str(target))
        try:
            async with asyncio.timeout(connect) as hop.clock:
                response = await self._session.get(
                    target, headers=headers, allow_redirects=False, trace_request_ctx=hop
                )
        except TimeoutError:
            if hop.connected:
                raise StallError(f"{shown}: no answer within {first_byte:g} s") from None
            raise ConnectError(f"{shown}: no connection within {connect:g} s") from None
        except aiohttp.InvalidURL:
            raise SourceRefusedError(f"{shown}: the host is not a valid name or address") from None
        except aiohttp.ClientResponseError as error:
            raise FormatError(f"{shown}: the answer is not HTTP ({_brief(error)})") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectError(f"{shown}: {_why(error, hop.connected)}") from None
        return response, hop.clock.when() or 0.0

    async def _rejected(self, response: aiohttp.ClientResponse, url: URL) -> URL:
        """Where a redirect leads; raises StatusError for every other answer. The body is not waited for."""
        status, location = response.status, response.headers.get("Location")
        await Reply(response, "", 0.0).abort()
        if status not in _REDIRECTS or not location:
            raise HttpStatusError(status, f"{redact(str(url))}: the source answered with status {status}")
        try:
            return _to_url(urljoin(str(url), location))
        except (SourceRefusedError, ValueError) as error:
            why = str(error) if isinstance(error, SourceRefusedError) else "it is not valid"
            raise SourceRefusedError(f"{redact(str(url))}: redirected to a URL that is refused: {why}") from None


@contextlib.asynccontextmanager
async def within(seconds: float, text: str) -> AsyncIterator[None]:
    """Raises StallError(text) when the block takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise StallError(text) from None


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


def _tracing() -> aiohttp.TraceConfig:
    """Tells a hop when its connection stands: from then on it is the answer that is waited for."""
    tracing = aiohttp.TraceConfig()

    async def connected(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
        hop = context.trace_request_ctx
        hop.connected = True
        hop.clock.reschedule(asyncio.get_running_loop().time() + hop.first_byte)

    tracing.on_connection_create_end.append(connected)
    tracing.on_connection_reuseconn.append(connected)
    return tracing


def _to_url(text: str) -> URL:
    """A URL to fetch; raises SourceRefusedError for other schemes than http and https, or no valid host.

    What is plain ASCII stays as it is, byte for byte: signatures in URLs do not survive normalising.
    """
    text = text.partition("#")[0]
    try:
        scheme = urlsplit(text).scheme.lower()
        if scheme not in ("http", "https"):
            raise SourceRefusedError(f"the scheme {scheme!r} is not allowed here, expected http or https")
        url = URL(text, encoded=text.isascii() and text.isprintable() and " " not in text)
        if url.host and url.port:
            return url
    except ValueError:
        pass
    raise SourceRefusedError("the URL has no valid host or port")


def _origin(url: URL) -> tuple[str, str, int]:
    return url.scheme, (url.host or "").lower(), url.port or 0


def _userinfo(url: URL) -> Headers:
    """`user:password@` of a URL as the header it stands for (RFC 7617)."""
    if url.raw_user is None and url.raw_password is None:
        return ()
    pair = f"{unquote(url.raw_user or '')}:{unquote(url.raw_password or '')}"
    return (("Authorization", f"Basic {b64encode(pair.encode()).decode()}"),)


def _why(error: Exception, connected: bool) -> str:
    """What went wrong before an answer came, in a few words."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host name cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"the TLS certificate is not valid ({_brief(error.certificate_error)})"
    if isinstance(error, aiohttp.ClientSSLError):
        return f"the TLS handshake failed ({_brief(error)})"
    if connected:
        return "the connection was closed before an answer came"
    return f"no connection ({_brief(error)})"


def _brief(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)
    return type(error).__name__
