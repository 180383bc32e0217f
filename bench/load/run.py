"""A whole run: the processes that play, what they tell meanwhile, and what they bring home."""

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait

from bench.load.options import Options
from bench.load.record import Outcome, Sample
from bench.load.session import SETTLE, Session
from bench.load.watch import Use, family, use_of

GRACE = 15.0
"""Seconds a load process may take to close its sockets and to report after its time; then it is ended."""


@dataclass
class Run:
    """All that was seen."""

    options: Options
    outcomes: list[Outcome] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    """Of the server, where its process is known."""
    latest: list[Sample] = field(default_factory=list)
    """The last sample of each process, while it lasts."""

    @property
    def length(self) -> float:
        return self.options.ramp + SETTLE + self.options.seconds


def play(options: Options, pid: int | None = None, tell: Callable[[Run, float], None] = lambda run, now: None) -> Run:
    """Play the viewers and watch process `pid` and its children; `tell(run, now)` is called a few times a second.

    Raises RuntimeError when a load process fails.
    """
    run = Run(options, latest=[Sample(0.0) for _ in range(options.processes)])
    context = multiprocessing.get_context("fork")
    pipes: dict[Connection, int] = {}
    workers = []
    for number in range(options.processes):
        ours, theirs = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(options.share(number), theirs), daemon=True)
        worker.start()
        theirs.close()
        pipes[ours] = number
        workers.append(worker)
    began = time.monotonic()
    try:
        _collect(run, pipes, began, family(pid) if pid is not None else [], tell)
    finally:
        for worker in workers:
            worker.join(1.0)
            if worker.is_alive():
                worker.kill()
    return run


def _collect(
    run: Run, pipes: dict[Connection, int], began: float, pids: list[int], tell: Callable[[Run, float], None]
) -> None:
    due = 0.0
    while pipes:
        now = time.monotonic() - began
        if now > run.length + GRACE:
            raise RuntimeError(f"a load process did not report within {GRACE:g} s after its time")
        if pids and now >= due:
            run.uses.append(use_of(pids, now))
            due = now + 0.5
        for pipe in wait(list(pipes), 0.1):
            assert isinstance(pipe, Connection)
            try:
                told = pipe.recv()
            except EOFError:
                raise RuntimeError("a load process died; its own message is above") from None
            if isinstance(told, Outcome):
                run.outcomes.append(told)
                del pipes[pipe]
            else:
                run.latest[pipes[pipe]] = told
        tell(run, now)


def _work(options: Options, pipe: Connection) -> None:
    pipe.send(Session(options, pipe.send).run())
