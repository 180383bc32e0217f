"""The figures as rows of a table, for the terminal and for the page."""

from bench.load.figures import Figures

Row = tuple[str, str]


def rows_of(figures: Figures) -> list[Row]:
    """What was measured, each with its unit."""
    rows = [
        ("viewers held", f"{figures.held} of {figures.clients}"),
        ("measured", f"{figures.seconds:.1f} s, {figures.delivered / 1e9:.2f} GB, "
            f"{8 * figures.delivered / figures.seconds / 1e9:.2f} Gbit/s"),
        ("rate of a viewer", _spread(figures.rate, 1e-6, "Mbit/s", "min p50 max")),
        ("time to first byte", _spread(figures.first_byte, 1e3, "ms", "p50 p99 max")),
    ]  # fmt: skip
    if figures.gap:
        rows.append(("gap between chunks", _spread(figures.gap, 1e3, "ms", "p50 p99 max")))
    if figures.request:
        rows.append(("request to first byte", _spread(figures.request, 1e3, "ms", "p50 p99 max")))
        rows.append(("segments", str(figures.segments)))
    if figures.slow:
        rows.append(("told to be slow", f"{figures.slow}, of which the server dropped {figures.slow_dropped}"))
    if figures.server_cpu is not None and figures.server_rss is not None:
        per_gb = "" if figures.cpu_per_gb is None else f", {figures.cpu_per_gb:.3f} CPU-seconds per GB"
        rows.append(
            ("server", f"{figures.server_cpu:.0%} of a core{per_gb}, {figures.server_rss / 1e6:.0f} MB resident")
        )
    rows.append(("load", f"{figures.load_cpu:.0%} of a core for its busiest process"))
    rows += [(f"not held: {count}", why) for why, count in figures.faults.items()]
    return rows


def _spread(values: dict[str, float], scale: float, unit: str, keys: str) -> str:
    if not values:
        return "none"
    return ", ".join(f"{key} {values[key] * scale:.4g}" for key in keys.split()) + f" {unit}"
