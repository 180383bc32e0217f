"""The HTTP client of one source: its own connections, cookies and headers, shared with no other source.

aiohttp's defaults suit web pages, not live streams; what is changed here and why: no total timeout and no connection
limit, no proxies from the environment, no automatic redirects (each hop is checked), no automatic decompression
(media bytes are passed on as they came).
"""

import asyncio
import contextlib
import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import aiohttp
from yarl import URL

from fastrelay import __version__
from fastrelay.config import Failover
from fastrelay.errors import (
    ConnectError,
    FormatError,
    HttpStatusError,
    SourceRefusedError,
    StallError,
    StatusError,
)
from fastrelay.sources.addresses import AddressPolicy
from fastrelay.sources.http_errors import brief, why
from fastrelay.sources.http_reply import Reply
from fastrelay.sources.http_url import Headers, origin, to_url, userinfo
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
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_read=None, sock_connect=None)


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
        self._home = origin(to_url(url))
        self._headers = {"User-Agent": user_agent or DEFAULT_USER_AGENT, "Accept": "*/*"}
        own = userinfo(to_url(url))
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
        current = to_url(url)
        suffix = self._headers_for(current)
        redirected = False
        for _ in range(MAX_REDIRECTS + 1):
            own = dict(userinfo(current))
            response, by = await self._request(current, {**self._headers, **suffix, **own, **fields}, patience)
            if 200 <= response.status < 300 or (conditions and response.status == 304):
                return Reply(response, str(current.with_user(None)), by, self._socket_of(response), redirected)
            target = await self._rejected(response, current)
            if origin(target) != origin(current):
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

    def _headers_for(self, url: URL) -> dict[str, str]:
        """The suffix's headers for a request that the source itself names; another host gets no credentials."""
        if origin(url) == self._home:
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
            raise FormatError(f"{shown}: the answer is not HTTP ({brief(error)})") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectError(f"{shown}: {why(error, hop.connected)}") from None
        return response, hop.clock.when() or 0.0

    async def _rejected(self, response: aiohttp.ClientResponse, url: URL) -> URL:
        """Where a redirect leads; raises StatusError for every other answer. The body is not waited for."""
        status, location = response.status, response.headers.get("Location")
        await Reply(response, "", 0.0).abort()
        if status not in _REDIRECTS or not location:
            raise HttpStatusError(status, f"{redact(str(url))}: the source answered with status {status}")
        try:
            return to_url(urljoin(str(url), location))
        except (SourceRefusedError, ValueError) as error:
            reason = str(error) if isinstance(error, SourceRefusedError) else "it is not valid"
            raise SourceRefusedError(f"{redact(str(url))}: redirected to a URL that is refused: {reason}") from None


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
