"""Which discontinuity sequence numbers a process gives, so that they only rise and stay small.

They must be small because hls.js keeps an array indexed by them and copies it at every discontinuity: behind a number
like the Unix time (1.8 billion) a browser stands still for a minute; behind half a million for 30 ms. They must rise
across restarts because a player that polls through one would take the new time line for the old one.
"""

from collections.abc import Callable

EPOCH = 1_767_225_600
"""2026-01-01T00:00:00Z in Unix time."""
BLOCK = 100
"""Numbers reserved at a time: how much one restart skips at most."""


class Discontinuities:
    """Numbers begin at what was reserved before, or at the minutes since EPOCH where that is more or nothing is known.

    `reserved` is what `save` was last called with, 0 for nothing; `now` is the Unix time. `save` is called with the
    number below which all are given or may be given soon: once at the start, then half a block ahead of its use.
    """

    def __init__(self, reserved: int, now: float, save: Callable[[int], None]) -> None:
        self.next = max(reserved, int(now - EPOCH) // 60, 0)
        """No stream of this process, running or forgotten, was given a higher number, nor any before this process."""
        self._save = save
        self._reserve()

    def given(self, number: int) -> None:
        """A stream has come to this number."""
        if number > self.next:
            self.next = number
            if number >= self._reserved - BLOCK // 2:
                self._reserve()

    def _reserve(self) -> None:
        self._reserved = self.next + BLOCK
        self._save(self._reserved)
