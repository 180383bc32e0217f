"""What one update of the dashboard costs the server: 50 running streams, however many tabs and channels there are."""

from collections.abc import Callable
from typing import Any

import uvloop

from bench.running import manager_of
from fastrelay.endpoints.board import Board
from fastrelay.hls.store import Memory
from fastrelay.metrics.tally import Tally

STREAMS, VIEWERS = 50, 20


def bench_with(benchmark: Any, measured: Callable[[Board], object]) -> None:
    loop = uvloop.new_event_loop()

    async def run() -> None:
        manager = manager_of(STREAMS, VIEWERS, Tally(), Memory(1 << 30))
        for stream in manager.running():
            for number in range(50):
                stream.events.note("source failed", f"source 0: connect: http://h/live/me/pass/{number}.ts refused")
        board = Board(lambda: [*manager.running()])
        for second in range(300):
            board.sample(2.0 * second)
        board.updates({False, True})
        benchmark.pedantic(measured, (board,), rounds=100, warmup_rounds=5)
        await manager.stop_all("done")

    loop.run_until_complete(run())
    loop.close()


def test_update_of_all_tabs(benchmark: Any) -> None:
    """Once for everybody and once for administrators; a tab more costs one send."""
    bench_with(benchmark, lambda board: board.updates({False, True}))


def test_sample(benchmark: Any) -> None:
    """All that is done while nobody looks."""
    bench_with(benchmark, lambda board: board.sample(1000.0))


def test_snapshot(benchmark: Any) -> None:
    """What a new tab gets, with 50 events of every stream; shared by all that come within a second."""
    bench_with(benchmark, lambda board: board.snapshot(reveal=False, manager=False))
