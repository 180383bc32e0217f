"""A playlist of somebody else's, rewritten line by line: every URI it mentions gets a name, all else stays as it is.

Master and media playlists alike, RFC 8216 and its second edition (low latency, variables). What is not understood is
passed on untouched. Left out are EXT-X-DEFINE, whose variables are put in before anything is named (players would look
for query parameters in our URLs, and values may be credentials), and EXT-X-CONTENT-STEERING: it chooses between the
provider's own hosts, which are behind us.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from urllib.parse import parse_qsl, urljoin, urlsplit

from fastrelay.hls.lexis import (
    ATTRIBUTE,
    BYTE_RANGE,
    LINE_END,
    PlaylistError,
    attributes,
    from_beginning,
    integer,
    seconds,
)
from fastrelay.hls.m3u8_model import Span
from fastrelay.hls.names import Mention, Role

Name = Callable[[Mention], str]
Position = tuple[int, int]
"""A media sequence number and how many of that segment's parts are there."""

_VARIABLE = re.compile(r"\{\$([A-Za-z0-9_-]+)\}")
_VARIABLES_MAX = 8 << 20
"""Characters that all variables put in may have: some defined by others ten times each would soon fill the memory."""
_LINE = re.compile(rf"([^\r\n]*)({LINE_END.pattern}|$)")


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A playlist between whose `pieces` the `names` go. Durations are in seconds."""

    pieces: tuple[str, ...]
    names: tuple[str, ...]
    mentions: Mapping[str, Mention]
    """What each name stands for."""
    spans: Mapping[str, frozenset[Span]]
    """The byte ranges that are listed of a name, where the whole is not."""
    master: bool
    ended: bool
    target: float
    """Target duration; of low-latency playlists, the parts' (RFC 8216bis §6.3.4 takes it for reloads)."""
    duration: float
    """Of all segments together."""
    after: Position
    """The first segment, or part of it, that is not listed yet."""
    blocking: bool
    """The source holds a request for what is not there yet until it is (CAN-BLOCK-RELOAD)."""
    parted: bool
    """Its newest segments are listed in parts as well."""
    variables: Mapping[str, str]

    def text(self, prefix: str = "", query: str = "") -> str:
        """The playlist with `prefix` before and `?query` behind every name; `query` is percent-encoded."""
        behind = f"?{query}" if query else ""
        parts = [self.pieces[0]]
        for name, piece in zip(self.names, self.pieces[1:], strict=True):
            parts += [prefix, name, behind, piece]
        return "".join(parts)


