"""The head of a request: where it ends and what it says (RFC 9112 §2 to §7, RFC 9110 §7.2, §10.1.1).

A head is parsed only once it is complete, so how its bytes were split cannot change the answer. httptools reads the
fields strictly (no folding, no space before a colon, no bare CR or LF, no control characters, one Content-Length and
never beside Transfer-Encoding); what it lets through although a server must not is refused here. Every refusal is a
RequestError, after which the connection cannot be used for another request.

Versions: 1.1 and 1.0 are served. Another `HTTP/x.y` is 505 (RFC 9110 §15.6.6), HTTP/2's preface among them.
No version at all (HTTP/0.9) or another protocol (RTSP, ICE) is not HTTP's grammar, so it is 400 (RFC 9112 §3).
"""

import re
from dataclasses import dataclass

from httptools import HttpParserError, HttpParserInvalidMethodError, HttpParserUpgrade, HttpRequestParser

from fastrelay.errors import RequestError
from fastrelay.wire.target import Target, check_authority, parse_target

HEAD_MAX = 16 * 1024
"""Bytes of a whole head."""
TARGET_MAX = 8 * 1024
"""Bytes of the request target."""
FIELDS_MAX = 100
"""Header fields."""
_LINE_MAX = TARGET_MAX + 64
_BLANK_MAX = 4  # bytes: two empty lines, the trace of a client that ends its body with one too many (RFC 9112 §2.2)

_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/([0-9]\.[0-9])")
_VERSIONS = {b"1.1": True, b"1.0": False}


@dataclass(frozen=True, slots=True)
class Head:
    """What a complete head says. Body framing: `chunked`, or `length` bytes."""

    method: str
    target: Target
    headers: dict[str, str]
    http11: bool
    keep_alive: bool
    length: int
    chunked: bool
    expects_continue: bool


def find_head(data: bytes, start: int = 0) -> int:
    """Where the head that begins at `start` ends; 0 while it is unfinished.

    Raises RequestError as soon as what is there cannot become a head: too long (431, 414), a broken request line.
    """
    first = start if data[start] > 32 else _skip_blank(data, start)
    end = data.find(b"\r\n\r\n", first) + 4
    if 4 <= end <= start + HEAD_MAX:
        return end
    _check_unfinished(data[first : start + HEAD_MAX])
    if end >= 4 or len(data) - start > HEAD_MAX:
        raise RequestError(431, "headers_too_large", f"the request's head is longer than {HEAD_MAX} bytes")
    return 0


def parse_head(data: bytes) -> Head:
    """Read one complete head, as `find_head` delimits it.

    Raises RequestError: 400 malformed, 405 CONNECT, 414 and 431 too long, 417 unknown expectation, 501 unknown
    method, 505 version.
    """
    if data[0] <= 32:
        data = data.lstrip(b"\r\n")
    method, target, http11 = _parse_line(data[: data.find(b"\r\n")])
    headers, upgrade = _parse_fields(data)
    if method == "CONNECT":
        raise RequestError(405, "method_not_allowed", "this server is no proxy", (("Allow", "GET, HEAD, OPTIONS"),))
    parts = parse_target(method, target)
    _check_host(headers, parts.authority, http11)
    length, chunked = _body_framing(headers, http11)
    keep_alive = not upgrade and _keep_alive(headers.get("connection"), http11)
    expects = http11 and "expect" in headers and _check_expectation(headers["expect"])
    return Head(method, parts, headers, http11, keep_alive, length, chunked, expects)


def _skip_blank(data: bytes, start: int) -> int:
    first = start
    while first < len(data) and data[first] in b"\r\n":
        first += 1
        if first - start > _BLANK_MAX:
            raise RequestError(400, "bad_request", "expected a request line, found empty lines")
    return first


