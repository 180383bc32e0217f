#!/usr/bin/env python3
"""One figure of the table in bench/RESULTS.md, or several: measured, printed, and PASS or FAIL against its target.

bench/figure.py churn            bench/figure.py --all --json figures.json

The server has one core, viewers and provider the other. Every case is bounded and ends by itself.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console

from bench.cases import channels, soak, viewers
from bench.cases.figure import Figure
from bench.cases.stand import Cores
from bench.loadtest import allow_sockets
from bench.side.trial import renice_self

CASES: dict[str, Callable[..., list[Figure]]] = {
    "cold": viewers.cold,
    "warm": viewers.warm,
    "stalled": viewers.stalled,
    "churn": viewers.churn,
    "ten-channels": channels.ten,
    "200-channels": channels.two_hundred,
    "soak": soak.soak,
}
IN_ALL = {"soak": 120.0}
"""Seconds of those that take longer alone."""

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """0; 1 when a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--all", action="store_true", help="all of them; soak for two minutes instead of thirty")
    parser.add_argument("--seconds", type=float, help="measured time, where a case has one")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where the figures are written, too")
    given = parser.parse_args()
    names = list(CASES) if given.all else given.case
    if not names:
        parser.error("expected a case, or --all")
    allow_sockets(4096)
    renice_self(given.load_core, -15)
    figures: list[Figure] = []
    for name in names:
        figures += _run(name, Cores(given.server_core, given.load_core), given)
    if given.json:
        given.json.write_text(json.dumps([figure.plain() for figure in figures], indent=1) + "\n")
    return 1 if any(figure.good is False for figure in figures) else 0


def _run(name: str, cores: Cores, given: argparse.Namespace) -> list[Figure]:
    console.print(f"[bold]{name}[/bold]")
    seconds = given.seconds or (IN_ALL.get(name) if given.all else None)
    try:
        found = CASES[name](cores, seconds) if seconds and name != "cold" else CASES[name](cores)
    except (RuntimeError, OSError) as error:
        found = [Figure(name, "", f"not measured: {error}", False)]
    for figure in found:
        console.print(f"  {figure.what}: {figure.found} (target: {figure.target}) {figure.verdict}", markup=False)
    return found


if __name__ == "__main__":
    sys.exit(main())