class Rewriter:
    """Takes a playlist in steps, because a long one takes longer than others should wait.

    `base_url` is where it finally came from, `begin` is told its media sequence number before anything of it is named,
    `imported` are the variables of the master playlist that named it. `known` is `resolved` of the version before:
    most URIs are the same.
    """

    def __init__(
        self,
        text: str,
        base_url: str,
        name: Name,
        begin: Callable[[int], None],
        imported: Mapping[str, str],
        known: Mapping[str, str | None] = MappingProxyType({}),
    ) -> None:
        self.resolved: dict[str, str | None] = {}
        """The URL of each URI, None for what is no web address."""
        self._known = known if known.get("") == base_url else {}
        self.resolved[""] = base_url
        self._lines = _lines(from_beginning(text))
        self._base_url = base_url
        self._name = name
        self._begin = begin
        self._begun = False
        self._imported = imported
        self._variables: dict[str, str] = {}
        self._put_in = 0
        """Characters of the variables put in so far."""
        self._literal: list[str] = []
        self._pieces: list[str] = []
        self._names: list[str] = []
        self._mentions: dict[str, Mention] = {}
        self._spans: dict[str, set[Span]] = {}
        self._whole: set[str] = set()
        self._range_ends: dict[str, int] = {}
        self._facts = _Facts()

    def step(self, count: int) -> bool:
        """Take up to `count` more lines; False when there are no more. Raises PlaylistError for what is no playlist."""
        taken = 0
        for line, ending in islice(self._lines, count):
            self._take(line, ending)
            taken += 1
        return taken == count

    def result(self) -> Rewritten:
        """The whole playlist, after the last step. Raises PlaylistError when it names nothing."""
        facts = self._facts
        facts.check()
        return Rewritten(
            pieces=(*self._pieces, "".join(self._literal)),
            names=tuple(self._names),
            mentions=self._mentions,
            spans={name: frozenset(spans) for name, spans in self._spans.items() if name not in self._whole},
            master=facts.master,
            ended=facts.ended,
            target=facts.part_target or facts.target or max(facts.longest, 1.0),
            duration=facts.duration,
            after=(facts.sequence, facts.parts),
            blocking=facts.blocking,
            parted=facts.part_target is not None,
            variables=self._variables,
        )

    def _take(self, line: str, ending: str) -> None:
        if "{$" in line and self._variables:
            line = _VARIABLE.sub(self._value, line)
        plain = line.strip()
        if plain.startswith("#EXT"):
            tag, _, value = plain.partition(":")
            tag = tag.rstrip()
            if tag == "#EXT-X-DEFINE":
                self._define(attributes(value))
                return
            if tag == "#EXT-X-CONTENT-STEERING":
                return
            self._facts.take(tag, value)
            self._tag(tag, line)
        elif plain and not plain.startswith("#"):
            self._uri_line(line, plain)
        else:
            self._literal.append(line)
        self._literal.append(ending)

    def _value(self, reference: re.Match[str]) -> str:
        """What stands in place of a variable reference (RFC 8216bis §4.3); an unknown one stays."""
        value = self._variables.get(reference[1], reference[0])
        self._put_in += len(value)
        if self._put_in > _VARIABLES_MAX:
            raise PlaylistError(f"the variables of the playlist are longer than the {_VARIABLES_MAX >> 20} MiB allowed")
        return value

    def _define(self, found: Mapping[str, str]) -> None:
        """EXT-X-DEFINE (RFC 8216bis §4.4.2.3)."""
        if "NAME" in found:
            self._variables[found["NAME"]] = found.get("VALUE", "")
        elif found.get("IMPORT") in self._imported:
            self._variables[found["IMPORT"]] = self._imported[found["IMPORT"]]
        elif "QUERYPARAM" in found:
            given = dict(parse_qsl(urlsplit(self._base_url).query, keep_blank_values=True))
            self._variables[found["QUERYPARAM"]] = given.get(found["QUERYPARAM"], "")

    # --- what is named ---

    def _uri_line(self, line: str, uri: str) -> None:
        facts = self._facts
        before, _, behind = line.partition(uri)
        self._literal.append(before)
        if facts.variant_next:
            facts.variant_next = False
            self._mention(uri, Role.PLAYLIST)
        else:
            ranged = facts.range_next is not None
            name = self._mention(uri, Role.SEGMENT, None if ranged else facts.sequence)
            self._list(name, uri, facts.range_next)
            facts.segment()
        self._literal.append(behind)

    def _tag(self, tag: str, line: str) -> None:
        """A line that may hold URIs in its attributes, each attribute once (RFC 8216 §4.2)."""
        roles = _URIS.get(tag, {})
        start = line.find(":") + 1
        done = 0
        given: set[str] = set()
        for match in ATTRIBUTE.finditer(line, start) if roles and start else ():
            attribute, group = match[1].upper(), 2 if match[2] is not None else 3
            role, uri = roles.get(attribute), match[group].strip()
            if role is None or not uri:
                continue
            if attribute in given:
                raise PlaylistError(f"the playlist has an {tag[1:]} with more than one {attribute}")
            given.add(attribute)
            self._literal.append(line[done : match.start(group)])
            name = self._mention(uri, role)
            done = match.end(group)
            self._list_ranged(tag, name, uri, line[start:])
        self._literal.append(line[done:])

    def _list_ranged(self, tag: str, name: str | None, uri: str, value: str) -> None:
        """The byte range that a tag gives with its URI."""
        if tag not in _RANGED:
            return
        found = attributes(value)
        given = found.get("BYTERANGE")
        if tag == "#EXT-X-MAP" and given is not None and "@" not in given:
            given = f"{given}@0"
        if "BYTERANGE-LENGTH" in found:
            given = f"{found['BYTERANGE-LENGTH']}@{found.get('BYTERANGE-START', '0')}"
        self._list(name, uri, given)

    def _mention(self, uri: str, role: Role, sequence: int | None = None) -> str | None:
        """Put the URI's name in its place; what is no web address (skd:, data:) stays as it is and has none."""
        if not self._begun:
            self._begun = True
            self._begin(self._facts.sequence)
        url = self._known.get(uri) or self.resolved.get(uri) or _resolve(self._base_url, uri)
        self.resolved[uri] = url
        if url is None:
            self._literal.append(uri)
            return None
        mention = Mention(url, role, sequence)
        name = self._name(mention)
        self._pieces.append("".join(self._literal))
        self._literal.clear()
        self._names.append(name)
        self._mentions.setdefault(name, mention)
        return name

    def _list(self, name: str | None, uri: str, given: str | None) -> None:
        """What of `name` is listed: the range that was given (RFC 8216 §4.3.2.2), or all of it."""
        if name is None:
            return
        match = BYTE_RANGE.match(given.strip()) if given is not None else None
        if match is None or not int(match[1]):
            self._whole.add(name)
            return
        offset = int(match[2]) if match[2] else self._range_ends.get(uri, 0)
        self._range_ends[uri] = offset + int(match[1])
        self._spans.setdefault(name, set()).add((offset, int(match[1])))


