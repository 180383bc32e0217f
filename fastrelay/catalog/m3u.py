"""IPTV M3U lists, read and written. No standard describes them; this is what providers send and players understand.

    #EXTM3U url-tvg="http://epg.example/guide.xml.gz"
    #EXTINF:-1 tvg-id="news.de" tvg-logo="http://…" group-title="News, world",News "24", live
    #EXTVLCOPT:http-user-agent=Box/1.0
    http://provider.example/news.ts|Referer=http://provider.example/

Text is UTF-8 (what else a file may be says `catalog/unpack.py`); a line that is not is taken for Latin-1, each line for
itself, because lists are often glued together of others. A bad line costs its own entry and no other.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from urllib.parse import quote, unquote, urljoin

from fastrelay.errors import FastrelayError
from fastrelay.wire.redact import redact
from fastrelay.wire.source_url import MAX_LENGTH

LINE_MAX = 256 * 1024
"""Bytes of a line; logos written into the list as `data:` URLs are the longest that mean anything."""
DIRECTIVES_MAX = 64
"""Lines that may belong to one entry besides #EXTINF and URL; a heading above it is not counted."""
HEADER_MAX = 1000
"""Attributes kept of all #EXTM3U lines: lists glued together of others have many."""
REJECTIONS_KEPT = 100

Attributes = tuple[tuple[str, str], ...]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_REFERENCE = re.compile(r"[^\s<>\[\]{}|\\^`\"]+(\|.*)?")  # RFC 3986 §4.1, header suffix behind it
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_EXTINF = re.compile(r"#EXTINF\s*:\s*([-+]?[0-9]*\.?[0-9]*)[ \t]*", re.IGNORECASE)
_DIRECTIVE = re.compile(r"#[A-Za-z][A-Za-z0-9-]*:")
_HLS = re.compile(r"#EXT-X-(?:TARGETDURATION|STREAM-INF|MEDIA-SEQUENCE)", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"""[ \t]*([^\s=,"']+)[ \t]*=[ \t]*
    (?: "([^"]*)"(?=[\s,]|$|[A-Za-z][\w-]*=") | '([^']*)'(?=[\s,]|$) | ([^\s,"']*)(?=[\s,]|$) )""",
    re.VERBOSE,
)
# Some lists have quotes inside quoted values: then the value ends at the quote that another attribute, the comma in
# front of the name or the end of the line follows.
_QUOTES_INSIDE = re.compile(r"""[ \t]*([^\s=,"']+)[ \t]*=[ \t]*"(.*?)"(?=[ \t]*,|[ \t]+[^\s=,"']+=|[ \t]*$)""")
_QUOTED = re.compile(r"""[ \t]*[^\s=,"']+[ \t]*=[ \t]*\"""")
_JUNK = re.compile(r"[ \t]*([^\s,]+)")
_WORD = re.compile(r"[A-Za-z][\w.-]*")


class NotAListError(FastrelayError):
    """The text is no IPTV list at all; the message says what came instead."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A line (or the entry that begins there) that was left out, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One channel as the list has it. `line` is where its #EXTINF (without one: its URL) stands, from 1."""

    line: int
    name: str
    url: str = field(repr=False)
    duration: str = "-1"
    attributes: Attributes = ()
    """Of #EXTINF, in the order of the list, unknown and doubled ones too."""
    directives: tuple[str, ...] = ()
    """Other lines of this entry, whole: #EXTGRP, #EXTVLCOPT, #KODIPROP and unknown ones."""

    def attribute(self, name: str) -> str:
        """The first non-empty value of this attribute, or nothing."""
        return next((value for key, value in self.attributes if key.lower() == name and value), "")

    @property
    def group(self) -> str:
        """`group-title`, else #EXTGRP."""
        groups = (line.partition(":")[2].strip() for line in self.directives if line[:8].upper() == "#EXTGRP:")
        return self.attribute("group-title") or next(groups, "")


