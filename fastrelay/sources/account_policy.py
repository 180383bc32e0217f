"""Whose connection is closed when a provider account has none left. Pure: who watches comes in, a choice comes out.

Providers sell a number of connections and turn away, or lock out, who opens one more. A connection that nobody
watches is kept for a while for whoever may come back; somebody who is there needs it more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

Who = tuple[str, str]
"""A viewer as far as requests tell: address and user agent."""

NOBODY: frozenset[Who] = frozenset()


@dataclass(frozen=True, slots=True)
class Audience:
    """Who watches what comes in over one connection, or waits for it. Times are those of the loop, in seconds."""

    connected: frozenset[Who] = NOBODY
    """Those with a request under way: live TS, an answer that is waited for."""
    polling: frozenset[Who] = NOBODY
    """Those between two requests of HLS. Who has gone for good says nothing, he only does not come back."""
    quiet_since: float = 0.0
    """When the last of them was heard of."""
    newcomers: frozenset[Who] = NOBODY
    """Those of the connected who have just asked for this stream and never had it yet."""
    newest: float = 0.0
    """When the last of them came."""

    @property
    def empty(self) -> bool:
        """Nobody watches, and nobody waits."""
        return not self.connected and not self.polling


def whom_to_stop(held: Sequence[Audience], newcomers: frozenset[Who]) -> int | None:
    """Index of the connection to close for a stream that `newcomers` wait for; None where all of them are needed.

    First one that nobody watches. Then one watched over HLS by the newcomers themselves and nobody else: who zaps away
    from HLS cannot say so, and would wait for his own session to time out. Two players behind one address that call
    themselves the same are one viewer here, and the later request wins: the price for the zapping of all others. Of
    several, the one that has been quiet the longest.
    """
    unwatched = [number for number, audience in enumerate(held) if audience.empty]
    left = [
        number
        for number, audience in enumerate(held)
        if not audience.connected and audience.polling and audience.polling <= newcomers
    ]
    return min(unwatched or left, key=lambda number: held[number].quiet_since, default=None)
