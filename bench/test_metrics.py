"""A scrape with every series there can be: 200 streams, each with viewers."""

from typing import Any

import uvloop

from bench.running import manager_of
from fastrelay.config import Hls, Streams
from fastrelay.endpoints.exposition import Exposition, rendered
from fastrelay.endpoints.metered import Metered
from fastrelay.hls.store import Memory
from fastrelay.metrics.tally import Tally
from fastrelay.passthrough.cache import Cache
from fastrelay.passthrough.channel import Settings
from fastrelay.passthrough.fetch import Fetch
from fastrelay.passthrough.registry import Passthroughs
from fastrelay.sources.accounts import Accounts
from fastrelay.streams.manager import Manager

STREAMS, VIEWERS = 200, 10


def bench_with(benchmark: Any, measured: Any) -> None:
    loop = uvloop.new_event_loop()
    tally, memory = Tally(), Memory(1 << 30)

    async def prepare() -> Manager:
        return manager_of(STREAMS, VIEWERS, tally, memory)

    streams = loop.run_until_complete(prepare())
    cache: Cache[Fetch] = Cache(1 << 20, 1 << 20)
    nothing: Any = None  # nobody asks for a channel to be passed through
    passthroughs = Passthroughs(
        Settings(Streams(), Hls(), nothing, nothing, Accounts(), cache, b"", lambda url: False, tally),
    )
    exposition = Exposition(Metered(tally, memory, cache, streams, passthroughs, lambda: STREAMS * VIEWERS))

    async def run() -> None:
        benchmark.pedantic(measured, (exposition,), rounds=20, warmup_rounds=2)
        await streams.stop_all("done")

    loop.run_until_complete(run())
    loop.close()


def test_collect(benchmark: Any) -> None:
    """What the loop is held for."""
    bench_with(benchmark, lambda exposition: exposition.collect())


def test_whole_scrape(benchmark: Any) -> None:
    """And with the text."""
    bench_with(benchmark, lambda exposition: b"".join(rendered(exposition.collect(), "text/plain")[0]))
