"""How large a ring has to be: enough media for viewers to lag in and to join in, and not a byte more."""

from dataclasses import dataclass

from fastrelay.ring.index import Index
from fastrelay.ring.ring import Ring

STEP = 1 << 20
"""Bytes a ring grows by."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How much a ring keeps; see `streams.ring_*` and `streams.join_behind`."""

    seconds: float
    join_behind: float
    limit: int
    """The largest a ring may become, in bytes."""

    def behind(self, index: Index) -> float:
        """Seconds behind the head at which a viewer starts: what comes in bursts he must be able to wait for."""
        return max(self.join_behind, index.burst)

    def hold(self, index: Index) -> float:
        """Seconds of media a ring must hold.

        A join wants a mark `behind` the head and still in the newer half: with the longest key-frame interval on top of
        twice that distance there always is one.
        """
        return max(self.seconds, 2 * self.behind(index) + index.longest_interval)

    def size_for(self, ring: Ring, index: Index, incoming: int, needed: int | None) -> int:
        """The size the ring needs before `incoming` bytes are appended: its own, or more in steps of 1 MiB.

        It grows only where the append would overwrite media younger than `hold`, or bytes from the position `needed`
        on, and never beyond the limit. A stream without a clock cannot say how old its bytes are.
        """
        size, hold = ring.size, self.hold(index)
        while size < self.limit:
            lost = ring.head + incoming - size
            old = index.seconds_behind(lost) >= hold or index.seconds == 0.0
            if lost <= ring.tail or (old and (needed is None or lost <= needed)):
                break
            size = min(size + STEP, self.limit)
        return size

    def room(self, ring: Ring, index: Index) -> int:
        """Bytes a viewer may lag behind before something is lost for him: the ring's size, or the limit while the ring
        would still grow instead of overwriting. A young ring is small, and that is no fault of his."""
        full = index.seconds == 0.0 or index.seconds_behind(ring.tail) >= self.hold(index)
        return ring.size if full else max(ring.size, self.limit)
