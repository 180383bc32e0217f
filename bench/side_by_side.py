#!/usr/bin/env python3
"""fastrelay beside other servers, and beside the floor: same source, same viewers, same core, one after the other.

The server has one core for itself; the viewers and the source share the other one. Everything is done twice, in
alternation. `./scripts/bench --full` makes bench/RESULTS.md of what this stores, and of the other figures.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console

from bench.load.figures import Figures
from bench.load.rows import rows_of
from bench.loadtest import allow_sockets
from bench.side.contestants import FASTRELAY, FLOOR, ICECAST, ROOT, VLC, Contestant
from bench.side.process import Pinned, free_port
from bench.side.results import table
from bench.side.trial import Arena, Trial, renice_self, run_trial

NICENESS = -15
"""Where it is allowed: other work of the machine is then hardly in the way."""
BYTE_RATE = 500_000
PATH = "/live/1.ts"

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """0; 1 when fastrelay did not hold its viewers."""
    given = _arguments()
    allow_sockets(max(given.viewers) + 64)
    niceness = renice_self(given.load_core, NICENESS)
    notes: list[str] = []
    entries = [one for one in (FASTRELAY, FLOOR, ICECAST, VLC) if _takes_part(one, given.only, notes)]
    with tempfile.TemporaryDirectory(prefix="fastrelay-bench-") as folder:
        port = free_port()
        origin = Pinned(
            [sys.executable, str(ROOT / "bench/origin.py"), "--port", str(port), "--bitrate", str(8 * BYTE_RATE)],
            given.load_core, Path(folder) / "origin.log",
        )  # fmt: skip
        try:
            origin.wait_for_port(port)
            arena = Arena(given.server_core, port, PATH, BYTE_RATE, given.seconds)
            trials = _all(entries, arena, given.viewers, given.rounds, notes)
        finally:
            origin.stop()
    setting = [
        f"server on core {given.server_core}; viewers and source on core {given.load_core}; niceness {niceness}",
        f"one channel of {8 * BYTE_RATE / 1e6:g} Mbit/s over loopback, {given.seconds:g} s measured, medians of runs",
        *(f"{entry.name}: {entry.version_line()}" for entry in entries if entry.version_line()),
    ]
    console.print("\n".join(table(trials)), markup=False)
    if given.json:
        stored = {"setting": setting, "notes": notes, "trials": [trial.plain() for trial in trials]}
        given.json.write_text(json.dumps(stored, indent=1) + "\n")
    return 0 if all(trial.figures.good for trial in trials if trial.contestant == FASTRELAY.name) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--viewers", type=int, nargs="+", default=[1000, 4000, 5000, 8000], help="of fastrelay and the floor"
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="measured time of a run (default 15)")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each, in alternation (default 2)")
    parser.add_argument("--only", nargs="+", help="contestants, by name")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where everything is stored")
    return parser.parse_args()


def _takes_part(entry: Contestant, only: list[str] | None, notes: list[str]) -> bool:
    if only and entry.name not in only:
        return False
    why = entry.missing()
    if why:
        notes.append(f"{entry.name} was left out: {why}")
    return not why


def _all(entries: list[Contestant], arena: Arena, viewers: list[int], rounds: int, notes: list[str]) -> list[Trial]:
    trials: list[Trial] = []
    steps: dict[str, tuple[int, ...]] = {}
    for _ in range(rounds):
        for count in viewers:
            # The floor writes as often as fastrelay just did.
            flush_ms = 130
            for entry in (FASTRELAY, FLOOR):
                if entry in entries:
                    trial = _one(entry, count, arena, flush_ms, trials)
                    flush_ms = flush_of(trial.figures)
        for entry in entries:
            if entry not in (FASTRELAY, FLOOR):
                _climb(entry, arena, steps, trials, notes)
    return trials


def flush_of(figures: Figures) -> int:
    """Milliseconds between two writes of a server to a viewer."""
    return round(figures.gap.get("p50", 0.13) * 1000)


def _climb(
    entry: Contestant, arena: Arena, steps: dict[str, tuple[int, ...]], trials: list[Trial], notes: list[str]
) -> None:
    """The first time up to where viewers are lost; later only at the most that were held."""
    best = 0
    try:
        for count in steps.get(entry.name, entry.ladder):
            if not _one(entry, count, arena, 0, trials).figures.good:
                break
            best = count
    except RuntimeError as error:
        notes.append(f"{entry.name} was left out: {error}")
    steps[entry.name] = (best,) if best else ()


def _one(entry: Contestant, viewers: int, arena: Arena, flush_ms: int, trials: list[Trial]) -> Trial:
    console.print(f"[bold]{entry.name}, {viewers:,} viewers[/bold]")
    trial = run_trial(entry, viewers, arena, flush_ms)
    trials.append(trial)
    for name, value in rows_of(trial.figures):
        console.print(f"  {name:24}{value}", markup=False)
    return trial


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, ValueError, subprocess.SubprocessError) as error:
        console.print(f"[red]{error}[/red]")
        sys.exit(2)
