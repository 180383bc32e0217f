"""One trial: one contestant, so many viewers, measured."""

import atexit
import os
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.load.figures import Figures, figures_of, spread
from bench.load.options import Options, target_of
from bench.load.run import play
from bench.load.session import SETTLE
from bench.load.watch import family, use_of
from bench.side.contestants import Contestant, Stage
from bench.side.first_picture import Probing
from bench.side.process import favour

JOINS_A_SECOND = 400.0
"""How fast viewers come: joining is not what is compared, and each join is a burst of its own."""
PROBES = 20
"""New viewers whose first picture is timed beside the load."""


@dataclass(frozen=True)
class Arena:
    """What all trials share."""

    server_core: int
    origin_port: int
    origin_path: str
    byte_rate: int
    seconds: float


@dataclass(frozen=True)
class Trial:
    """What came out. Times in seconds."""

    contestant: str
    viewers: int
    figures: Figures
    rss_idle: int
    """Resident bytes before the first viewer."""
    first_byte: dict[str, float]
    first_picture: dict[str, float]
    without_picture: int

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, plain: dict[str, Any]) -> "Trial":
        """What `plain` was made of."""
        return cls(**{**plain, "figures": Figures(**plain["figures"])})


def run_trial(contestant: Contestant, viewers: int, arena: Arena, flush_ms: int = 130) -> Trial:
    """Start the contestant, play the viewers, end it. Raises RuntimeError when it does not start."""
    folder = Path(tempfile.mkdtemp(prefix="fastrelay-bench-"))
    folder.chmod(0o755)
    stage = Stage(folder, arena.server_core, arena.origin_port, arena.origin_path, flush_ms)
    try:
        serving = contestant.start(stage)
        try:
            # An on-demand relay counts as idle a moment after its start.
            time.sleep(1.0)
            return _measure(contestant.name, viewers, arena, serving.url, serving.process.pid)
        finally:
            serving.process.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(name: str, viewers: int, arena: Arena, url: str, pid: int) -> Trial:
    idle = use_of(family(pid), 0.0).rss
    target = target_of(url)
    ramp = max(2.0, viewers / JOINS_A_SECOND)
    options = Options((target,), viewers, ramp=ramp, seconds=arena.seconds, bitrate=8 * arena.byte_rate)
    probing = Probing(target, ramp + SETTLE, PROBES, ramp + SETTLE + arena.seconds)
    probing.start()
    figures = figures_of(play(options, pid))
    probing.join(1.0)
    waits = list(probing.waits)
    return Trial(
        name,
        viewers,
        figures,
        idle,
        spread([wait.first_byte for wait in waits if wait.first_byte is not None]),
        spread([wait.picture for wait in waits if wait.picture is not None]),
        sum(wait.picture is None for wait in waits),
    )


def renice_self(core: int, niceness: int) -> int:
    """Put the load on its core; returns the niceness that could be had. Who is ended ends what he has started, too."""
    signal.signal(signal.SIGTERM, _leave)
    os.sched_setaffinity(0, {core})
    try:
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
    except PermissionError:
        return 0
    session = Path("/proc/self/autogroup")
    if session.exists():
        atexit.register(favour, os.getpid(), int(session.read_text().split()[-1]))
        favour(os.getpid(), niceness)
    return niceness


def _leave(number: int, _: object) -> None:
    # A second one would end what the first has begun to tidy.
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)
