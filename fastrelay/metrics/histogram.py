"""Observations counted by size, the way Prometheus wants them: how many were no larger than each bound."""

from bisect import bisect_left
from itertools import accumulate


class Histogram:
    """`bounds` rise; what is larger than the last one is counted as well."""

    __slots__ = ("_counts", "bounds", "total")

    def __init__(self, *bounds: float) -> None:
        self.bounds = bounds
        self.total = 0.0
        """The sum of all observations."""
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Count one, in the unit of the bounds."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, int]]:
        """`(bound, how many up to it)`, rising; the last one, `+Inf`, is how many there were."""
        names = [*(repr(float(bound)) for bound in self.bounds), "+Inf"]
        return list(zip(names, accumulate(self._counts), strict=True))
