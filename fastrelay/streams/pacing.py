"""Holds a source to its clock: no burst runs further ahead than viewers can follow. Pure."""


class Pacer:
    """Says how long to wait before reading on, so that media stay at most `ahead` seconds before the wall clock.

    The measure starts at the source's slowest moment so far: a live source that was late may catch up by just as much
    without being held. A clock that jumps does not move media time at all, so a broken clock ends up unpaced, never
    stuck.
    """

    def __init__(self, ahead: float) -> None:
        self._ahead = ahead
        self._start: float | None = None

    def delay(self, media: float, now: float) -> float:
        """Seconds to wait when media time (seconds) has come to `media` at wall time `now`; 0 to go on."""
        start = now - media
        if self._start is None or start > self._start:
            self._start = start
        return max(0.0, self._start - start - self._ahead)
