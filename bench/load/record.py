"""What is known about each viewer, and the samples taken while a run lasts. Plain data, small to pickle."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Viewing:
    """One viewer's run; times are seconds since the run's start."""

    number: int
    slow: bool = False
    asked: float = 0.0
    first_byte: float | None = None
    """Of the media, not of the response head."""
    received: int = 0
    at_window: int | None = None
    """`received` when the measured time began; None for who was not there."""
    at_end: int | None = None
    longest_gap: float = 0.0
    """Within the measured time; for those who gather: between wake-ups."""
    over: str = ""
    """Why the viewing ended before the run did."""
    over_at: float | None = None
    wrong: str = ""
    """The first wrong byte, for people."""
    segments: int = 0
    stalls: int = 0
    """hls: how often the player's buffer ran empty."""


@dataclass(slots=True)
class Sample:
    """What one process saw in one second."""

    at: float
    connected: int = 0
    receiving: int = 0
    """Viewers that got something since the last sample."""
    received: int = 0
    cpu: float = 0.0
    """Seconds of processor time the load itself used so far."""


@dataclass(slots=True)
class Outcome:
    """All that one process brings home."""

    viewings: list[Viewing] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    """Of the probes, within the measured time."""
    requests: list[float] = field(default_factory=list)
    """hls: seconds from a request to its answer's first byte."""
    window: tuple[float, float] = (0.0, 0.0)
