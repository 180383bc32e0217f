"""What the metrics are read from."""

from collections.abc import Callable
from dataclasses import dataclass

from fastrelay.hls.store import Memory
from fastrelay.metrics.tally import Tally
from fastrelay.streams.stream import Stream


@dataclass(frozen=True, slots=True)
class Metered:
    """The server's parts that count."""

    tally: Tally
    memory: Memory
    running: Callable[[], list[Stream]]
    """The streams that run."""
    connections: Callable[[], int]
    """How many are open."""
