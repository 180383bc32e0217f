"""The request target (RFC 9112 §3.2): its form, path segments and query."""

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from fastrelay.errors import RequestError

_ABSOLUTE = re.compile(r"(?i:https?)://([^/?]*)(.*)", re.DOTALL)
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
# What stands behind this is a name that the server gave out, or none: whatever it looks like, it is just not there.
_NAMES = re.compile(r"/api/proxy/channel/[^/]+/hls/")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Target(NamedTuple):
    """A target taken apart. `raw_path` is as sent, `path` and `segments` are percent-decoded."""

    text: str
    raw_path: str
    path: str
    segments: list[str]
    query: dict[str, str]
    authority: str | None


def parse_target(method: str, text: str) -> Target:
    """Read an origin-form, absolute-form or (for OPTIONS) asterisk-form target.

    Raises RequestError 400 for any other form, for broken percent-encoding, control characters, text that is not
    UTF-8, and dot segments, encoded or not (404 behind the names of passed-through HLS): no client that means well
    sends them, and one that normalises paths in another way than we do must not reach another route.
    """
    authority = None
    if not text.startswith("/"):
        if text == "*" and method == "OPTIONS":
            return Target("*", "*", "*", ["*"], {}, None)
        text, authority = _split_absolute(text)
    raw_path, _, query = text.partition("?")
    if "#" in text or "\\" in raw_path:
        raise _bad("a path without # and \\")
    segments = raw_path.split("/")[1:]
    path = raw_path
    if "%" in raw_path:
        segments = [_decode(segment) for segment in segments]
        path = "/" + "/".join(segments)
    if "." in segments or ".." in segments or ("%2" in raw_path and _hides_dots(path)):
        if _NAMES.match(raw_path):
            raise RequestError(404, "not_found", "nothing of that name was given out here")
        raise _bad("a path without dot segments")
    return Target(text, raw_path, path, segments, _parse_query(query) if query else {}, authority)


def check_authority(authority: str) -> str:
    """The authority itself if it is `host` or `host:port` (RFC 3986 §3.2, no userinfo); else RequestError 400."""
    if not _AUTHORITY.fullmatch(authority):
        raise RequestError(400, "bad_request", "Host must be one host name or address with an optional port")
    return authority


def _split_absolute(text: str) -> tuple[str, str]:
    found = _ABSOLUTE.fullmatch(text)
    if found is None:
        raise _bad("a path that starts with /, or an http:// URL")
    rest = found[2]
    return (rest if rest.startswith("/") else "/" + rest), check_authority(found[1])


def _hides_dots(path: str) -> bool:
    """Does a decoded slash make a dot segment, as in `a%2f..%2fb`? Whoever joins the path to a name must be safe."""
    pieces = path.split("/")
    return "." in pieces or ".." in pieces


def _parse_query(query: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if "%" in pair or "+" in pair:
            name, value = _decode(name.replace("+", " ")), _decode(value.replace("+", " "))
        if name:
            fields.setdefault(name, value)
    return fields


def _decode(text: str) -> str:
    if "%" not in text:
        return text
    if _BAD_ESCAPE.search(text):
        raise _bad("% followed by two hexadecimal digits")
    try:
        decoded = unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise _bad("percent-encoded UTF-8") from None
    if _CONTROL.search(decoded):
        raise _bad("a target without control characters")
    return decoded


def _bad(expected: str) -> RequestError:
    return RequestError(400, "bad_target", f"the request target is malformed: expected {expected}")
