"""Which names can be asked for: those that the source's playlists list now, or did a moment ago. Pure."""

import heapq
from collections.abc import Hashable, Mapping

from fastrelay.hls.m3u8_model import Span
from fastrelay.hls.names import Mention
from fastrelay.hls.rewrite import Rewritten


class Entry:
    """A name that can be asked for, and what it leads to."""

    __slots__ = ("leaves_at", "listed_by", "mention", "name", "spans", "variables")

    def __init__(self, name: str, mention: Mention) -> None:
        self.name = name
        self.mention = mention
        """As it was mentioned last: signatures in URLs change from one reload to the next."""
        self.listed_by: set[Hashable] = set()
        """The playlists that list it."""
        self.leaves_at = 0.0
        """When it expires, once none lists it any more."""
        self.spans: frozenset[Span] = frozenset()
        """The byte ranges that are listed of it; none where it is listed as a whole."""
        self.variables: Mapping[str, str] = {}
        """Those of the master playlist that lists it."""


class Table:
    """The names of one source. Times are seconds of one clock."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._listed: dict[Hashable, frozenset[str]] = {}
        self._leaving: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, name: str, now: float) -> Entry | None:
        entry = self._entries.get(name)
        if entry is None or (not entry.listed_by and entry.leaves_at <= now):
            return None
        return entry

    def publish(self, owner: Hashable, version: Rewritten, now: float, grace: float) -> None:
        """The playlist `owner` lists what this version of it mentions; what it listed before and lists no more can be
        asked for during another `grace` seconds."""
        for name, mention in version.mentions.items():
            entry = self._entries.get(name)
            if entry is None:
                entry = self._entries[name] = Entry(name, mention)
            entry.mention = mention
            entry.listed_by.add(owner)
            entry.variables = version.variables or entry.variables
            listed = version.spans.get(name, frozenset())
            # With the ranges of the version before: who read that may still ask for them.
            entry.spans = listed | entry.spans if listed else listed
        names = frozenset(version.mentions)
        self._leave(owner, self._listed.get(owner, frozenset()) - names, now + grace)
        self._listed[owner] = names

    def withdraw(self, owner: Hashable, now: float, grace: float) -> None:
        """The playlist is not followed any more."""
        self._leave(owner, self._listed.pop(owner, frozenset()), now + grace)

    def stay(self, entry: Entry, until: float) -> None:
        """A name in use: it does not expire before `until`."""
        if until > entry.leaves_at:
            entry.leaves_at = until
            if not entry.listed_by:
                heapq.heappush(self._leaving, (until, entry.name))

    def expire(self, now: float) -> list[Entry]:
        """Forget what has expired, and say what it was."""
        gone = []
        while self._leaving and self._leaving[0][0] <= now:
            _, name = heapq.heappop(self._leaving)
            entry = self._entries.get(name)
            if entry is not None and not entry.listed_by and entry.leaves_at <= now:
                gone.append(self._entries.pop(name))
        return gone

    def _leave(self, owner: Hashable, names: frozenset[str], leaves_at: float) -> None:
        for name in names:
            entry = self._entries[name]
            entry.listed_by.discard(owner)
            entry.leaves_at = max(entry.leaves_at, leaves_at)
            if not entry.listed_by:
                heapq.heappush(self._leaving, (entry.leaves_at, name))
