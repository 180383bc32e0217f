"""Small plots as inline SVG: lines over time, and bars of a distribution."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 14, 34
_COLOURS = ("#2563eb", "#d97706", "#059669", "#db2777")


@dataclass(frozen=True)
class Line:
    name: str
    points: Sequence[tuple[float, float]]


def lines(series: Sequence[Line], x_label: str, y_label: str) -> str:
    """Lines over a common x; both axes begin at 0."""
    points = [point for line in series for point in line.points]
    if not points:
        return "<p>nothing was recorded</p>"
    x_top = max(x for x, _ in points) or 1.0
    y_top = nice(max(y for _, y in points))
    body = [_axes(x_top, y_top, x_label, y_label)]
    for place, line in enumerate(series):
        path = " ".join(f"{_x(x / x_top):.1f},{_y(y / y_top):.1f}" for x, y in line.points)
        colour = _COLOURS[place % len(_COLOURS)]
        body.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.8" points="{path}"/>')
        if len(series) > 1:
            at = _LEFT + 10 + 150 * place
            body.append(f'<text x="{at}" y="{_TOP + 8}" fill="{colour}">{escape(line.name)}</text>')
    return _svg(body)


def histogram(values: Sequence[float], x_label: str, bins: int = 48) -> str:
    """How many of the values lie where, from their least to their most."""
    if not values:
        return "<p>nothing was recorded</p>"
    low, high = min(values), max(values)
    step = (high - low) / bins or max(abs(high), 1.0) / bins
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int((value - low) / step))] += 1
    top = nice(max(counts))
    body = [_axes(step * bins, top, x_label, "how many", low)]
    wide = (WIDTH - _LEFT - _RIGHT) / bins
    for place, count in enumerate(counts):
        if count:
            y = _y(count / top)
            body.append(
                f'<rect x="{_LEFT + place * wide:.1f}" y="{y:.1f}" width="{wide - 1:.1f}" '
                f'height="{_y(0) - y:.1f}" fill="{_COLOURS[0]}"><title>{count}</title></rect>'
            )
    return _svg(body)


def nice(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, … at or above: where an axis ends."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * 0.999999)


def _x(part: float) -> float:
    return _LEFT + part * (WIDTH - _LEFT - _RIGHT)


def _y(part: float) -> float:
    return HEIGHT - _BOTTOM - part * (HEIGHT - _TOP - _BOTTOM)


def _axes(x_span: float, y_top: float, x_label: str, y_label: str, x_low: float = 0.0) -> str:
    parts = []
    for step in range(6):
        x, y = _x(step / 5), _y(step / 5)
        parts.append(f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{y_top * step / 5:.4g}</text>')
        label = f"{x_low + x_span * step / 5:.4g}"
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 18}" text-anchor="middle">{label}</text>')
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 3}" text-anchor="middle" fill="#6b7280">{escape(x_label)}</text>')
    parts.append(
        f'<text transform="translate(12 {HEIGHT / 2}) rotate(-90)" text-anchor="middle" fill="#6b7280">'
        f"{escape(y_label)}</text>"
    )
    return "".join(parts)


def _svg(body: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="11">{"".join(body)}</svg>'
    )
