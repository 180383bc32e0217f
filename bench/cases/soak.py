"""Hours in minutes: viewers who stay, viewers who come and go, and a switch of the source every so often."""

import threading
from collections.abc import Callable

from bench.cases.churn import Churn
from bench.cases.figure import Figure
from bench.cases.stand import Cores, stand
from bench.load.figures import figures_of
from bench.load.options import Options
from bench.load.run import play
from bench.load.watch import Use

VIEWERS = 500
BYTE_RATE = 40_000
"""Small, because every byte is looked at."""
SWITCH_EVERY = 60.0
WARM_UP = 120.0
SLOPE = 1e6 / 600
"""Bytes a second: a megabyte in ten minutes."""


def soak(cores: Cores, seconds: float = 1800.0) -> list[Figure]:
    """A shorter one switches more often and warms up less."""
    every, warm_up = min(SWITCH_EVERY, seconds / 10), min(WARM_UP, seconds / 3)
    with stand(cores, sources=2, byte_rate=BYTE_RATE) as place:
        options = Options(place.targets, VIEWERS, ramp=5.0, seconds=seconds, verify=True, bitrate=8 * BYTE_RATE)
        passing = Churn(place.targets[0], 20, options.ramp + seconds)
        over = threading.Event()
        switcher = threading.Thread(target=_switch, args=(place.switch, every, over), daemon=True)
        switcher.start()
        run = play(options, place.pid)
        over.set()
        came, _ = passing.end()
        switches = sum(stream["switches"] for stream in place.status())
    figures = figures_of(run)
    slope = _slope([use for use in run.uses if use.at > warm_up])
    faults = "; ".join(f"{count}: {why}" for why, count in figures.faults.items()) or "no wrong byte"
    told = f"{figures.held} of {VIEWERS} held, {came:,} came and went, {switches} switches; {faults}"
    good = figures.good and switches > 0
    return [
        Figure(f"soak of {seconds / 60:g} min, {VIEWERS} viewers", "no wrong byte", told, good),
        Figure(
            "… growth of resident memory", "1 MB in 10 minutes", f"{slope * 600 / 1e6:+.2f} MB in 10 minutes",
            slope <= SLOPE if seconds >= 600 else None,
        ),
    ]  # fmt: skip


def _switch(ask: Callable[[str], None], every: float, over: threading.Event) -> None:
    while not over.wait(every):
        ask("c1")


def _slope(uses: list[Use]) -> float:
    """Of the least-squares line through the resident memory, bytes a second."""
    if len(uses) < 2:
        return 0.0
    at, rss = sum(use.at for use in uses) / len(uses), sum(use.rss for use in uses) / len(uses)
    spread = sum((use.at - at) ** 2 for use in uses)
    return sum((use.at - at) * (use.rss - rss) for use in uses) / spread
