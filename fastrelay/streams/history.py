"""The last ten minutes in figures: a bounded row of samples, so that a new reader has them at once. Pure."""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

STEP = 2.0
"""Seconds between two samples."""
KEPT = 300
"""Samples: ten minutes."""


class Reading(NamedTuple):
    """One running stream at one moment; bytes are counted from its start."""

    stream_id: str
    viewers_ts: int
    viewers_hls: int
    received: int
    delivered: int


class Sample(NamedTuple):
    """All streams together: viewers now, and bits per second since the sample before."""

    viewers_ts: int
    viewers_hls: int
    bits_in: int
    bits_out: int


class History:
    """Nothing is kept for a stream beyond the next sample after its end."""

    def __init__(self) -> None:
        self.samples: deque[Sample] = deque(maxlen=KEPT)
        self._before: dict[str, Reading] = {}
        self._taken_at = 0.0

    def take(self, readings: Iterable[Reading], now: float) -> Sample:
        """The next sample; `now` in seconds on any clock. A stream that began meanwhile counts from its beginning."""
        seconds = now - self._taken_at if self.samples else STEP
        self._taken_at = now
        before, self._before = self._before, {reading.stream_id: reading for reading in readings}
        taken, sent = 0, 0
        for reading in self._before.values():
            last = before.get(reading.stream_id)
            # A smaller count is that of a new run.
            taken += reading.received - (last.received if last and last.received <= reading.received else 0)
            sent += reading.delivered - (last.delivered if last and last.delivered <= reading.delivered else 0)
        sample = Sample(
            sum(reading.viewers_ts for reading in self._before.values()),
            sum(reading.viewers_hls for reading in self._before.values()),
            round(8 * taken / seconds) if seconds > 0 else 0,
            round(8 * sent / seconds) if seconds > 0 else 0,
        )
        self.samples.append(sample)
        return sample
