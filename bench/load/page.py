"""The report: one HTML page that needs nothing beside it."""

from collections.abc import Sequence
from html import escape
from itertools import pairwise

from bench.load.figures import Figures, rate_of
from bench.load.rows import rows_of
from bench.load.run import Run
from bench.load.svg import Line, histogram, lines

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1360px; margin: 2rem auto; padding: 0 1rem; color: #111827 }
table { border-collapse: collapse; margin: 1rem 0 } td { padding: .25rem 1rem .25rem 0; vertical-align: top }
td:first-child { color: #6b7280 } figure { margin: 0; border: 1px solid #e5e7eb; border-radius: 8px; padding: .75rem }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 1rem }
figcaption { font-weight: 600 } .good { color: #047857 } .bad { color: #b91c1c }
"""


def page(run: Run, figures: Figures, command: str) -> str:
    """The whole page."""
    verdict = '<b class="good">every viewer was held</b>' if figures.good else '<b class="bad">not all were held</b>'
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows_of(figures))
    plots = "".join(
        f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>" for title, svg in _plots(run, figures)
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Load test</title><style>{_STYLE}</style>'
        f"<h1>Load test</h1><p><code>{escape(command)}</code></p><p>{verdict}</p><table>{rows}</table>"
        f"<main>{plots}</main></html>\n"
    )


def _plots(run: Run, figures: Figures) -> list[tuple[str, str]]:
    viewings = [viewing for outcome in run.outcomes for viewing in outcome.viewings if not viewing.slow]
    rates = [rate_of(viewing, figures.seconds) / 1e6 for viewing in viewings]
    firsts = [1e3 * (v.first_byte - v.asked) for v in viewings if v.first_byte is not None]
    gaps = [1e3 * gap for outcome in run.outcomes for gap in outcome.gaps]
    samples = _summed(run)
    plots = [
        ("Viewers over time", lines([
            Line("connected", [(at, connected) for at, connected, _, _ in samples]),
            Line("receiving", [(at, receiving) for at, _, receiving, _ in samples]),
        ], "seconds", "viewers")),
        ("Delivered", lines([Line("", _rates(samples))], "seconds", "Gbit/s")),
        ("Rate of each viewer", histogram(rates, "Mbit/s")),
        ("Time to first byte", histogram(firsts, "ms")),
    ]  # fmt: skip
    if gaps:
        shown = ", ".join(f"{key} {figures.gap[key] * 1e3:.0f} ms" for key in ("p50", "p99", "max"))
        plots.append((f"Gap between chunks: {shown}", histogram(gaps, "ms")))
    if figures.request:
        waits = [1e3 * wait for outcome in run.outcomes for wait in outcome.requests]
        plots.append(("Request to first byte", histogram(waits, "ms")))
    if len(run.uses) > 1:
        cpu = [(b.at, 100 * (b.cpu - a.cpu) / (b.at - a.at)) for a, b in pairwise(run.uses)]
        plots.append(("Server: processor time", lines([Line("", cpu)], "seconds", "% of a core")))
        memory = [(use.at, use.rss / 1e6) for use in run.uses]
        plots.append(("Server: resident memory", lines([Line("", memory)], "seconds", "MB")))
    return plots


def _summed(run: Run) -> list[tuple[float, int, int, int]]:
    """Samples of all processes, second by second: time, connected, receiving, received so far."""
    return [
        (
            max(sample.at for sample in together),
            sum(sample.connected for sample in together),
            sum(sample.receiving for sample in together),
            sum(sample.received for sample in together),
        )
        for together in zip(*(outcome.samples for outcome in run.outcomes), strict=False)
    ]


def _rates(samples: Sequence[tuple[float, int, int, int]]) -> list[tuple[float, float]]:
    return [(b[0], 8e-9 * (b[3] - a[3]) / (b[0] - a[0])) for a, b in pairwise(samples) if b[0] > a[0]]
