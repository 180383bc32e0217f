"""The body of a relay as it comes over the API: each mistake is found, and named by its field."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import orjson

from fastrelay.config.relay_fields import MAX_SOURCES, check_name, check_output_path
from fastrelay.endpoints.auth import media_type
from fastrelay.errors import RequestError
from fastrelay.wire.request import Request
from fastrelay.wire.source_url import parse_source_url

CheckAddress = Callable[[str, int], str | None]
"""Why a source must not be at this IP address and port, or None when it may."""

# What file: and exec: reach is the operator's machine, so only the operator's own file may name them.
_SCHEMES = ("http", "https", "udp", "rtp")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_FIELDS = ("name", "output_path", "source_urls")


class InvalidFieldError(RequestError):
    """422; `field` names what is wrong, as in `source_urls[1]`."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(422, "invalid", f"{field}: {problem}" if field else problem)
        self.field = field


@dataclass(frozen=True, slots=True)
class RelayBody:
    """A checked body."""

    name: str
    output_path: str
    source_urls: tuple[str, ...]


def parse_relay(request: Request, check_address: CheckAddress, relay_id: int | None = None) -> RelayBody:
    """The relay that the request's body describes.

    The body of a PUT may repeat the relay's own `id`, so that what GET gave can be changed and sent back. Raises
    RequestError: 415 for another type than JSON, 400 for what is not JSON, InvalidFieldError for the rest.
    """
    body = json_body(request)
    if not isinstance(body, dict):
        raise InvalidFieldError("", f"expected an object with {', '.join(_FIELDS)}, got {kind_of(body)}")
    if relay_id is not None and body.pop("id", relay_id) != relay_id:
        raise InvalidFieldError("id", f"expected {relay_id} as in the path, or no id: it cannot be changed")
    for field in body:
        if field not in _FIELDS:
            raise InvalidFieldError(field[:100], f"there is no such field, expected {', '.join(_FIELDS)}")
    name, output_path = (_text(body, field) for field in ("name", "output_path"))
    _check("name", check_name, name)
    _check("output_path", check_output_path, output_path)
    return RelayBody(name, output_path, _source_urls(body, check_address))


def json_body(request: Request) -> Any:
    """The body as JSON. Raises RequestError 415 or 400."""
    if media_type(request) != "application/json":
        raise RequestError(415, "unsupported_media_type", "expected a body with Content-Type: application/json")
    try:
        return orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        # Its text is about the grammar; it repeats nothing of the body.
        raise RequestError(400, "invalid_json", f"the body is not JSON: {error.msg} at {where}") from None


def _text(body: dict[str, Any], field: str) -> str:
    value = _there(body, field)
    if not isinstance(value, str):
        raise InvalidFieldError(field, f"expected text, got {kind_of(value)}")
    return value


def _there(body: dict[str, Any], field: str) -> Any:
    if field not in body:
        raise InvalidFieldError(field, "expected, but it is not there")
    return body[field]


def _check(field: str, check: Callable[[str], None], value: str) -> None:
    try:
        check(value)
    except ValueError as error:
        raise InvalidFieldError(field, str(error)) from None


def _source_urls(body: dict[str, Any], check_address: CheckAddress) -> tuple[str, ...]:
    urls = _there(body, "source_urls")
    if not isinstance(urls, list):
        raise InvalidFieldError("source_urls", f"expected a list of URLs, got {kind_of(urls)}")
    if not 1 <= len(urls) <= MAX_SOURCES:
        raise InvalidFieldError("source_urls", f"expected 1 to {MAX_SOURCES} URLs, got {len(urls)}")
    for index, url in enumerate(urls):
        field = f"source_urls[{index}]"
        if not isinstance(url, str):
            raise InvalidFieldError(field, f"expected a URL as text, got {kind_of(url)}")
        _check(field, lambda text: check_source_url(text, check_address), url)
    return tuple(urls)


def check_source_url(text: str, check_address: CheckAddress) -> None:
    """Raises ValueError that says why this URL cannot be a source; it never repeats the URL.

    An address that stands in the URL is checked at once, a name when it is dialled: only then it is known where it
    leads.
    """
    source = parse_source_url(text, _SCHEMES)
    if source.scheme not in _SCHEMES:
        raise ValueError(f"{source.scheme}: sources can only be declared in the server's configuration file")
    parts = urlsplit(source.url)
    address = _literal(parts.hostname or "")
    if address is None or (source.scheme in ("udp", "rtp") and _receives(address)):
        return
    reason = check_address(address, parts.port or _DEFAULT_PORTS.get(source.scheme, 0))
    if reason is not None:
        raise ValueError(f"the address {address} is refused: {reason}")


def _literal(host: str) -> str | None:
    """The IP address that stands for this host without asking a name server, or None for a name.

    Also in the spellings that the C library understands (`127.1`, `0x7f000001`, `2130706433`), and localhost, which
    is loopback by RFC 6761 §6.3.
    """
    if ":" in host:
        return host
    if host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost"):
        return "127.0.0.1"
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None


def _receives(address: str) -> bool:
    """Whether a datagram socket bound there takes in what others send: a group, or all addresses of this machine."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return parsed.is_multicast or parsed.is_unspecified


def kind_of(value: Any) -> str:
    """What kind of JSON value this is, for people."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
