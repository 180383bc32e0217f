"""One channel and many viewers: stalled ones, newcomers, and those who come and go."""

import time
from collections.abc import Callable
from statistics import median

from bench.cases.churn import Churn
from bench.cases.figure import Figure
from bench.cases.stand import BYTE_RATE, Cores, Stand, stand
from bench.load.figures import Figures, figures_of
from bench.load.options import Options
from bench.load.run import play
from bench.load.session import SETTLE
from bench.side.first_picture import Probing, cold_overheads

_JOINS = 400.0
"""Viewers a second while a case is set up."""


def _options(place: Stand, viewers: int, seconds: float, slow: int = 0) -> Options:
    ramp = max(2.0, viewers / _JOINS)
    return Options(place.targets, viewers, ramp=ramp, seconds=seconds, slow=slow, bitrate=8 * BYTE_RATE)


def stalled(cores: Cores, seconds: float = 12.0) -> list[Figure]:
    """1,800 viewers, alone and beside 200 who do not read; in alternation, so that both see the same machine."""
    runs: dict[int, list[Figures]] = {0: [], 200: []}
    for _ in range(3):
        for slow, found in runs.items():
            with stand(cores) as place:
                found.append(figures_of(play(_options(place, 1800 + slow, seconds, slow), place.pid)))

    def middle(take: Callable[[Figures], float]) -> dict[int, float]:
        return {slow: median(map(take, found)) for slow, found in runs.items()}

    cost = middle(lambda run: run.cpu_per_gb or 0.0)
    gap = middle(lambda run: run.gap.get("p99", 0.0))
    memory = middle(lambda run: float(run.server_rss or 0))
    held = all(run.good for found in runs.values() for run in found)
    dropped = min(run.slow_dropped for run in runs[200])
    dearer, wider = cost[200] / cost[0] - 1, gap[200] / gap[0] - 1
    return [
        Figure("200 of 2,000 viewers stalled: CPU per GB", "within 10 %", f"{dearer:+.1%}", dearer <= 0.1),
        Figure("… their p99 gap", "within 10 %", f"{gap[200] * 1e3:.0f} ms, {wider:+.1%}", wider <= 0.1 and held),
        Figure("… the stalled dropped", "all, by the watermarks", f"{dropped} of 200", dropped == 200),
        Figure("… memory", "bounded", f"{(memory[200] - memory[0]) / 1e6:+.1f} MB", memory[200] - memory[0] < 20e6),
    ]


def warm(cores: Cores, seconds: float = 12.0) -> list[Figure]:
    """New viewers of a channel that a thousand watch."""
    with stand(cores) as place:
        options = _options(place, 1000, seconds)
        start = options.ramp + SETTLE
        probing = Probing(place.targets[0], start, 50, start + seconds)
        probing.start()
        figures = figures_of(play(options, place.pid))
        probing.join(1.0)
    waits = [wait.picture for wait in probing.waits if wait.picture is not None]
    good = len(waits) == len(probing.waits) > 0 and median(waits) <= 0.010 and max(waits) <= 0.050 and figures.good
    found = f"median {median(waits) * 1e3:.1f} ms, max {max(waits) * 1e3:.1f} ms of {len(waits)}" if waits else "none"
    target = "median 10 ms, max 50 ms"
    return [Figure("first decodable picture, warm channel, 1,000 present", target, found, good)]


def cold(cores: Cores, tries: int = 15) -> list[Figure]:
    """A channel that nobody watches, against its source dialled at the same moment."""
    with stand(cores) as place:
        found = cold_overheads(place.source, place.targets[0], tries, idle=1.5)
    told = f"+{median(found) * 1e3:.1f} ms, most +{max(found) * 1e3:.1f} ms of {len(found)}" if found else "none"
    good = len(found) == tries and median(found) <= 0.050
    return [Figure("first decodable picture, cold channel", "the source's own + 50 ms", told, good)]


def churn(cores: Cores, seconds: float = 60.0) -> list[Figure]:
    """500 joins and as many leaves a second beside a thousand who stay."""
    with stand(cores) as place:
        # What the first viewers cost for good (a source, a ring that has grown) is no part of the question.
        play(_options(place, 1000, 8.0), place.pid)
        time.sleep(1.0)
        play(_options(place, 1, 8.0), place.pid)
        before = place.fds(), place.rss()
        options = _options(place, 1000, seconds)
        passing = Churn(place.targets[0], 500, options.ramp + SETTLE + seconds - 2)
        figures = figures_of(play(options, place.pid))
        came, faults = passing.end()
        play(_options(place, 1, 8.0), place.pid)
        after = place.fds(), place.rss()
    fds, rss = (now / then - 1 for then, now in zip(before, after, strict=True))
    widest = figures.gap.get("max", 9.0)
    told = f"{came:,} came and went, {sum(faults.values())} in vain; widest gap {widest * 1e3:.0f} ms"
    return [
        Figure(
            "500 joins and leaves a second beside 1,000 viewers", "no gap over 300 ms", told,
            figures.good and widest <= 0.3 and not faults,
        ),
        Figure("… descriptors afterwards", "± 5 %", f"{before[0]} → {after[0]}", abs(fds) <= 0.05),
        Figure(
            "… resident memory afterwards", "± 5 %", f"{before[1] / 1e6:.1f} → {after[1] / 1e6:.1f} MB ({rss:+.1%})",
            abs(rss) <= 0.05,
        ),
    ]  # fmt: skip
