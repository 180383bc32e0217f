"""Beside each benchmark, what the machine does at that moment with work that never changes; and rates, for people."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from bench.compare import REFERENCE

ROUNDS = 300
DATA = bytes(348 * 188)
RATES = pytest.StashKey[list[str]]()


def reference() -> int:
    """Calls, slices, look-ups and copies, in about the mixture of the byte path."""
    places: dict[int, int] = {}
    view = memoryview(DATA)
    for at in range(0, len(DATA), 188):
        key = DATA[at] ^ at & 0xFF
        places[key] = places.get(key, 0) + len(view[at : at + 188])
    return sum(places.values()) + len(DATA[::3].translate(bytes(range(256)))) + len(bytearray(DATA))


def fastest() -> float:
    """Seconds of the fastest of many rounds."""
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        reference()
        found.append(time.perf_counter() - began)
    return min(found)


@pytest.fixture(autouse=True)
def unit(benchmark: Any, request: pytest.FixtureRequest) -> Iterator[None]:
    """Before and after: the speed of a shared machine changes while a run lasts."""
    before = fastest()
    yield
    told = request.config.stash.setdefault(RATES, [])
    told += [f"{request.node.name}: {value:,} {key}" for key, value in benchmark.extra_info.items() if "/s" in key]
    benchmark.extra_info[REFERENCE] = min(before, fastest())


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """What a benchmark has said of itself in `extra_info` as so many of something per second."""
    for line in config.stash.get(RATES, []):
        terminalreporter.write_line(line)
