"""What the metrics are read from."""

from collections.abc import Callable
from dataclasses import dataclass

from fastrelay.hls.store import Memory
from fastrelay.metrics.tally import Tally
from fastrelay.passthrough.cache import Cache
from fastrelay.passthrough.fetch import Fetch
from fastrelay.passthrough.registry import Passthroughs
from fastrelay.streams.manager import Manager


@dataclass(frozen=True, slots=True)
class Metered:
    """The server's parts that count."""

    tally: Tally
    memory: Memory
    cache: Cache[Fetch]
    manager: Manager
    passthroughs: Passthroughs
    connections: Callable[[], int]
    """How many are open."""