class Parser:
    """Takes a list's bytes in any pieces; holds one unfinished line and one unfinished entry, never the list.

    `base` is the list's own URL: relative URLs are resolved against it, or stay as they are without one. A line of
    more than `line_max` bytes is rejected, and so is one that belongs to an entry behind `directives_max` others.
    """

    def __init__(self, base: str | None = None, line_max: int = LINE_MAX, directives_max: int = DIRECTIVES_MAX) -> None:
        self.header: list[tuple[str, str]] = []
        """Attributes of #EXTM3U."""
        self.rejections: list[Rejection] = []
        """The first ones; `rejected` counts all."""
        self.rejected = 0
        self._base = base
        self._line_max = line_max
        self._directives_max = directives_max
        self._rest = b""
        self._skipping = False
        self._line = 0
        self._recognised = False
        self._group: str | None = None
        self._begun: tuple[int, str, Attributes, str] | None = None
        self._spoilt = False
        self._directives: list[str] = []

    def feed(self, data: bytes) -> list[Entry]:
        """The entries that are complete now. Raises NotAListError."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        entries = list(self._entries(lines))
        if len(self._rest) > self._line_max:
            self._rest, self._skipping = b"", True
        return entries

    def finish(self) -> list[Entry]:
        """What the end of the list completes. Raises NotAListError for an empty list."""
        last = [self._rest] if self._rest or self._skipping else []
        self._rest = b""
        entries = list(self._entries(last))
        if self._begun is not None:
            self._reject(self._begun[0], "an entry without a URL")
        if not self._recognised:
            raise NotAListError("expected an M3U list beginning with #EXTM3U, found no line of one")
        return entries

    def _entries(self, lines: Iterable[bytes]) -> Iterator[Entry]:
        for raw in lines:
            self._line += 1
            if self._skipping or len(raw) > self._line_max:
                self._skipping = False
                self._reject(self._line, f"a line longer than {self._line_max >> 10} KiB")
                self._spoilt, self._begun = True, None
                continue
            if self._line == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            text = _decode(raw)
            if not text:
                continue
            if text[0] == "#":
                self._read_directive(text)
            elif (entry := self._read_url(text)) is not None:
                yield entry

    def _read_directive(self, text: str) -> None:
        start = text[:8].upper()
        if start.startswith("#EXTINF"):
            self._begin(text)
        elif start.startswith("#EXTM3U"):
            self._recognised = True
            attributes, _ = _attributes(text, 7)
            fresh = (pair for pair in attributes if pair not in self.header)
            self.header += islice(fresh, max(0, HEADER_MAX - len(self.header)))
        elif _HLS.match(text):
            raise NotAListError("expected a list of channels, this is the HLS playlist of a single one")
        elif start == "#EXTGRP:" and self._begun is None:
            # Outside of an entry it is a heading: all entries below belong to the group.
            self._group = text
        elif _DIRECTIVE.match(text) and not start.startswith(("#EXT-X-", "#PLAYLIST")):
            if len(self._directives) < self._directives_max:
                self._directives.append(text)
            else:
                self._reject(self._line, f"more than {self._directives_max} lines for one entry")

    def _begin(self, text: str) -> None:
        if self._begun is not None:
            self._reject(self._begun[0], "an entry without a URL")
            self._directives.clear()
        self._spoilt, self._begun = False, None
        match = _EXTINF.match(text)
        if match is None:
            self._reject(self._line, "expected #EXTINF:duration attributes,name")
            self._spoilt = True
            return
        self._recognised = True
        attributes, end = _attributes(text, match.end())
        self._begun = (self._line, match[1] or "-1", attributes, text[end + 1 :].strip())

    def _read_url(self, text: str) -> Entry | None:
        if not self._recognised and not _is_absolute(text):
            raise NotAListError("expected an M3U list beginning with #EXTM3U, this is something else")
        self._recognised = True
        begun, self._begun = self._begun, None
        spoilt, self._spoilt = self._spoilt, False
        directives, self._directives = tuple(self._directives), []
        if spoilt:
            return None  # its #EXTINF was rejected already
        if begun is None and not _is_absolute(text):
            self._reject(self._line, "neither a URL nor a line that begins with #")
            return None
        url = self._resolve(text)
        if len(url) > MAX_LENGTH:
            self._reject(self._line, f"a URL longer than {MAX_LENGTH} characters")
            return None
        line, duration, attributes, name = begun or (self._line, "-1", (), "")
        if self._group is not None and not any(each[:8].upper() == "#EXTGRP:" for each in directives):
            directives = (self._group, *directives)
        name = name or dict(attributes).get("tvg-name", "").strip() or _name_of(url)
        return Entry(line, name, url, duration, attributes, directives)

    def _resolve(self, text: str) -> str:
        if _SCHEME.match(text) or self._base is None or not _REFERENCE.fullmatch(text):
            return text
        address, bar, suffix = text.partition("|")
        return urljoin(self._base, address) + bar + suffix

    def _reject(self, line: int, reason: str) -> None:
        self.rejected += 1
        if len(self.rejections) < REJECTIONS_KEPT:
            self.rejections.append(Rejection(line, reason))


def _decode(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    text = text.strip(" \t\r\n\ufeff")
    return text if text.isprintable() else _CONTROL.sub("", text)


def _attributes(text: str, at: int) -> tuple[Attributes, int]:
    """The attributes from `at` on, and where they end: at the comma in front of the name, or the end of the text."""
    found: list[tuple[str, str]] = []
    # Where no such quote follows, none follows further on: looking for it again would take a hostile line minutes.
    quotes_inside = True
    while at < len(text):
        match = _ATTRIBUTE.match(text, at)
        if match is None and quotes_inside and _QUOTED.match(text, at) is not None:
            match = _QUOTES_INSIDE.match(text, at)
            quotes_inside = match is not None
        if match is not None:
            found.append((match[1], match[match.lastindex] if match.lastindex and match.lastindex > 1 else ""))
        elif (match := _JUNK.match(text, at)) is not None:
            if _WORD.fullmatch(match[1]):
                found.append((match[1], ""))
        else:
            break
        at = match.end()
    comma = text.find(",", at)
    return tuple(found), comma if comma >= 0 else len(text)


def _is_absolute(text: str) -> bool:
    return _SCHEME.match(text) is not None


def _name_of(url: str) -> str:
    """What stands at the end of the URL's path, for an entry without a name; never its query, which is for secrets."""
    path = url.partition("|")[0].partition("?")[0].rstrip("/")
    return unquote(path.rpartition("/")[2]) or "unnamed"


