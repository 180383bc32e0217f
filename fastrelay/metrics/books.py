"""What streams have done since the server's start. A counter that is read from here never falls, although the runs
that it sums come and go.

A run is in the books from its start until its last viewer has gone; what it did stays in them. Series per stream are
bounded: a run's stream has one of its own if there is room, else the run is counted under `OTHER`, for all of its life.
When there is none, the stream that has not run for longest gives its series up; should it run again, its series begins
at nothing, which Prometheus takes for what it is, a counter's reset.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

STREAMS_MAX = 200
"""Streams with series of their own: some ten series each."""
OTHER = "(other)"
"""No stream can have this id: output paths have no brackets."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What runs have done."""

    received: int = 0
    """Bytes read from sources."""
    delivered: int = 0
    """Bytes that viewers have taken."""
    drops: int = 0
    """Viewers that were too slow."""
    switches: int = 0
    """To another source, or to the same one anew."""
    lost: int = 0
    """Packets, datagrams and segments known to be lost on the way in."""
    continuity_errors: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.received + other.received,
            self.delivered + other.delivered,
            self.drops + other.drops,
            self.switches + other.switches,
            self.lost + other.lost,
            self.continuity_errors + other.continuity_errors,
        )


class Entry:
    """One run in the books; `label` is the series it is counted under."""

    __slots__ = ("label", "sums")

    def __init__(self, label: str, sums: Callable[[], Sums]) -> None:
        self.label = label
        self.sums = sums


class Books:
    """`most`: streams with series of their own."""

    def __init__(self, most: int = STREAMS_MAX) -> None:
        self._most = most
        self._all = Sums()
        """Of all ended runs."""
        self._past: dict[str, Sums] = {}
        """Of the ended runs of each series, the one that ended last at the end."""
        self._open: set[Entry] = set()
        self._running: Counter[str] = Counter()

    def open(self, stream_id: str, sums: Callable[[], Sums]) -> Entry:
        """A run begins; `sums` is asked what it has done so far."""
        entry = Entry(self._label(stream_id), sums)
        self._open.add(entry)
        self._running[entry.label] += 1
        return entry

    def close(self, entry: Entry) -> None:
        """It is over. Idempotent."""
        if entry not in self._open:
            return
        self._open.remove(entry)
        self._running[entry.label] -= 1
        done = entry.sums()
        self._all += done
        self._past[entry.label] = self._past.pop(entry.label) + done

    def total(self) -> Sums:
        """Everything since the start."""
        return sum((entry.sums() for entry in self._open), self._all)

    def by_stream(self) -> dict[str, Sums]:
        """The same by series; streams that gave theirs up are missing."""
        found = dict(self._past)
        for entry in self._open:
            found[entry.label] += entry.sums()
        return found

    def _label(self, stream_id: str) -> str:
        if stream_id in self._past:
            return stream_id
        if len(self._past) - (OTHER in self._past) >= self._most:
            rested = next(self._rested(), None)
            if rested is None:
                self._past.setdefault(OTHER, Sums())
                return OTHER
            del self._past[rested]
        self._past[stream_id] = Sums()
        return stream_id

    def _rested(self) -> Iterator[str]:
        """Series of streams that do not run, the longest at rest first."""
        return (label for label in self._past if not self._running[label] and label != OTHER)
