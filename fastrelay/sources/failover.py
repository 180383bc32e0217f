"""Which source is dialled next, and when. Pure: failures and the time come in, an attempt comes out."""

from collections.abc import Callable
from dataclasses import dataclass

from fastrelay.config import Failover

PROVEN_SECONDS = 30.0
"""A source that delivered this long has earned a second dial before its successor gets the channel."""

CALM_SECONDS = 5.0
"""A source that delivered this long ends the backing off: only quick failures are hammering."""


@dataclass(frozen=True, slots=True)
class Attempt:
    index: int
    """Which of the sources."""
    delay: float
    """Seconds to wait before dialling it."""


class Plan:
    """The order of attempts over a list of sources. One failure uses up one source."""

    def __init__(self, settings: Failover, random: Callable[[], float]) -> None:
        self._settings = settings
        self._random = random
        self._failed_in_row = 0
        self._rounds = 0
        self._failing_since: float | None = None

    def succeeded(self) -> None:
        """A source delivers: media flow again."""
        self._failing_since = None

    def failed(self, index: int, ran_for: float, sources: int, now: float) -> Attempt | None:
        """The source at `index` failed after delivering for `ran_for` seconds (0: never did).

        Returns the next attempt out of `sources`, or None when all have been failing for `give_up` seconds.
        """
        if ran_for >= CALM_SECONDS:
            self._rounds = 0
        if ran_for >= PROVEN_SECONDS:
            # A hiccup of a good source: all that was held against anyone is forgotten, and it is dialled once more.
            # Should it fail again before it has proven itself anew, that is an ordinary failure.
            self._failed_in_row = 0
            return Attempt(index % sources, 0.0)
        if self._failing_since is None:
            self._failing_since = now
        if now - self._failing_since >= self._settings.give_up:
            return None
        self._failed_in_row += 1
        return Attempt((index + 1) % sources, self._backoff(sources))

    def skipped(self, index: int, sources: int) -> Attempt:
        """The operator wants the next source now; nothing is held against this one."""
        return Attempt((index + 1) % sources, 0.0)

    def all_failed(self, sources: int) -> bool:
        """Has every source failed since one last proved itself?"""
        return self._failed_in_row >= sources

    def _backoff(self, sources: int) -> float:
        # Only a whole round of failures costs time: the first dial of each source is always at once.
        if self._failed_in_row % sources:
            return 0.0
        least, most = self._settings.retry_backoff
        delay = min(most, least * 2.0**self._rounds)
        self._rounds += 1
        # Full jitter downwards to a half, so that a thousand relays of one dead provider do not dial in step.
        return delay * (0.5 + 0.5 * self._random())
