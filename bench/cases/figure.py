"""What a case finds: each target with the figure beside it."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One line of the results: what was measured, what it has to be, and what it is, for people."""

    what: str
    target: str
    found: str
    good: bool | None
    """None where there is no target: the figure is only told."""

    @property
    def verdict(self) -> str:
        return "" if self.good is None else "PASS" if self.good else "FAIL"

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def rows(figures: list[Figure]) -> list[str]:
    """A Markdown table."""
    lines = ["| | target | found | |", "|---|---|---|---|"]
    return lines + [f"| {one.what} | {one.target} | {one.found} | {one.verdict} |" for one in figures]
