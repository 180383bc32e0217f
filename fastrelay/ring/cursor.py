"""Where a viewer's cursor starts, and when it has fallen too far behind. Pure policy, no sockets."""

from dataclasses import dataclass

from fastrelay.mpegts.marks import Mark
from fastrelay.ring.index import Index
from fastrelay.ring.ring import Ring


def join_point(ring: Ring, index: Index, behind: float) -> Mark | None:
    """The random-access point a new viewer starts at; None when the ring holds none and he waits for the next.

    The newest one that is at least `behind` seconds behind the head: the viewer gets a burst to fill his buffer. But
    not if that lies in the older half of the ring, where a joiner would start half way to being dropped as slow, nor
    before the last splice, to be taken across it at once: then the newest there is.
    """
    if not index.marks:
        return None
    for mark in reversed(index.marks):
        if mark.position < _last_splice(index):
            break
        if index.seconds - mark.seconds >= behind:
            return mark if ring.head - mark.position <= ring.size // 2 else index.marks[-1]
    return index.marks[-1]


def first_point(ring: Ring, index: Index, room: int) -> Mark | None:
    """Where a viewer starts who waited for the stream to begin: at its beginning, while that is in the ring.

    The oldest random-access point with a lag of no more than half of the `room` there is.
    """
    oldest = max(_last_splice(index), ring.head - room // 2)
    return next((mark for mark in index.marks if mark.position >= oldest), index.marks[-1] if index.marks else None)


def _last_splice(index: Index) -> int:
    return index.splices[-1] if index.splices else 0


@dataclass(frozen=True, slots=True)
class Watermarks:
    """When a viewer is too slow. Lag is head - cursor in bytes: it is the viewer's whole write buffer."""

    high: float
    """Part of the ring a lag must never pass."""
    patience: float
    """Seconds a lag may stay grown."""

    def is_over(self, lag: int, room: int) -> bool:
        """High watermark: what this viewer has not read will soon be overwritten. `room` as Retention says."""
        return lag > self.high * room

    def is_growing(self, lag: int, lag_at_join: int, ring_size: int) -> bool:
        """Low watermark: he fell behind by a quarter of the ring since he joined.

        Measured from his own start, because a join at a far key frame begins with a lag that is no fault of his.
        """
        return lag - lag_at_join > ring_size // 4
