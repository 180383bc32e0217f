"""What it costs to put a received piece into the ring, and to look it up again."""

from typing import Any

from fastrelay.ring.ring import Ring

PIECE = bytes(348 * 188)


def test_append(benchmark: Any) -> None:
    ring = Ring(4 << 20)
    benchmark(ring.append, PIECE)


def test_views(benchmark: Any) -> None:
    ring = Ring(4 << 20)
    for _ in range(100):
        ring.append(PIECE)
    benchmark(lambda: ring.views(ring.head - len(PIECE), ring.head))


def test_grow_by_a_step(benchmark: Any) -> None:
    def full() -> tuple[tuple[Ring, int], dict[str, Any]]:
        ring = Ring(4 << 20)
        for _ in range(100):
            ring.append(PIECE)
        return (ring, 5 << 20), {}

    benchmark.pedantic(Ring.grow, setup=full, rounds=20)
