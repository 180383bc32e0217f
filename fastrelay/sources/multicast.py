"""Sockets that receive a UDP stream: bound so that nothing else mixes in, joined where it is a multicast group."""

import contextlib
import ipaddress
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

RECEIVE_BUFFER = 4 << 20
"""Bytes of kernel buffer to ask for: some hundred milliseconds of a fat stream while the loop is busy."""

# Of Linux' headers; the socket module does not name them.
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_IP_ADD_SOURCE_MEMBERSHIP = 39
_IP_MULTICAST_ALL = 49
_IPV6_MULTICAST_ALL = 29
_MCAST_JOIN_GROUP = 42
_MCAST_JOIN_SOURCE_GROUP = 46
_MEMINFO_DROPS = 8

_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Address:
    """What to listen to: a group, of one source only where `source` is given, or an address of our own."""

    host: _Ip
    port: int
    source: _Ip | None = None
    iface: str = ""
    """Name or address of the interface to join on; empty: where the routes lead."""

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET if self.host.version == 4 else socket.AF_INET6


def parse_address(url: str) -> Address:
    """Read `udp://[source]@[address]:port[?iface=…]` (also `rtp:`). Raises ValueError with a text for people."""
    parts = urlsplit(url)
    if parts.port is None:
        raise ValueError("the port is missing")
    # The source stands where a user name stands elsewhere; an IPv6 one has colons.
    source = parts.netloc.rpartition("@")[0].strip("[]")
    host = ipaddress.ip_address(parts.hostname or "0.0.0.0")
    address = Address(
        host,
        parts.port,
        ipaddress.ip_address(source) if source else None,
        parse_qs(parts.query).get("iface", [""])[0],
    )
    if address.source is not None and not host.is_multicast:
        raise ValueError("a source in front of the @ needs a multicast group behind it")
    if address.source is not None and address.source.version != host.version:
        raise ValueError("source and group are not of the same IP version")
    return address


def open_socket(address: Address) -> socket.socket:
    """A non-blocking socket on which the datagrams arrive. Raises OSError. Closing it leaves the group."""
    receiver = socket.socket(address.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        _enlarge_buffer(receiver)
        index = _interface_index(address)
        if address.host.is_multicast:
            # Several receivers may share a group. Each gets all of it; a unicast port would be split or stolen.
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # To the group itself, not to any address: other groups on this port stay out.
        where = (str(address.host), address.port)
        receiver.bind(where if address.family == socket.AF_INET else (*where, 0, index))
        if address.host.is_multicast:
            _join(receiver, address, index)
    except BaseException:
        receiver.close()
        raise
    return receiver


def dropped(receiver: socket.socket) -> int:
    """Datagrams that the kernel threw away for want of room, since the socket is open.

    It is the counter that SO_RXQ_OVFL adds to every datagram; asked for once per wake-up it costs less.
    """
    counters: tuple[int, ...] = struct.unpack("=9I", receiver.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36))
    return counters[_MEMINFO_DROPS]


def _enlarge_buffer(receiver: socket.socket) -> None:
    # Forcing passes net.core.rmem_max and takes CAP_NET_ADMIN; else as much as is allowed.
    with contextlib.suppress(OSError):
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        receiver.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)


def _interface_index(address: Address) -> int:
    """The interface's index; 0 where none is given, or an IPv4 address stands for it."""
    try:
        wanted = ipaddress.ip_address(address.iface)
    except ValueError:
        return socket.if_nametoindex(address.iface) if address.iface else 0
    if wanted.version == 4:
        return 0
    for line in Path("/proc/net/if_inet6").read_text().splitlines():
        digits, index, *_ = line.split()
        if int(digits, 16) == int(wanted):
            return int(index, 16)
    raise OSError(f"no interface has the address {wanted}")


def _join(receiver: socket.socket, address: Address, index: int) -> None:
    level = socket.IPPROTO_IP if address.family == socket.AF_INET else socket.IPPROTO_IPV6
    # Without this a socket gets every group that any process of the machine has joined.
    only_joined = _IP_MULTICAST_ALL if address.family == socket.AF_INET else _IPV6_MULTICAST_ALL
    receiver.setsockopt(level, only_joined, 0)
    by_address = address.family == socket.AF_INET and address.iface and not index
    if by_address:
        _join_by_address(receiver, address)
    elif address.source is None:
        request = struct.pack("@I4x128s", index, _sockaddr(address.host))
        receiver.setsockopt(level, _MCAST_JOIN_GROUP, request)
    else:
        request = struct.pack("@I4x128s128s", index, _sockaddr(address.host), _sockaddr(address.source))
        receiver.setsockopt(level, _MCAST_JOIN_SOURCE_GROUP, request)


def _join_by_address(receiver: socket.socket, address: Address) -> None:
    """IPv4's older calls take the interface by its address, secondary ones too."""
    request = address.host.packed + ipaddress.ip_address(address.iface).packed
    if address.source is None:
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
    else:
        receiver.setsockopt(socket.IPPROTO_IP, _IP_ADD_SOURCE_MEMBERSHIP, request + address.source.packed)


def _sockaddr(host: _Ip) -> bytes:
    if host.version == 4:
        return struct.pack("=HH4s", socket.AF_INET, 0, host.packed)
    return struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, host.packed, 0)
