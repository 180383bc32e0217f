#!/usr/bin/env python3
"""Plays thousands of viewers of any streaming server and tells how well they were served.

bench/loadtest.py http://127.0.0.1:8080/stream/demo --clients 1000 --seconds 30 --report out.html
"""

import json
import resource
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bench.load.figures import Figures, figures_of
from bench.load.options import Options, options_of, parser
from bench.load.page import page
from bench.load.rows import rows_of
from bench.load.run import Run, play

_SPARE = 64
"""Descriptors a load process needs besides one for each viewer."""


def main() -> int:
    """0 when every viewer was held, 1 when one was not, 2 for a wrong command line."""
    given = parser().parse_args()
    console = Console(stderr=True)
    try:
        options = options_of(given)
        allow_sockets(-(-options.clients // options.processes) + _SPARE)
        run = _play(options, given.pid, console)
    except (ValueError, RuntimeError) as error:
        console.print(f"[red]{error}[/red]", highlight=False)
        return 2
    figures = figures_of(run)
    _print(figures)
    if given.report:
        Path(given.report).write_text(page(run, figures, shlex.join(["loadtest.py", *sys.argv[1:]])))
    if given.json:
        Path(given.json).write_text(json.dumps(figures.plain(), indent=1) + "\n")
    return 0 if figures.good else 1


def allow_sockets(needed: int) -> None:
    """Raise the limit of open files as far as that goes. Raises ValueError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        if hard < needed:
            raise ValueError(f"one process may open {hard} files, {needed} are needed: give more --processes")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _play(options: Options, pid: int | None, console: Console) -> Run:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    # Drawn by hand below: a thread that redraws would take its time from the load.
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as progress:
        task = progress.add_task("starting", total=1.0)

        def tell(run: Run, now: float) -> None:
            progress.update(task, total=run.length, completed=now, description=_line(run))
            progress.refresh()

        return play(options, pid, tell)


def _line(run: Run) -> str:
    connected = sum(sample.connected for sample in run.latest)
    receiving = sum(sample.receiving for sample in run.latest)
    return f"{connected} of {run.options.clients} viewers, {receiving} receiving"


def _print(figures: Figures) -> None:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in rows_of(figures):
        table.add_row(name, value)
    Console(highlight=False).print(table)


if __name__ == "__main__":
    sys.exit(main())