def _resolve(base_url: str, uri: str) -> str | None:
    try:
        url = urljoin(base_url, uri)
        return url if urlsplit(url).scheme.lower() in ("http", "https") else None
    except ValueError:
        return None


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Each line and what ends it."""
    return ((match[1], match[2]) for match in _LINE.finditer(text) if match[0])


@dataclass(slots=True)
class _Facts:
    """What the lines tell of the playlist as a whole."""

    sequence: int = 0
    """Of the next segment."""
    parts: int = 0
    target: float | None = None
    part_target: float | None = None
    longest: float = 0.0
    duration: float = 0.0
    ended: bool = False
    blocking: bool = False
    variant_next: bool = False
    range_next: str | None = None
    tags: set[str] = field(default_factory=set)
    negative: bool = False

    @property
    def master(self) -> bool:
        return not self.tags.isdisjoint(_MASTER)

    def take(self, tag: str, value: str) -> None:
        self.tags.add(tag)
        handle = _FACTS.get(tag)
        if handle is not None:
            handle(self, value)

    def segment(self) -> None:
        """A segment is complete."""
        self.sequence += 1
        self.parts = 0
        self.range_next = None

    def check(self) -> None:
        media = not self.tags.isdisjoint(("#EXTINF", "#EXT-X-TARGETDURATION"))
        if self.master and "#EXTINF" in self.tags:
            raise PlaylistError("the playlist names both variants and segments, so it is neither master nor media")
        if self.negative and self.target is None:
            raise PlaylistError("this is a list of channels, not an HLS playlist")
        if not self.master and not media:
            raise PlaylistError("the playlist names neither segments nor variants")

    def extinf(self, value: str) -> None:
        found = seconds(value) or 0.0
        self.negative |= found < 0
        self.longest = max(self.longest, found)
        self.duration += max(found, 0.0)

    def byterange(self, value: str) -> None:
        self.range_next = value

    def stream_inf(self, _value: str) -> None:
        self.variant_next = True

    def targetduration(self, value: str) -> None:
        found = seconds(value)
        self.target = found if found is not None and found > 0 else self.target

    def media_sequence(self, value: str) -> None:
        self.sequence = integer(value) or 0

    def part(self, _value: str) -> None:
        self.parts += 1

    def part_inf(self, value: str) -> None:
        found = seconds(attributes(value).get("PART-TARGET", ""))
        self.part_target = found if found is not None and found > 0 else None

    def server_control(self, value: str) -> None:
        self.blocking = attributes(value).get("CAN-BLOCK-RELOAD") == "YES"

    def endlist(self, _value: str) -> None:
        self.ended = True


_FACTS: Mapping[str, Callable[[_Facts, str], None]] = {
    "#EXTINF": _Facts.extinf,
    "#EXT-X-BYTERANGE": _Facts.byterange,
    "#EXT-X-STREAM-INF": _Facts.stream_inf,
    "#EXT-X-TARGETDURATION": _Facts.targetduration,
    "#EXT-X-MEDIA-SEQUENCE": _Facts.media_sequence,
    "#EXT-X-PART": _Facts.part,
    "#EXT-X-PART-INF": _Facts.part_inf,
    "#EXT-X-SERVER-CONTROL": _Facts.server_control,
    "#EXT-X-ENDLIST": _Facts.endlist,
}
_MASTER = frozenset({"#EXT-X-STREAM-INF", "#EXT-X-MEDIA", "#EXT-X-I-FRAME-STREAM-INF"})
_RANGED = frozenset({"#EXT-X-MAP", "#EXT-X-PART", "#EXT-X-PRELOAD-HINT"})

_URIS: Mapping[str, Mapping[str, Role]] = {
    "#EXT-X-KEY": {"URI": Role.KEY},
    "#EXT-X-SESSION-KEY": {"URI": Role.KEY},
    "#EXT-X-MAP": {"URI": Role.INIT},
    "#EXT-X-PART": {"URI": Role.SEGMENT},
    "#EXT-X-PRELOAD-HINT": {"URI": Role.SEGMENT},
    "#EXT-X-RENDITION-REPORT": {"URI": Role.PLAYLIST},
    "#EXT-X-MEDIA": {"URI": Role.PLAYLIST},
    "#EXT-X-I-FRAME-STREAM-INF": {"URI": Role.PLAYLIST},
    "#EXT-X-IMAGE-STREAM-INF": {"URI": Role.PLAYLIST},
    "#EXT-X-SESSION-DATA": {"URI": Role.DATA},
    # Interstitials: one asset is a playlist, a list of them is JSON.
    "#EXT-X-DATERANGE": {"X-ASSET-URI": Role.PLAYLIST, "X-ASSET-LIST": Role.DATA},
}
"""The attributes that hold URIs, and what each leads to."""
