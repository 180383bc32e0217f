"""Source URLs: what is accepted from people.

A source URL is an ordinary URL, for HTTP with the header suffix that IPTV lists use:
`http://host/x.ts|User-Agent=Foo&Referer=http://bar/`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address
from urllib.parse import SplitResult, unquote, urlsplit

from fastrelay.wire.redact import redact

__all__ = ["MAX_LENGTH", "SCHEMES", "SourceUrl", "parse_source_url", "redact"]

SCHEMES = ("http", "https", "udp", "rtp", "file", "exec")
MAX_LENGTH = 8192

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_HOST = re.compile(r"[\w.-]+")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110 §5.6.2

# Fields that frame the message or that the client sets for its own needs: a suffix must not touch them.
_OWN_HEADERS = frozenset(
    {
        *("connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"),
        *("accept-encoding", "host", "range"),
    }
)


@dataclass(frozen=True, slots=True, repr=False)
class SourceUrl:
    """A source URL taken apart: `url` is without the header suffix, `headers` are the suffix's, decoded, in order."""

    scheme: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"SourceUrl({redact(self.url)!r}, headers={[name for name, _ in self.headers]!r})"


def parse_source_url(text: str, offered: Iterable[str] = SCHEMES) -> SourceUrl:
    """Check and take apart a source URL; `offered` are the schemes that a refusal of another one names.

    Raises ValueError with a text for people that never repeats the URL (it may hold credentials).
    """
    text = text.strip(" \t\r\n")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"a source URL may have {MAX_LENGTH} characters, this one has {len(text)}")
    if _CONTROL.search(text):
        raise ValueError("a source URL cannot contain control characters or line breaks")
    match = _SCHEME.match(text)
    if match is None:
        raise ValueError(f"expected a URL beginning with one of {_named(offered)}")
    scheme = match[1].lower()
    if scheme not in SCHEMES:
        raise ValueError(f"the scheme {scheme!r} is not supported, expected one of {_named(offered)}")
    rest = text[match.end() :]
    if scheme == "exec":
        return _exec(rest)
    if not rest.startswith("//"):
        raise ValueError(f"expected {scheme}:// followed by an address")
    if scheme == "file":
        return _file(rest)
    # Only HTTP has headers; elsewhere a bar belongs to the name.
    if scheme in ("udp", "rtp"):
        _check_datagram(scheme, urlsplit(f"{scheme}:{rest}"))
        return SourceUrl(scheme, f"{scheme}:{rest}")
    rest, _, suffix = rest.partition("|")
    _check_http(_split(f"{scheme}:{rest}"))
    return SourceUrl(scheme, f"{scheme}:{rest.rstrip(' ')}", _headers(suffix))


def _named(schemes: Iterable[str]) -> str:
    return ", ".join(f"{scheme}:" if scheme == "exec" else f"{scheme}://" for scheme in schemes)


def _exec(command: str) -> SourceUrl:
    if not command.strip():
        raise ValueError("expected a command after exec:")
    return SourceUrl("exec", f"exec:{command.strip()}")


def _file(rest: str) -> SourceUrl:
    host, slash, _ = rest[2:].partition("/")
    if host not in ("", "localhost") or not slash:
        raise ValueError("expected file:/// followed by an absolute path")
    path = unquote(rest[2 + len(host) :])
    if _CONTROL.search(path):
        raise ValueError("a file's path cannot contain control characters")
    return SourceUrl("file", f"file://{rest[2 + len(host) :]}")


def _split(url: str) -> SplitResult:
    """urlsplit whose errors are for people and do not repeat what they were given."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("the host of the URL is not valid") from None
    try:
        valid = parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ValueError("the port of the URL is not a number from 1 to 65535")
    if "\\" in parts.netloc:
        raise ValueError("the host of the URL contains characters that a host name cannot have")
    return parts


def _check_http(parts: SplitResult) -> None:
    if not parts.hostname:
        raise ValueError("the URL names no host")
    _check_host(parts)


def _check_datagram(scheme: str, raw: SplitResult) -> None:
    """`udp://@group:port`, `udp://source@group:port`, `udp://@:port`: the port is what cannot be left out."""
    parts = _split(raw.geturl())
    if parts.port is None:
        raise ValueError(f"expected {scheme}://@address:port, the port is missing")
    if parts.hostname:
        _check_host(parts)


def _check_host(parts: SplitResult) -> None:
    host = parts.hostname or ""
    if "[" in parts.netloc:
        try:
            IPv6Address(host)
        except ValueError:
            raise ValueError("the host of the URL is not a valid IPv6 address") from None
    elif not _HOST.fullmatch(host):
        raise ValueError("the host of the URL contains characters that a host name cannot have")


def _headers(suffix: str) -> tuple[tuple[str, str], ...]:
    """`Name=value&Name=value`, percent-decoded; a plus stays a plus, as in `Mozilla/5.0 (a+b)`."""
    return tuple(_header(pair) for pair in suffix.split("&") if pair.strip())


def _header(pair: str) -> tuple[str, str]:
    raw_name, equals, raw_value = pair.partition("=")
    name, value = unquote(raw_name).strip(" "), unquote(raw_value).strip(" ")
    if not equals or not _TOKEN.fullmatch(name):
        raise ValueError("expected |Name=value&Name=value with valid header names after the URL")
    if _CONTROL.search(value):
        raise ValueError(f"the value of header {name} contains control characters or line breaks")
    if name.lower() in _OWN_HEADERS or name.lower().startswith("proxy-"):
        raise ValueError(f"the header {name} cannot be set by a source URL")
    return name, value
