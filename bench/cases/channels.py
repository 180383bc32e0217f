"""Many channels with few viewers each: what a channel costs."""

import time

from bench.cases.figure import Figure
from bench.cases.stand import BYTE_RATE, Cores, stand
from bench.load.figures import figures_of
from bench.load.options import Options
from bench.load.run import play

GROWN = 10.0
"""Seconds after which a ring has the size it needs."""


def ten(cores: Cores, seconds: float = 5.0) -> list[Figure]:
    """10 channels with 3 viewers each."""
    with stand(cores, channels=10) as place:
        time.sleep(1.0)
        idle = place.rss()
        options = Options(place.targets, 30, ramp=2.0, seconds=GROWN + seconds, bitrate=8 * BYTE_RATE)
        figures = figures_of(play(options, place.pid))
    more = (figures.server_rss or 0) - idle
    found = f"{more / 1e6:.1f} MB above the idle {idle / 1e6:.1f} MB"
    return [Figure("10 channels with 3 viewers each: memory", "50 MB", found, more <= 50e6 and figures.good)]


def two_hundred(cores: Cores, seconds: float = 10.0) -> list[Figure]:
    """200 channels with 5 viewers each. One viewer of a channel of its own first: what is needed once is not theirs."""
    with stand(cores, channels=200) as place:
        first = Options(place.targets[:1], 1, ramp=0.0, seconds=1.0)
        play(first, place.pid)
        time.sleep(2.5)
        idle = place.rss()
        options = Options(place.targets, 1000, ramp=8.0, seconds=GROWN + seconds, bitrate=8 * BYTE_RATE)
        rings: list[int] = []

        def look(_: object, now: float) -> None:
            if not rings and now > options.ramp + GROWN:
                rings.extend(stream["ring_bytes"] for stream in place.status())

        figures = figures_of(play(options, place.pid, look))
    more = ((figures.server_rss or 0) - idle) / 200
    ring = sum(rings) / max(1, len(rings))
    held = f"{figures.held} of {figures.clients} held, {figures.server_cpu or 0:.0%} of a core"
    cpu = 1e3 * (figures.server_cpu or 0.0) / 200
    memory = f"{more / 1e6:.2f} MB, {more / ring if ring else 0:.2f} of its ring"
    return [
        Figure("200 channels with 5 viewers each, one core", "held", held, figures.good),
        Figure("… CPU per channel", "told", f"{cpu:.2f} ms a second", None),
        Figure("… memory per channel", "1.5 of its ring", memory, 0 < more <= 1.5 * ring),
    ]
