#!/usr/bin/env python3
"""HLS of fastrelay beside nginx with the same bytes: playlists and segments of a megabyte, each server on one core.

nginx serves them as files with sendfile, and through its cache in front of fastrelay; the floor is a loop like ours
that does nothing but write them. All take their turns, round after round; the medians of the rounds count. Exit status
1 when a target is missed.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from bench.side.contestants import FASTRELAY, ROOT, Serving, Stage
from bench.side.hls_contestants import CACHED, NGINX, STATIC, WRK, put, start_floor
from bench.side.hls_rate import Rate, playlists, segments, snapshot
from bench.side.process import Pinned, free_port
from bench.side.trial import renice_self

TARGETS = {"playlist": 1.2, "segment": 0.9}
"""fastrelay's answers per second of its core against those of nginx with files."""
BYTE_RATE = 262_144
"""Of the channel: four seconds of it are a segment of a megabyte."""
PATH = "/live/1.ts"

Rates = dict[tuple[str, str], list[Rate]]

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    given = _arguments()
    for needed in (NGINX, WRK):
        if why := needed.missing():
            console.print(f"[red]{why}[/red]")
            return 2
    renice_self(given.load_core, -15)
    rates: Rates = {}
    with tempfile.TemporaryDirectory(prefix="fastrelay-bench-") as folder:
        port = free_port()
        command = [sys.executable, str(ROOT / "bench/origin.py"), "--port", str(port), "--bitrate", str(8 * BYTE_RATE)]
        origin = Pinned(command, given.load_core, Path(folder) / "origin.log")
        try:
            origin.wait_for_port(port)
            _run(Path(folder), port, given, rates)
        finally:
            origin.stop()
    figures = {
        f"{what} {who}": {**_figures(runs), "fastrelay / this": _ratio(rates[what, "fastrelay"], runs)}
        for (what, who), runs in rates.items()
    }
    met = _tell(rates)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if met else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run (default 2)")
    parser.add_argument("--rounds", type=int, default=9, help="runs of each, in alternation (default 9)")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where the figures are written, too")
    return parser.parse_args()


def _run(folder: Path, origin_port: int, given: argparse.Namespace, rates: Rates) -> None:
    folders = [folder / name for name in ("fastrelay", "nginx")]
    for one in folders:
        one.mkdir()
    with ExitStack() as stack:
        ours = FASTRELAY.start(Stage(folders[0], given.server_core, origin_port, PATH, 0))
        stack.callback(ours.process.stop)
        # Of the ring nothing is needed any more when the window is full.
        _wait_for_window(f"{ours.url}/hls/playlist.m3u8")
        port = int(ours.url.split(":")[2].split("/")[0])
        stage = Stage(folders[1], given.server_core, port, "", 0)
        theirs = NGINX.start(stage)
        stack.callback(theirs.process.stop)
        floor = start_floor(stage)
        stack.callback(floor.process.stop)
        for _ in range(given.rounds):
            _round(ours, theirs, floor, folders[1], given.seconds, rates)


def _wait_for_window(url: str) -> None:
    while snapshot(url).count(b".ts") < 6:
        time.sleep(1.0)


def _round(ours: Serving, theirs: Serving, floor: Serving, folder: Path, seconds: float, rates: Rates) -> None:
    """What nginx has as files is what fastrelay serves at that moment."""
    playlist = f"{ours.url}/hls/playlist.m3u8"
    text = snapshot(playlist)
    name = text.decode().split()[-1]
    segment = f"{ours.url}/hls/{name}"
    path = f"/stream/bench/hls/{name}"
    files = {"playlist": put(folder, "playlist.m3u8", text), "segment": put(folder, name, snapshot(segment))}
    for what, ask, own, cached in (
        ("playlist", playlists, playlist, "/stream/bench/hls/playlist.m3u8"),
        ("segment", segments, segment, path),
    ):
        for who, url, pid in (
            ("fastrelay", own, ours.process.pid),
            ("nginx, files", theirs.url + files[what], theirs.process.pid),
            ("nginx, cache", theirs.url + CACHED + cached, theirs.process.pid),
            ("floor", floor.url + files[what].removeprefix(STATIC), floor.process.pid),
        ):
            rate = ask(url, pid, seconds)
            rates.setdefault((what, who), []).append(rate)
            console.print(f"{what:9}{who:14}{rate.per_second:10,.0f}/s {rate.cpu / rate.seconds:6.0%} of its core")


def _figures(runs: list[Rate]) -> dict[str, float]:
    return {
        "per second": median(run.per_second for run in runs),
        "per CPU second": median(run.per_cpu_second for run in runs),
        "of a core": median(run.cpu / run.seconds for run in runs),
    }


def _ratio(ours: list[Rate], theirs: list[Rate]) -> float:
    """The median of the rounds' ratios: neighbours in time."""
    return median(mine.per_cpu_second / other.per_cpu_second for mine, other in zip(ours, theirs, strict=True))


def _tell(rates: Rates) -> bool:
    """The table; whether all targets are met."""
    table = Table("", "server", "per second", "of its core", "per CPU second", "fastrelay / this", "target")
    met = True
    for (what, who), runs in rates.items():
        figures, ratio, verdict = _figures(runs), _ratio(rates[what, "fastrelay"], runs), ""
        if who == "nginx, files":
            good = ratio >= TARGETS[what]
            met, verdict = met and good, f"{TARGETS[what]} {'PASS' if good else 'FAIL'}"
        numbers = f"{figures['per second']:,.0f}", f"{figures['of a core']:.0%}", f"{figures['per CPU second']:,.0f}"
        table.add_row(what, who, *numbers, f"{ratio:.2f}", verdict)
    console.print(table)
    console.print(f"load average {os.getloadavg()[0]:.1f}")
    return met


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, ValueError) as error:
        console.print(f"[red]{error}[/red]")
        sys.exit(2)
