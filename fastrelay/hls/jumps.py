"""How many unannounced jumps of the time stamps become borders of segments.

Media sequences count from the Unix time, so segments must not be shorter than a second for long.
"""

from math import inf

JUMPS_APART = 2.0
"""Seconds. A jump may make two segments; where stamps jump more often all the time, not every jump is a border."""

JUMPS_AT_ONCE = 8
"""So many jumps may come closer together than that and each is a border: a splice is seldom one alone."""


class Jumps:
    """`least`: seconds that segments shall last on average, or their duration where that is less than a second."""

    def __init__(self, least: float) -> None:
        self._apart = JUMPS_APART * least
        self._used = -inf
        """Media time up to which the borders so far have used up what is theirs: `_apart` each."""

    def take(self, seconds: float) -> bool:
        """Whether a jump at this media time may be a border; if so it counts as one."""
        used = max(self._used, seconds - JUMPS_AT_ONCE * self._apart) + self._apart
        if used > seconds:
            return False
        self._used = used
        return True
