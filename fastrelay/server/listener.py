"""The listening sockets: binding, TLS, accepting within the limits, and the orderly end."""

import asyncio
import errno
import logging
import re
import socket
import ssl
from collections.abc import Callable
from math import ceil
from typing import Any

from fastrelay.config import Server
from fastrelay.errors import ConfigError
from fastrelay.server.connections import Connections, Slot
from fastrelay.server.exchange import RequestDone
from fastrelay.server.limits import Limits
from fastrelay.server.protocol import HttpProtocol
from fastrelay.wire.reader import HeadParser
from fastrelay.wire.response import Response, error_response
from fastrelay.wire.router import Router

log = logging.getLogger(__name__)

BACKLOG = 4096
"""Connections the kernel holds until they are accepted (it takes the least of this and net.core.somaxconn)."""
USER_TIMEOUT = 20
"""Seconds after which a peer that acknowledges nothing is dead, at the least."""
_KERNEL_LATER = 5
"""Seconds. To the kernel a peer that takes nothing is dead, too, however alive: how long he may is our decision."""

_ACCEPT_BATCH = 64  # accepted per wake-up, then the other connections get their turn
_PAUSE = 0.1  # seconds without accepting when the process is out of descriptors
_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_HOST_PORT = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%a-z]+)\]|(?P<name>[^\[\]:]+)):(?P<port>[0-9]{1,5})")
_TOO_MANY = error_response(503, "too_many_connections", "too many connections, try again", (("Retry-After", "5"),))


class Listener:
    """Accepts connections and gives each its protocol."""

    def __init__(
        self,
        router: Router,
        server: Server,
        *,
        limits: Limits | None = None,
        done_of: Callable[[str], RequestDone] | None = None,
    ) -> None:
        self._heads = HeadParser(router)
        self._server = server
        self._limits = limits
        self._done_of = done_of
        self._sockets: list[socket.socket] = []
        self._arrivals: set[asyncio.Task[None]] = set()
        self._resume: asyncio.TimerHandle | None = None

    @property
    def address(self) -> tuple[str, int]:
        """The first of `addresses`."""
        return self.addresses[0]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of all that is really bound: a name can stand for several addresses."""
        return [sock.getsockname()[:2] for sock in self._sockets]

    @property
    def connections(self) -> int:
        """Connections open now, live viewers included."""
        return self._connections.count

    async def start(self) -> None:
        """Bind and accept. Raises ConfigError for an address that cannot be bound or a certificate that is wrong."""
        self._loop = asyncio.get_running_loop()
        limits = self._limits or Limits.of(self._server)
        # First, so that a server that cannot start can be drained like any other.
        self._connections = Connections(limits, self._loop)
        self._ssl = tls_context(self._server)
        self._sockets = await _bind(self._loop, self._server.listen, limits)
        self._connections.start()
        self._accept_on()

    async def drain(self, deadline: float) -> None:
        """Accept nothing more, close idle connections, let running requests finish for at most `deadline` seconds.

        Live viewers are not touched: whoever took them over ends them.
        """
        self._accept_off()
        for sock in self._sockets:
            sock.close()
        for task in tuple(self._arrivals):
            task.cancel()
        await self._connections.drain(deadline)
        self._connections.stop()

    def _accept_on(self) -> None:
        self._resume = None
        for sock in self._sockets:
            self._loop.add_reader(sock.fileno(), self._accept, sock)

    def _accept_off(self) -> None:
        if self._resume is not None:
            self._resume.cancel()
        for sock in self._sockets:
            if sock.fileno() >= 0:
                self._loop.remove_reader(sock.fileno())

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_ACCEPT_BATCH):
            try:
                sock, address = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in _OUT_OF_RESOURCES:
                    continue  # this one went away while it waited
                self._pause_accepting(error)
                return
            self._welcome(sock, address)

    def _pause_accepting(self, error: OSError) -> None:
        """The waiting connection stays readable: going on would spin until a descriptor is free."""
        log.error("cannot accept connections for now: %s", error.strerror)
        self._accept_off()
        self._resume = self._loop.call_later(_PAUSE, self._accept_on)

    def _welcome(self, sock: socket.socket, address: tuple[str, int]) -> None:
        peer = (address[0].removeprefix("::ffff:"), address[1])
        refusal = None
        slot = self._connections.admit(peer[0])
        if slot is None:
            refusal = _TOO_MANY
            slot = self._connections.admit_to_refuse()
        if slot is None:
            sock.close()
            return
        sock.setblocking(False)
        task = self._loop.create_task(self._arrive(sock, peer, slot, refusal))
        self._arrivals.add(task)
        task.add_done_callback(self._arrivals.discard)

    async def _arrive(self, sock: socket.socket, peer: tuple[str, int], slot: Slot, refusal: Response | None) -> None:
        """Make the transport; with TLS this lasts until hands are shaken."""
        done = self._done_of(peer[0]) if self._done_of is not None else None
        protocol = HttpProtocol(self._heads, self._connections, self._loop, peer, slot, refusal, done)
        timeout = None if self._ssl is None else self._connections.limits.head_timeout
        try:
            await self._loop.connect_accepted_socket(
                lambda: protocol, sock, ssl=self._ssl, ssl_handshake_timeout=timeout
            )
        except OSError as error:
            log.debug("a connection from %s failed before its first request: %s", peer[0], error)
            slot.release()
            sock.close()
        except asyncio.CancelledError:
            slot.release()
            sock.close()
            raise


def tls_context(server: Server) -> ssl.SSLContext | None:
    """TLS 1.2 or newer with HTTP/1.1, or None where no certificate is configured. Raises ConfigError."""
    if server.tls_cert is None:
        if server.tls_key is not None:
            raise ConfigError("server.tls_cert", "expected a certificate beside server.tls_key")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # An empty pass phrase makes an encrypted key an error; without one OpenSSL would ask on the terminal.
        context.load_cert_chain(server.tls_cert, server.tls_key, password="")
    except (OSError, ValueError) as error:
        raise ConfigError("server.tls_cert", f"expected a PEM certificate with its key: {error}") from error
    return context


def split_listen(listen: str) -> tuple[str, int]:
    """`HOST:PORT` or `[IPv6]:PORT`. Raises ConfigError."""
    found = _HOST_PORT.fullmatch(listen)
    if found is None or int(found["port"]) > 65535:
        raise ConfigError("server.listen", f"expected HOST:PORT or [IPv6]:PORT, found {listen!r}")
    return found["v6"] or found["name"], int(found["port"])


async def _bind(loop: asyncio.AbstractEventLoop, listen: str, limits: Limits) -> list[socket.socket]:
    """A socket for each address the name has, all on one port."""
    host, port = split_listen(listen)
    sockets: list[socket.socket] = []
    user_timeout = max(USER_TIMEOUT, ceil(limits.write_timeout) + _KERNEL_LATER)
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((entry[0], entry[4]) for entry in found):
            sockets.append(_listen_on(family, (address[0], port, *address[2:]), limits.send_buffer, user_timeout))
            port = port or sockets[0].getsockname()[1]
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise ConfigError("server.listen", f"cannot listen on {listen}: {error.strerror or error}") from error
    return sockets


def _listen_on(family: int, address: tuple[Any, ...], send_buffer: int, user_timeout: int) -> socket.socket:
    """On Linux an accepted socket inherits these options, so accepting costs no call for them."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, USER_TIMEOUT // 2)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, USER_TIMEOUT // 4)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, user_timeout * 1000)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address[0] != "::")
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
