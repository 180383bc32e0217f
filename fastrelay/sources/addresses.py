"""Which addresses a source may be fetched from: the policy of `sources.allow_networks`.

Public addresses are allowed, everything else only where the operator listed its network. A few are refused whatever
is listed: they lead to the machine's own credentials (metadata services) or into a loop (this server's listener).
"""

import socket
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from fastrelay.errors import SourceRefusedError

Address = IPv4Address | IPv6Address

# First match names the reason. Metadata services come before the wider networks they lie in.
_NEVER = tuple(
    (ip_network(network), reason)
    for network, reason in (
        ("169.254.169.254/32", "it is a metadata service"),
        ("100.100.100.200/32", "it is a metadata service"),
        ("168.63.129.16/32", "it is a metadata service"),
        ("192.0.0.192/32", "it is a metadata service"),
        ("fd00:ec2::/32", "it is a metadata service"),
        ("fd20:ce::254/128", "it is a metadata service"),
        ("169.254.0.0/16", "link-local addresses are never allowed"),
        ("fe80::/10", "link-local addresses are never allowed"),
        ("0.0.0.0/8", "unspecified addresses are never allowed"),
        ("::/128", "unspecified addresses are never allowed"),
        ("224.0.0.0/4", "multicast addresses are never allowed"),
        ("ff00::/8", "multicast addresses are never allowed"),
        ("255.255.255.255/32", "broadcast addresses are never allowed"),
    )
)

# IPv6 networks whose last 32 bits are the IPv4 address that is really reached.
_CARRIERS = tuple(
    ip_network(network)
    for network in (
        "::ffff:0:0/96",
        "::ffff:0:0:0/96",
        "::/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
    )  # RFC 4291, 6052, 8215
)


def reached(address: Address) -> tuple[Address, ...]:
    """The addresses that a packet to this one reaches: those embedded in a transition address, else itself."""
    if isinstance(address, IPv4Address) or int(address) in (0, 1):
        return (address,)
    if any(address in network for network in _CARRIERS):
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    return address.teredo or (address,)


def is_own_address(address: str) -> bool:
    """Whether this machine answers at that address: only then can a socket be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


class AddressPolicy:
    """Says of an address and port whether a source may be there.

    Raises ValueError when `allow_networks` holds something that is not a network.
    """

    def __init__(
        self, allow_networks: Iterable[str], *, is_own_address: Callable[[str], bool] = is_own_address
    ) -> None:
        self._allowed = tuple(ip_network(network, strict=False) for network in allow_networks)
        self._is_own_address = is_own_address
        self._listeners: set[tuple[Address, int]] = set()

    def forbid_listener(self, host: str, port: int) -> None:
        """Refuse this server's own listener, from now on; a wildcard host stands for all addresses of the machine."""
        for address in reached(ip_address(host)):
            self._listeners.add((address, port))

    def check(self, address: str, port: int = 0) -> str | None:
        """Why a source must not be at this address (an IP literal), or None when it may."""
        try:
            parsed = ip_address(address)
        except ValueError:
            return "not an IP address"
        return next((reason for one in reached(parsed) if (reason := self._refusal(one, port))), None)

    def require(self, host: str, address: str, port: int) -> None:
        """Raises SourceRefusedError naming the host and the rule, when `check` has something against the address."""
        reason = self.check(address, port)
        if reason is not None:
            named = address if host == address else f"{host} ({address})"
            raise SourceRefusedError(f"the address {named} is refused: {reason}")

    def _refusal(self, address: Address, port: int) -> str | None:
        never = next((reason for network, reason in _NEVER if address in network), None)
        if never is not None:
            return never
        if self._is_listener(address, port):
            return "it is this server's own listener"
        public = address.is_global and not (isinstance(address, IPv6Address) and address.is_site_local)
        if public or any(address in network for network in self._allowed):
            return None
        kind = "loopback" if address.is_loopback else "private"
        return f"{kind} addresses are allowed only if listed in sources.allow_networks"

    def _is_listener(self, address: Address, port: int) -> bool:
        if (address, port) in self._listeners:
            return True
        wild = any(listener.is_unspecified and port == number for listener, number in self._listeners)
        return wild and self._is_own_address(str(address))
