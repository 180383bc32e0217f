"""What the whole server counts as it happens, beside the books of its streams. Nothing here is touched per chunk."""

from collections import Counter

from fastrelay.metrics.books import Books
from fastrelay.metrics.histogram import Histogram

DROPS = ("slow", "overrun", "timed out")
"""Why a viewer is dropped: behind a watermark, behind the ring's tail, or dead."""
SWITCHES = ("asked", "ended", "connect", "eof", "failed", "format", "limit", "refused", "stall", "status")
"""Why a source is left: an operator asked, it played to its end, or it failed (the reasons of `SourceError`)."""
KINDS = ("ts", "hls")


class Tally:
    """Since the server's start; counts only rise."""

    def __init__(self) -> None:
        self.books = Books()
        self.drops = _zeros(DROPS)
        """Viewers, by one of DROPS."""
        self.switches = _zeros(SWITCHES)
        """By one of SWITCHES."""
        self.failures = _zeros(SWITCHES[2:])
        """Of sources, by the reason of their SourceError."""
        self.viewers = _zeros(KINDS)
        """Who came, by kind."""
        self.answers: dict[int, int] = {}
        """Whole HTTP answers, by status."""
        self.outage = Histogram(0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)
        """Seconds between the last bytes of one source and the first of the next."""
        self.first_byte = {kind: Histogram(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30) for kind in KINDS}
        """Seconds from a viewer's request to the first bytes of media, or the first playlist."""
        self.join_lag = Histogram(0.5, 1, 2, 3, 4, 6, 8, 12, 20, 30)
        """Seconds of media between where a viewer of TS joins and the newest there is."""
        self.loop_lag = Histogram(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
        """Seconds by which the event loop was late."""


def _zeros(words: tuple[str, ...]) -> Counter[str]:
    """Every word from the start: a series that begins with its first event hides it from `increase()`."""
    return Counter(dict.fromkeys(words, 0))
