"""The segments that viewers can fetch: those listed, and those removed that a slow player may still ask for."""

from collections import deque
from dataclasses import dataclass, replace
from math import inf
from typing import NamedTuple

from fastrelay.hls.playlist import Entry, Head, media_playlist
from fastrelay.hls.segment import Segment

LEAST_TARGETS = 3
"""Target durations that a live playlist must list at least (RFC 8216 §6.2.2)."""

REPORT_EVERY = 60.0
"""Seconds between two reports that memory was short."""


@dataclass(frozen=True, slots=True)
class Removed:
    """A segment that is listed no more, kept until `until` (the clock of `Store.add`)."""

    entry: Entry
    until: float


class Numbers(NamedTuple):
    """All that a later store of the same stream must know: the lowest numbers that were not given yet."""

    sequence: int
    name: int
    discontinuity: int


class Memory:
    """The bound on the segments of all streams together."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.shortened = 0
        """Segments given up before their time."""
        self._reported = 0
        self._report_at = -inf
        self._stores: list[Store] = []

    @property
    def used(self) -> int:
        """Bytes of all segments held."""
        return sum(store.bytes for store in self._stores)

    def report(self, now: float) -> int:
        """For the operator: how many segments were given up since the last report, which was a minute ago or more.

        Where memory is short every new segment costs an old one: he shall hear of it, but not each time.
        """
        news = self.shortened - self._reported
        if not news or now < self._report_at:
            return 0
        self._reported, self._report_at = self.shortened, now + REPORT_EVERY
        return news

    def join(self, store: "Store") -> None:
        self._stores.append(store)

    def leave(self, store: "Store") -> None:
        self._stores.remove(store)

    def make_room(self) -> None:
        """Give up segments until the limit holds.

        First what is removed already, those whose time is up soonest; only players that lag behind miss them. Then
        the oldest listed segment of the stream that lists most. The newest of every stream stays: without it there is
        nothing to serve.
        """
        used = self.used
        while used > self.limit:
            graced = [store for store in self._stores if store.removed]
            listing = [store for store in self._stores if len(store.listed) > 1]
            if graced:
                store = min(graced, key=lambda store: store.removed[0].until)
            elif listing:
                store = max(listing, key=lambda store: store.bytes)
            else:
                return
            used -= store.give_up_oldest()
            self.shortened += 1


class Store:
    """The segments of one stream, from one start of its HLS to its stop.

    Numbers need nothing stored, as long as the clock does not go back:

    - The media sequence begins at the Unix time in whole seconds. No playlist begins with a number that lies in the
      future: where segments are shorter than a second, more of them stay listed. So after a restart of the process
      none begins below one that was served.
    - Names are milliseconds of Unix time, or one more than the name before. So they are unique even when a restart
      follows a burst of segments so quickly that the restarted sequence goes through the same numbers.

    Within a process `after`, the numbers of the store before, keeps sequences apart however soon one follows another.
    The discontinuity sequence begins there too, or at `discontinuity` (see discontinuities.py) where that is more.
    """

    def __init__(
        self, now: float, window: int | None, memory: Memory, after: Numbers | None = None, discontinuity: int = 0
    ) -> None:
        self.listed: deque[Entry] = deque()
        self.removed: deque[Removed] = deque()
        self.bytes = 0
        """Held by all segments, listed or not."""
        self.independent = True
        """Every segment so far stands on its own."""
        self.ended = False
        self.playlist = b""
        """The media playlist as it now stands; empty before the first segment. Its URIs are relative, without query."""
        self._next = max(int(now), after.sequence if after else 0)
        self._discontinuities = max(discontinuity, after.discontinuity if after else 0)
        self._window = window
        self._memory = memory
        self._target = 0
        self._longest = 0.0
        """Seconds of the longest playlist served."""
        self._next_name = after.name if after else 0
        self._peak = 0.0
        self._bits = 0
        self._seconds = 0.0
        memory.join(self)

    @property
    def numbers(self) -> Numbers:
        """For the store that follows this one."""
        return Numbers(self._next, self._next_name, self._discontinuities + 1)

    @property
    def bandwidth(self) -> tuple[int, int]:
        """Peak and average bits per second of all segments so far (RFC 8216 §4.3.4.2)."""
        average = self._bits / self._seconds if self._seconds else 0.0
        return round(max(self._peak, average)), round(average)

    def add(self, segment: Segment, date: float | None, target: int, now: float) -> None:
        """List one more segment. `now`: Unix time in seconds; `date`: that of its first picture, None for no date.

        `target` is the same for all.
        """
        self._target = target
        self.independent = self.independent and segment.independent
        # Nothing is before the first one that it could fail to continue.
        discontinuity = segment.discontinuity and len(self.listed) > 0
        self._discontinuities += discontinuity
        name = max(self._next_name, int(now * 1000))
        self.listed.append(Entry(segment, name, self._next, self._discontinuities, discontinuity, date))
        self._next += 1
        self._next_name = name + 1
        self.bytes += len(segment.data)
        self._bits += 8 * len(segment.data)
        self._seconds += segment.duration
        self._peak = max(self._peak, _peak(self.listed, target))
        self._longest = max(self._longest, sum(one.segment.duration for one in self.listed))
        self._roll(now)
        self.expire(now)
        self._memory.make_room()
        self._render()

    def move_dates(self, seconds: float) -> None:
        """All that is listed began so much later than was told."""
        self.listed = deque(
            entry if entry.date is None else replace(entry, date=entry.date + seconds) for entry in self.listed
        )
        self._render()

    def end(self) -> None:
        """Nothing more will come, for good: the source was finite and is played out."""
        self.ended = True
        self._render()

    def find(self, name: int) -> Segment | None:
        """The segment called `segment_{name}.ts`, while it is held."""
        for entry in reversed(self.listed):
            if entry.name == name:
                return entry.segment
        for removed in reversed(self.removed):
            if removed.entry.name == name:
                return removed.entry.segment
        return None

    def expire(self, now: float) -> None:
        """Let go of what no player can ask for any more."""
        while self.removed and self.removed[0].until <= now:
            self.bytes -= len(self.removed.popleft().entry.segment.data)

    def close(self) -> None:
        """Let go of everything."""
        self.listed.clear()
        self.removed.clear()
        self.bytes = 0
        self._memory.leave(self)

    def give_up_oldest(self) -> int:
        """Forget the oldest segment before its time; returns its bytes."""
        if self.removed:
            entry = self.removed.popleft().entry
        else:
            entry = self.listed.popleft()
            self._render()
        self.bytes -= len(entry.segment.data)
        return len(entry.segment.data)

    def _roll(self, now: float) -> None:
        """Remove from the list what is beyond the window.

        A removed segment is kept for its own duration and that of the longest playlist that listed it (§6.2.2).
        """
        if self._window is None:
            return
        seconds = sum(entry.segment.duration for entry in self.listed)
        while len(self.listed) > self._window:
            first = self.listed[0]
            seconds -= first.segment.duration
            if seconds < LEAST_TARGETS * self._target or first.sequence >= int(now):
                return
            self.listed.popleft()
            self.removed.append(Removed(first, now + first.segment.duration + self._longest))

    def _render(self) -> None:
        head = Head(self._target, self.independent, self.ended, finished=self.ended and self._window is None)
        self.playlist = media_playlist(head, self.listed)


def _peak(listed: deque[Entry], target: int) -> float:
    """Bits per second of the newest run of segments that lasts 0.5 to 1.5 target durations; 0 if there is none."""
    peak, bits, seconds = 0.0, 0, 0.0
    for entry in reversed(listed):
        bits += 8 * len(entry.segment.data)
        seconds += entry.segment.duration
        if seconds > 1.5 * target:
            break
        if seconds >= 0.5 * target:
            peak = max(peak, bits / seconds)
    return peak
