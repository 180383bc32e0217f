"""What the ring holds, in media terms: where one can join, and how much time lies between two positions."""

from bisect import bisect_right
from collections import deque

from fastrelay.mpegts.marks import Mark

SAMPLE_EVERY = 0.1
"""Seconds of media between two samples of the timeline: enough for lag and retention, cheap to keep."""


class Index:
    """Random-access marks and a position-to-time table of one ring, both trimmed with its tail."""

    def __init__(self) -> None:
        self.marks: deque[Mark] = deque()
        self.splices: deque[int] = deque()
        """Positions from which the bytes do not continue those before."""
        self.longest_interval = 0.0
        """The longest key-frame interval seen, in seconds of media."""
        self.seconds = 0.0
        """Media time at the head."""
        self.burst = 0.0
        """Seconds of media that may come at a time, with a pause as long behind them: the segments of an HLS source."""
        self._last_mark: float | None = None
        self._positions: list[int] = []
        self._times: list[float] = []

    def add(self, mark: Mark) -> None:
        """A new place to join. Marks come in order of their positions."""
        if self._last_mark is not None:
            self.longest_interval = max(self.longest_interval, mark.seconds - self._last_mark)
        self._last_mark = mark.seconds
        self.marks.append(mark)

    def splice(self, position: int) -> None:
        """The bytes from `position` on do not continue those before."""
        self.splices.append(position)

    def advance(self, head: int, seconds: float) -> None:
        """The ring now ends at `head`, where media time is `seconds`; neither ever goes back."""
        self.seconds = seconds
        if not self._times or seconds - self._times[-1] >= SAMPLE_EVERY:
            self._positions.append(head)
            self._times.append(seconds)

    def forget(self, tail: int) -> None:
        """Drop what lies before `tail`: nobody can join or wait there any more."""
        while self.marks and self.marks[0].position < tail:
            self.marks.popleft()
        while self.splices and self.splices[0] < tail:
            self.splices.popleft()
        # The newest sample at or before the tail stays, so that the tail itself has a time. Trimmed in bulk: deleting
        # from the front of a list moves the rest.
        known = bisect_right(self._positions, tail) - 1
        if known > 64:
            del self._positions[:known], self._times[:known]

    def seconds_at(self, position: int) -> float:
        """Media time at a position, to within one sample; the oldest known for anything older."""
        if not self._times:
            return self.seconds
        return self._times[max(0, bisect_right(self._positions, position) - 1)]

    def seconds_behind(self, position: int) -> float:
        """How much media lies between a position and the head."""
        return max(0.0, self.seconds - self.seconds_at(position))
