"""Which names can be asked for: those that the source's playlists list now, or did a moment ago. Pure."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

from fastrelay.hls.m3u8_model import Span
from fastrelay.hls.names import Mention
from fastrelay.hls.rewrite import Rewritten

_TOGETHER = 1.0
"""Seconds: what leaves a playlist within them expires together. Low-latency lists change several times a second."""
_NONE: frozenset[Span] = frozenset()


@dataclass(frozen=True, slots=True)
class Entry:
    """A name that can be asked for, and what it leads to."""

    name: str
    mention: Mention
    """As it was mentioned last: signatures in URLs change from one reload to the next."""
    listed_by: tuple[Hashable, ...]
    """The playlists that list it."""
    spans: frozenset[Span]
    """The byte ranges that are, or were a moment ago, listed of it; none where it is listed as a whole."""
    variables: Mapping[str, str]
    """Those of the master playlist that lists it."""


@dataclass(slots=True)
class _Left:
    """What has left a playlist."""

    owner: Hashable
    since: float
    until: float
    mentions: dict[str, Mention]
    spans: dict[str, frozenset[Span]]
    variables: Mapping[str, str]


class Table:
    """The names of one source. Times are seconds of one clock.

    A version of a playlist is kept as it is, with what was in the one before and is in it no more: a list of a whole
    day has tens of thousands of names, and nearly all of them stay the same from one version to the next.
    """

    def __init__(self) -> None:
        self._listed: dict[Hashable, Rewritten] = {}
        """The one published last at the end."""
        self._left: list[_Left] = []
        self._staying: dict[str, tuple[float, Entry]] = {}

    def find(self, name: str, now: float) -> Entry | None:
        listed = {owner: version for owner, version in self._listed.items() if name in version.mentions}
        spans = frozenset[Span]().union(*(version.spans.get(name, _NONE) for version in listed.values()))
        if listed and not spans:
            return _entry(name, listed, spans)
        left = [one for one in self._left if one.until > now]
        spans = spans.union(*(one.spans.get(name, _NONE) for one in left))
        if listed:
            return _entry(name, listed, spans)
        for one in reversed(left):
            if name in one.mentions:
                return Entry(name, one.mentions[name], (), spans, one.variables)
        until, entry = self._staying.get(name, (now, None))
        return entry if until > now else None

    def publish(self, owner: Hashable, version: Rewritten, now: float, grace: float) -> None:
        """The playlist `owner` lists what this version of it mentions; what it listed before and lists no more can be
        asked for during another `grace` seconds."""
        before = self._listed.pop(owner, None)
        self._listed[owner] = version
        if before is not None:
            mentions = {name: one for name, one in before.mentions.items() if name not in version.mentions}
            spans = {
                name: left for name, all_ in before.spans.items() if (left := all_ - version.spans.get(name, _NONE))
            }
            self._leave(owner, now, now + grace, mentions, spans, before.variables)

    def withdraw(self, owner: Hashable, now: float, grace: float) -> None:
        """The playlist is not followed any more."""
        before = self._listed.pop(owner, None)
        if before is not None:
            self._leave(owner, now, now + grace, dict(before.mentions), dict(before.spans), before.variables)

    def stay(self, entry: Entry, until: float) -> None:
        """A name in use: it does not expire before `until`."""
        before, _ = self._staying.get(entry.name, (until, entry))
        self._staying[entry.name] = max(before, until), entry

    def expire(self, now: float, names: Iterable[str]) -> list[str]:
        """Forget what has expired; returns those of `names` that are gone."""
        over = [one for one in self._left if one.until <= now]
        left = [name for name, (until, _) in self._staying.items() if until <= now]
        if not over and not left:
            return []
        self._left = [one for one in self._left if one.until > now]
        for name in left:
            del self._staying[name]
        return [name for name in names if self.find(name, now) is None]

    def _leave(
        self,
        owner: Hashable,
        now: float,
        until: float,
        mentions: dict[str, Mention],
        spans: dict[str, frozenset[Span]],
        variables: Mapping[str, str],
    ) -> None:
        if not mentions and not spans:
            return
        last = next((one for one in reversed(self._left) if one.owner == owner), None)
        if last is None or now - last.since >= _TOGETHER:
            self._left.append(_Left(owner, now, until, mentions, spans, variables))
            return
        last.until = max(last.until, until)
        last.mentions |= mentions
        for name, some in spans.items():
            last.spans[name] = last.spans.get(name, _NONE) | some


def _entry(name: str, listed: Mapping[Hashable, Rewritten], spans: frozenset[Span]) -> Entry:
    versions = list(listed.values())
    variables = next((one.variables for one in reversed(versions) if one.variables), {})
    return Entry(name, versions[-1].mentions[name], tuple(listed), spans, variables)
