#!/usr/bin/env python3
"""Compares a run of the micro-benchmarks with the stored one and prints what became slower.

bench/compare.py RUN.json [--store]      RUN.json is what pytest --benchmark-json wrote.

Each time is taken as a multiple of the reference work's right beside it (bench/conftest.py), so that a faster or slower
machine is no difference; the fastest round counts, because noise only ever adds.
"""

import argparse
import json
from pathlib import Path
from typing import Any

BASELINE = Path(__file__).with_name("baseline.json")
REFERENCE = "reference"
"""Key of its seconds in what a benchmark tells besides its own."""
SLOWER = 1.5
"""From this factor on a benchmark counts as slower: on a machine shared with other work they move by up to a third."""


def multiples(run: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    """Name of each benchmark with its time as a multiple of the reference's."""
    return {
        entry["fullname"].rpartition("/")[2]: entry["stats"]["min"] / entry["extra_info"][REFERENCE]
        for entry in run["benchmarks"]
    }


def changes(before: dict[str, float], now: dict[str, float]) -> list[tuple[str, float]]:
    """How many times as long each benchmark takes that both know; the worst first."""
    both = [(name, now[name] / before[name]) for name in now if before.get(name)]
    return sorted(both, key=lambda pair: -pair[1])


def told(before: dict[str, float], now: dict[str, float]) -> list[str]:
    """The comparison, for people."""
    found = changes(before, now)
    lines = [f"slower: {name} takes {factor:.2f} times as long" for name, factor in found if factor >= SLOWER]
    lines += [f"faster: {name} takes {factor:.2f} times as long" for name, factor in found if factor <= 1 / SLOWER]
    lines += [f"new: {name}" for name in now if name not in before]
    same = sum(1 / SLOWER < factor < SLOWER for _, factor in found)
    return [*lines, f"{same} of {len(found)} as fast as before, within {SLOWER - 1:.0%}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--store", action="store_true", help="make this run the baseline")
    given = parser.parse_args()
    now = multiples(json.loads(given.run.read_text()))
    if BASELINE.exists():
        print("\n".join(told(json.loads(BASELINE.read_text()), now)))
    if given.store:
        rounded = {name: round(value, 4) for name, value in sorted(now.items())}
        BASELINE.write_text(json.dumps(rounded, indent=1) + "\n")
        print(f"stored: {BASELINE}")


if __name__ == "__main__":
    main()
