"""Durations, sizes, parts and addresses as people write them."""

import ipaddress
import re
from decimal import Decimal

_NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,9})?)"
_DURATION = re.compile(_NUMBER + r" ?(ms|s|m|h)?")
_SIZE = re.compile(_NUMBER + r" ?(KiB|MiB|GiB)?")
_PERCENT = re.compile(_NUMBER + r" ?(%)?")
_HOST_NAME = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?)*"
)

_SECONDS = {"h": Decimal(3600), "m": Decimal(60), "s": Decimal(1), "ms": Decimal("0.001")}
_BYTES = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10}


def parse_duration(text: str) -> float:
    """Seconds of `30`, `1.5`, `250ms`, `30s`, `2m` or `6h`. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("expected a duration as in 30 (seconds), 250ms, 30s, 2m or 6h")
    return float(Decimal(match[1]) * _SECONDS[match[2] or "s"])


def parse_size(text: str) -> int:
    """Bytes of `65536`, `64KiB`, `2MiB` or `1GiB`. Raises ValueError."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("expected a size as in 65536 (bytes), 64KiB, 2MiB or 1GiB")
    size = Decimal(match[1]) * _BYTES.get(match[2], 1)
    if size % 1:
        raise ValueError("expected a size of whole bytes")
    return int(size)


def parse_part(text: str) -> float:
    """A part of 1: `75%` or `0.75`. Raises ValueError."""
    match = _PERCENT.fullmatch(text)
    if match is None:
        raise ValueError("expected a part as in 75% or 0.75")
    return float(Decimal(match[1]) / (100 if match[2] else 1))


def parse_listen(text: str) -> tuple[str, int]:
    """Host (without brackets) and port of `HOST:PORT` or `[IPV6]:PORT`; port 0 is one the system picks.

    Raises ValueError.
    """
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    if not colon or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535 or not _is_host(host, bracketed):
        raise ValueError("expected HOST:PORT as in 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080")
    return host, int(port)


def _is_host(host: str, bracketed: bool) -> bool:
    """Only IPv6 stands in brackets, and an IPv6 address only there: without them its end looks like a port."""
    try:
        return (ipaddress.ip_address(host).version == 6) == bracketed
    except ValueError:
        # Digits and dots that are no address are a mistyped address, not a name.
        return not bracketed and _HOST_NAME.fullmatch(host) is not None and not re.fullmatch("[0-9.]+", host)


def show_duration(seconds: float) -> str:
    """As `parse_duration` reads it, in the largest unit that leaves a whole number."""
    amount = Decimal(repr(seconds))
    unit = next((unit for unit, size in _SECONDS.items() if amount and amount % size == 0), "s")
    return f"{float(amount / _SECONDS[unit]):g}{unit}"


def show_size(size: int) -> str:
    """As `parse_size` reads it, in the largest unit that leaves a whole number."""
    unit = next((unit for unit, step in _BYTES.items() if size and size % step == 0), "")
    return f"{size // _BYTES.get(unit, 1)}{unit}"
