"""bench/RESULTS.md: what was measured, and nothing else."""

from collections.abc import Callable, Sequence
from statistics import median

from bench.cases.figure import Figure, rows
from bench.side.trial import Trial

OURS, FLOOR = "fastrelay", "floor"
RATIOS = {"Icecast": 1 / 10, "VLC": 1 / 3}
"""The most that fastrelay's CPU per GB may be of theirs."""
COMPARED = (1000, 4000)
"""Numbers of viewers for which these and the floor's are targets."""
LONGEST_GAP = 0.3

Column = tuple[str, Callable[[Trial], float | None], str]

COLUMNS: tuple[Column, ...] = (
    ("held", lambda trial: trial.figures.held, "{:.0f}"),
    ("CPU-s per GB", lambda trial: trial.figures.cpu_per_gb, "{:.3f}"),
    ("of a core", lambda trial: _scaled(trial.figures.server_cpu, 100), "{:.0f} %"),
    ("RSS, MB", lambda trial: _scaled(trial.figures.server_rss, 1e-6), "{:.0f}"),
    ("gap p50, ms", lambda trial: _scaled(trial.figures.gap.get("p50"), 1e3), "{:.0f}"),
    ("gap p99, ms", lambda trial: _scaled(trial.figures.gap.get("p99"), 1e3), "{:.0f}"),
    ("first byte p50, ms", lambda trial: _scaled(trial.first_byte.get("p50"), 1e3), "{:.1f}"),
    ("first picture p50, ms", lambda trial: _scaled(trial.first_picture.get("p50"), 1e3), "{:.1f}"),
    ("first picture max, ms", lambda trial: _scaled(trial.first_picture.get("max"), 1e3), "{:.1f}"),
)


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else value * scale


def together(trials: Sequence[Trial]) -> dict[tuple[str, int], list[Trial]]:
    """Repetitions of one trial, in the order in which they first ran."""
    found: dict[tuple[str, int], list[Trial]] = {}
    for trial in trials:
        found.setdefault((trial.contestant, trial.viewers), []).append(trial)
    return found


def middle(trials: Sequence[Trial], value: Callable[[Trial], float | None]) -> float | None:
    """Median over repetitions."""
    values = [one for one in map(value, trials) if one is not None]
    return median(values) if values else None


def table(trials: Sequence[Trial]) -> list[str]:
    """A Markdown table: one row for each contestant and number of viewers, medians of its runs."""
    lines = [
        "| | viewers | runs | " + " | ".join(name for name, _, _ in COLUMNS) + " |",
        "|---|---:|---:|" + "---:|" * len(COLUMNS),
    ]
    for (name, viewers), runs in together(trials).items():
        cells = []
        for _, value, form in COLUMNS:
            found = middle(runs, value)
            cells.append("-" if found is None else form.format(found))
        lines.append(f"| {name} | {viewers:,} | {len(runs)} | {' | '.join(cells)} |")
    return lines


def targets(trials: Sequence[Trial]) -> list[Figure]:
    """fastrelay's CPU per GB against the others: the floor at as many viewers, the rest at the most they held; and
    whether it held its viewers."""
    groups = together(trials)
    best: dict[str, int] = {}
    for (name, viewers), runs in groups.items():
        if name not in (OURS, FLOOR) and all(run.figures.good for run in runs):
            best[name] = max(best.get(name, 0), viewers)
    found = []
    for (name, viewers), runs in groups.items():
        if name != OURS:
            continue
        own = middle(runs, _cost)
        for other, most, part in [(FLOOR, viewers, 1.2), *((one, best[one], RATIOS.get(one)) for one in best)]:
            cost = middle(groups.get((other, most), []), _cost)
            if own and cost:
                found.append(_ratio(viewers, own / cost, other, most, part if viewers in COMPARED else None))
        gap = middle(runs, lambda trial: trial.figures.gap.get("p99")) or 9.0
        held = f"{min(run.figures.held for run in runs):,} held, p99 gap {gap * 1e3:.0f} ms"
        good = gap <= LONGEST_GAP and all(run.figures.good for run in runs)
        found.append(Figure(f"{viewers:,} viewers of one channel, one core", "held, p99 gap 300 ms", held, good))
    return found


def _cost(trial: Trial) -> float | None:
    return trial.figures.cpu_per_gb


def _ratio(viewers: int, ratio: float, other: str, most: int, part: float | None) -> Figure:
    what = f"CPU per GB, {viewers:,} viewers, against {other} at {most:,}"
    return Figure(what, "" if part is None else f"{part:.3g}", f"{ratio:.3g}", None if part is None else ratio <= part)


def hls_targets(stored: dict[str, dict[str, float]]) -> list[Figure]:
    """Answers per second of each one's core, against those of nginx with files: the median ratio of the rounds."""
    found = []
    for what, least in (("playlist", 1.2), ("segment", 0.9)):
        own, theirs = (stored[f"{what} {who}"] for who in ("fastrelay", "nginx, files"))
        ratio = theirs["fastrelay / this"]
        told = f"{own['per CPU second']:,.0f} against {theirs['per CPU second']:,.0f}: {ratio:.2f}"
        found.append(Figure(f"HLS {what}s per second against nginx", f"{least}", told, ratio >= least))
        floor = stored[f"{what} {FLOOR}"]["fastrelay / this"]
        found.append(Figure("… against a loop that does nothing but write them", "", f"{floor:.2f}", None))
    return found


def document(
    machine: Sequence[str], setting: Sequence[str], notes: Sequence[str], figures: list[Figure], trials: Sequence[Trial]
) -> str:
    """The whole file."""
    lines = ["# Results", "", "Written by `./scripts/bench --full`; every figure is measured.", "", "## Setting", ""]
    lines += [f"- {line}" for line in (*machine, *setting)]
    lines += ["", "## Figures and their targets", "", *rows(figures)]
    if trials:
        lines += ["", "## Live MPEG-TS, side by side", "", *table(trials)]
    failed = [(trial, why, count) for trial in trials for why, count in trial.figures.faults.items()]
    if failed or notes:
        lines += ["", "## Not held, not run", "", *(f"- {note}" for note in notes)]
        lines += [f"- {trial.contestant}, {trial.viewers:,} viewers: {count}: {why}" for trial, why, count in failed]
    return "\n".join(lines) + "\n"
