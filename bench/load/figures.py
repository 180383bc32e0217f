"""From what was seen to the figures: who was held, who was not and why, and what it cost."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from bench.load.options import Options
from bench.load.record import Viewing
from bench.load.run import Run
from bench.load.watch import cpu_between


@dataclass(frozen=True)
class Figures:
    """Times in seconds, rates in bits per second, sizes in bytes; None where there is nothing to take it from."""

    clients: int
    held: int
    """Served to the end, at their rate, without a wrong byte. Those told to be slow are not among `clients`."""
    slow: int
    slow_dropped: int
    faults: dict[str, int]
    seconds: float
    delivered: int
    rate: dict[str, float]
    first_byte: dict[str, float]
    gap: dict[str, float]
    """Between chunks, of the probes."""
    longest_gap: float
    """Of all viewers."""
    request: dict[str, float]
    segments: int
    server_cpu: float | None
    """Part of one core, in the measured time."""
    server_rss: int | None
    cpu_per_gb: float | None
    """Seconds of the server's processor time per 1e9 bytes."""
    load_cpu: float
    """Part of one core that the load itself took, at its busiest process."""

    @property
    def good(self) -> bool:
        return self.held == self.clients

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def figures_of(run: Run) -> Figures:
    """Of a finished run."""
    everyone = [viewing for outcome in run.outcomes for viewing in outcome.viewings]
    viewings = [viewing for viewing in everyone if not viewing.slow]
    slow = [viewing for viewing in everyone if viewing.slow]
    windows = [outcome.window for outcome in run.outcomes if outcome.window[1]]
    start, end = max((w[0] for w in windows), default=0.0), min((w[1] for w in windows), default=0.0)
    seconds = max(end - start, 1e-9)
    rates = sorted(rate_of(viewing, seconds) for viewing in viewings)
    faults = Counter(filter(None, (fault_of(viewing, run.options, seconds, _middle(rates)) for viewing in viewings)))
    delivered = sum((v.at_end or 0) - (v.at_window or 0) for v in everyone if v.at_end is not None)
    cpu = cpu_between(run.uses, start, end) if run.uses and windows else None
    gaps = [gap for outcome in run.outcomes for gap in outcome.gaps]
    firsts = [v.first_byte - v.asked for v in viewings if v.first_byte is not None]
    return Figures(
        clients=len(viewings),
        held=len(viewings) - sum(faults.values()),
        slow=len(slow),
        slow_dropped=sum(viewing.over_at is not None for viewing in slow),
        faults=dict(faults.most_common()),
        seconds=seconds,
        delivered=delivered,
        rate=spread(rates),
        first_byte=spread(firsts),
        gap=spread(gaps),
        longest_gap=max((v.longest_gap for v in viewings), default=0.0),
        request=spread([wait for outcome in run.outcomes for wait in outcome.requests]),
        segments=sum(viewing.segments for viewing in viewings),
        server_cpu=None if cpu is None else cpu / seconds,
        server_rss=max((use.rss for use in run.uses if start <= use.at <= end), default=None),
        cpu_per_gb=None if cpu is None or not delivered else cpu / delivered * 1e9,
        load_cpu=max((_load_cpu(outcome.samples, start, end) for outcome in run.outcomes), default=0.0),
    )


def rate_of(viewing: Viewing, seconds: float) -> float:
    """Bits per second within the measured time."""
    if viewing.at_window is None:
        return 0.0
    end = viewing.received if viewing.at_end is None else viewing.at_end
    return 8 * (end - viewing.at_window) / seconds


def fault_of(viewing: Viewing, options: Options, seconds: float, usual: float) -> str:
    """Why this viewer was not held, for people; empty when it was. `usual` is the median rate in bits per second."""
    if viewing.wrong:
        return f"wrong byte {viewing.wrong}"
    if viewing.over_at is not None:
        return viewing.over
    if viewing.first_byte is None or viewing.at_window is None:
        return "never got a byte"
    if options.mode == "hls":
        return "starved: the player's buffer ran empty" if viewing.stalls else ""
    rate, usual = rate_of(viewing, seconds), options.bitrate or usual
    if not usual or rate < options.least_rate * usual:
        return f"starved: less than {options.least_rate:.0%} of the rate"
    # Who gathers is woken later than the bytes came, by what it takes to gather so much.
    if viewing.longest_gap > options.starved_after + 8 * options.gather / usual:
        return f"starved: nothing for {options.starved_after:g} s"
    return ""


def spread(values: list[float]) -> dict[str, float]:
    """Least, median, 99th percentile and most; empty for nothing."""
    if not values:
        return {}
    ordered = sorted(values)
    last = len(ordered) - 1
    return {
        "min": ordered[0],
        "p50": _middle(ordered),
        "p99": ordered[min(last, round(0.99 * last))],
        "max": ordered[-1],
    }


def _middle(ordered: list[float]) -> float:
    return ordered[len(ordered) // 2] if ordered else 0.0


def _load_cpu(samples: list[Any], start: float, end: float) -> float:
    inside = [sample for sample in samples if start - 0.5 <= sample.at <= end + 0.5]
    if len(inside) < 2:
        return 0.0
    return float((inside[-1].cpu - inside[0].cpu) / (inside[-1].at - inside[0].at))