def _check_unfinished(data: bytes) -> None:
    """Refuse at once what more bytes cannot mend, instead of letting the client wait for the deadline."""
    line_end = data.find(b"\r\n")
    if line_end >= 0:
        _parse_line(data[:line_end])
    elif len(data) > _LINE_MAX:
        raise _target_too_long()
    if data.count(b"\n") != data.count(b"\r\n"):
        raise RequestError(400, "bad_request", "lines must end with CR LF")


def _parse_line(line: bytes) -> tuple[str, str, bool]:
    """Method, target, and whether it is HTTP/1.1 (else 1.0)."""
    if len(line) > _LINE_MAX:
        raise _target_too_long()
    found = _LINE.fullmatch(line)
    if found is None:
        raise RequestError(400, "bad_request", "expected a request line: METHOD target HTTP/1.1")
    method, target, version = found.groups()
    if version not in _VERSIONS:
        raise RequestError(505, "version_not_supported", "this server speaks HTTP/1.1 and HTTP/1.0")
    if len(target) > TARGET_MAX:
        raise _target_too_long()
    return method.decode("ascii"), target.decode("ascii"), _VERSIONS[version]


class _Fields:
    """Collects header fields for httptools, which calls `on_header` for each."""

    __slots__ = ("count", "headers")

    def __init__(self) -> None:
        self.count = 0
        self.headers: dict[str, str] = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self.count += 1
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1").rstrip(" \t")
        self.headers[key] = text if key not in self.headers else f"{self.headers[key]}, {text}"


def _parse_fields(data: bytes) -> tuple[dict[str, str], bool]:
    """The header fields, and whether the request asks for an upgrade.

    A parser lives for one head only: it never sees a body, so it cannot take trailers for fields or a body behind
    an Upgrade for a request.
    """
    fields = _Fields()
    upgrade = False
    try:
        HttpRequestParser(fields).feed_data(data)
    except HttpParserUpgrade:
        upgrade = True
    except HttpParserInvalidMethodError:
        raise RequestError(501, "not_implemented", "unknown request method") from None
    except HttpParserError as error:
        raise RequestError(400, "bad_request", f"malformed request: {str(error).lower()}") from None
    if fields.count > FIELDS_MAX:
        raise RequestError(431, "headers_too_large", f"more than {FIELDS_MAX} header fields")
    return fields.headers, upgrade


def _check_host(headers: dict[str, str], authority: str | None, http11: bool) -> None:
    """One valid Host in HTTP/1.1 (RFC 9112 §3.2); two were joined with a comma, which no authority has.

    The authority of an absolute-form target replaces what Host says (RFC 9112 §3.2.2).
    """
    host = headers.get("host")
    if host is None:
        if http11:
            raise RequestError(400, "bad_request", "an HTTP/1.1 request must have a Host header")
    else:
        check_authority(host)
    if authority is not None:
        headers["host"] = authority


def _body_framing(headers: dict[str, str], http11: bool) -> tuple[int, bool]:
    """Length in bytes and whether it is chunked (RFC 9112 §6.3).

    Only `chunked` alone can be decoded; anything else in front of it, or in HTTP/1.0, is how requests are smuggled.
    """
    coding = headers.get("transfer-encoding")
    if coding is None:
        return int(headers.get("content-length", "0")), False
    if not http11 or coding.lower() != "chunked":
        raise RequestError(400, "bad_request", "the only Transfer-Encoding is chunked, in HTTP/1.1")
    return 0, True


def _keep_alive(connection: str | None, http11: bool) -> bool:
    if connection is None:
        return http11
    options = {option.strip() for option in connection.lower().split(",")}
    return "close" not in options and (http11 or "keep-alive" in options)


def _check_expectation(expect: str) -> bool:
    if expect.lower() != "100-continue":
        raise RequestError(417, "expectation_failed", "the only expectation is 100-continue")
    return True


def _target_too_long() -> RequestError:
    return RequestError(414, "target_too_long", f"the request target is longer than {TARGET_MAX} bytes")