# --- written -------------------------------------------------------------------------------------------------------


def write_header(attributes: Iterable[tuple[str, str]]) -> str:
    """The first line, with its line end."""
    return "#EXTM3U" + "".join(f' {key}="{value}"' for key, value in attributes) + "\n"


def write_entry(entry: Entry) -> str:
    """The lines of an entry, without its URL. What `Parser` makes of them is the same entry."""
    attributes = "".join(f' {key}="{value}"' for key, value in entry.attributes)
    return "".join((f"#EXTINF:{entry.duration}{attributes},{entry.name}\n", *(f"{d}\n" for d in entry.directives)))


def for_viewers(entry: Entry) -> Entry:
    """The entry without what holds the provider's credentials (catchup sources, guides, headers): viewers must not have
    it. A logo stays, whatever its URL looks like: with it one can fetch a logo."""
    if not any(_may_hold(value) for key, value in entry.attributes if key != "tvg-logo") and not entry.directives:
        return entry
    attributes = tuple((key, value) for key, value in entry.attributes if key == "tvg-logo" or not is_secret(value))
    directives = tuple(line for line in entry.directives if not _is_secret_line(line))
    return Entry(entry.line, entry.name, entry.url, entry.duration, attributes, directives)


# Request headers for the provider, as Kodi and OTT Navigator write them.
_HEADER_LINE = re.compile(r"(?i)#EXTHTTP:|#KODIPROP:[\w.]*_headers=|#EXTVLCOPT:[\w-]*(?:cookie|auth|pass|pwd|token)")
_CREDENTIAL = re.compile(r"(?i)auth|cookie|token|secret|password|pwd|api-?key")


def _is_secret_line(line: str) -> bool:
    if _HEADER_LINE.match(line) is not None and _CREDENTIAL.search(line) is not None:
        return True
    return is_secret(line.partition("=")[2])


def is_secret(value: str) -> bool:
    """Whether the value is a URL with credentials, or longer than any URL that could be looked through for them.

    Also where it is only the query that a player appends to the channel's URL (`catchup="append"`).
    """
    return _may_hold(value) and (len(value) > MAX_LENGTH or redact(value) != value)


def _may_hold(value: str) -> bool:
    return "://" in value or "=" in value


# What VLC's options for an entry mean as request headers, and what Kodi's may set.
_OPTIONS = {"http-user-agent": "User-Agent", "http-referrer": "Referer", "http-referer": "Referer"}
_HEADERS = frozenset({"authorization", "cookie", "origin", "referer", "user-agent"})


def source_url(entry: Entry) -> str:
    """The entry's URL with the request headers that its directives ask for as header suffix; the suffix it has wins."""
    if not entry.directives or not entry.url.lower().startswith(("http:", "https:")):
        return entry.url
    address, _, suffix = entry.url.partition("|")
    pairs = {pair.partition("=")[0].lower(): pair for pair in suffix.split("&") if pair}
    for header, value in _wanted_headers(entry.directives):
        if value:
            pairs.setdefault(header.lower(), f"{header}={quote(value, safe=' /:;,()+?=')}")
    return f"{address}|{'&'.join(pairs.values())}" if pairs else entry.url


def _wanted_headers(directives: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Of `#EXTVLCOPT:http-user-agent=…` and `#KODIPROP:inputstream.adaptive.stream_headers=User-Agent=…&Referer=…`."""
    for line in directives:
        kind, _, option = line.partition(":")
        key, _, value = option.strip().partition("=")
        header = _OPTIONS.get(key.strip().lower())
        if kind.upper() == "#EXTVLCOPT" and header is not None:
            yield header, value.strip()
        elif kind.upper() == "#KODIPROP" and key.strip().lower().endswith("_headers"):
            fields = (pair.partition("=") for pair in value.split("&"))
            yield from ((name.strip(), unquote(text).strip()) for name, _, text in fields if name.lower() in _HEADERS)


def read_entry(text: str, url: str) -> Entry:
    """The entry whose lines `write_entry` wrote; `url` is its own, or that of `source_url`."""
    lines = f"{text}{url}\n".encode()
    # What was read within bounds may be longer when it is written: Latin-1 as UTF-8, values with quotes, the headers,
    # and the group of the heading above it.
    return Parser(line_max=len(lines), directives_max=text.count("\n")).feed(lines)[0]
