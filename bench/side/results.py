"""bench/RESULTS.md: what was measured, and nothing else."""

from collections.abc import Callable, Sequence
from statistics import median

from bench.side.trial import Trial

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


def ratios(trials: Sequence[Trial]) -> list[str]:
    """fastrelay's CPU per GB against the others: the floor at as many viewers, the rest at the most they held."""

    def cost(trial: Trial) -> float | None:
        return trial.figures.cpu_per_gb

    groups = together(trials)
    ours = {viewers: middle(runs, cost) for (name, viewers), runs in groups.items() if name == "fastrelay"}
    best: dict[str, int] = {}
    for (name, viewers), runs in groups.items():
        if name not in ("fastrelay", "floor") and all(run.figures.good for run in runs):
            best[name] = max(best.get(name, 0), viewers)
    lines = []
    for viewers, own in ours.items():
        against = [(f"the floor at {viewers:,}", middle(groups.get(("floor", viewers), []), cost))]
        against += [(f"{name} at its most, {most:,}", middle(groups[name, most], cost)) for name, most in best.items()]
        told = [f"{own / other:.2f} of {name}" for name, other in against if own and other]
        if told:
            lines.append(f"- {viewers:,} viewers: {'; '.join(told)}")
    return lines


def document(
    machine: Sequence[str], setting: Sequence[str], notes: Sequence[str], cold: Sequence[float], trials: Sequence[Trial]
) -> str:
    """The whole file."""
    lines = [
        "# Side by side",
        "",
        "Written by `./scripts/bench --full`; every figure is measured.",
        "",
        "## Setting",
        "",
    ]
    lines += [f"- {line}" for line in (*machine, *setting)]
    lines += ["", "## Live MPEG-TS", "", *table(trials), "", "CPU per delivered GB of fastrelay:", "", *ratios(trials)]
    if cold:
        lines += ["", "## Cold channel", ""]
        lines.append(
            f"The first decodable picture comes {median(cold) * 1e3:.0f} ms (median of {len(cold)}; most "
            f"{max(cold) * 1e3:.0f} ms) after that of the source itself, dialled at the same moment."
        )
    failed = [(trial, why, count) for trial in trials for why, count in trial.figures.faults.items()]
    if failed or notes:
        lines += ["", "## Not held, not run", "", *(f"- {note}" for note in notes)]
        lines += [f"- {trial.contestant}, {trial.viewers:,} viewers: {count}: {why}" for trial, why, count in failed]
    return "\n".join(lines) + "\n"
