"""Viewers who come and go beside those who stay."""

import multiprocessing
from multiprocessing.connection import Connection

from bench.load.options import Target
from bench.load.reactor import Reactor
from bench.load.record import Viewing
from bench.load.ts_viewer import TsViewer

STAY = 1.0
"""Seconds a viewer stays."""

_EVERY = 0.01


class Churn:
    """So many join each second, in a process of their own, and leave after STAY."""

    def __init__(self, target: Target, per_second: float, seconds: float) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_play, args=(target, per_second, seconds, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def end(self) -> tuple[int, dict[str, int]]:
        """Wait for the end: how many came, and why some got no media in their time."""
        found: tuple[int, dict[str, int]] = self._pipe.recv()
        self._process.join(5.0)
        return found


def _play(target: Target, per_second: float, seconds: float, pipe: Connection) -> None:
    reactor = Reactor()
    here: list[tuple[float, TsViewer]] = []
    faults: dict[str, int] = {}
    came = 0

    def turn() -> None:
        nonlocal came
        now = reactor.time()
        while here and here[0][0] <= now:
            _, viewer = here.pop(0)
            viewer.stop()
            why = viewer.viewing.over or ("" if viewer.viewing.first_byte else "no byte in its time")
            if why:
                faults[why] = faults.get(why, 0) + 1
        while came < min(now, seconds) * per_second:
            came += 1
            viewer = TsViewer(reactor, target, Viewing(came), gather=0, check=None, over=lambda viewer: None)
            here.append((now + STAY, viewer))
        if here or now < seconds:
            reactor.at(now + _EVERY, turn)
        else:
            reactor.stop()

    reactor.at(0.0, turn)
    reactor.run()
    reactor.close()
    pipe.send((came, faults))
