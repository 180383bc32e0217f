"""One load process: who comes when, what is sampled each second, and when it is over."""

import gc
import resource
from collections.abc import Callable, Sequence
from typing import Protocol

from bench.load.checks import CODED_RATE, Checks
from bench.load.hls_viewer import HlsViewer
from bench.load.options import Options
from bench.load.reactor import Reactor
from bench.load.record import Outcome, Sample, Viewing
from bench.load.ts_viewer import TsViewer

SETTLE = 3.0
"""Seconds between the end of the ramp and the measured time: bursts at the start are no rate."""


class Player(Protocol):
    """A viewer of either mode."""

    viewing: Viewing
    receiving: bool
    measured: bool
    gaps: list[float] | None

    def stop(self) -> None: ...
    def drain(self) -> None: ...


class Session:
    """Plays one process's share of the viewers. `tell` gets every sample at once."""

    def __init__(self, options: Options, tell: Callable[[Sample], None]) -> None:
        self._options = options
        self._tell = tell
        self._reactor = Reactor()
        self._players: list[Player] = []
        self._outcome = Outcome()
        self._checks = Checks(int((options.bitrate or 0) / 8) or CODED_RATE) if options.verify else None
        self._started = 0
        self._gone = 0

    def run(self) -> Outcome:
        """Returns after ramp + SETTLE + seconds; earlier only when every viewer is over."""
        options, reactor = self._options, self._reactor
        begin = options.ramp + SETTLE
        reactor.at(0.0, self._ramp)
        reactor.at(1.0, self._sample)
        reactor.at(begin, self._begin_window)
        reactor.at(begin + options.seconds, self._end_window)
        # Nothing here makes reference cycles, and a collection in mid-run would look like a gap of the server.
        gc.disable()
        reactor.run()
        for player in self._players:
            player.stop()
        reactor.close()
        return self._outcome

    def _ramp(self) -> None:
        """Start as many as are due by now; each has its moment in the ramp."""
        options, now = self._options, self._reactor.time()
        due = (
            options.clients if not options.ramp else min(options.clients, int(now / options.ramp * options.clients) + 1)
        )
        while self._started < due:
            self._start(self._started)
            self._started += 1
        if self._started < options.clients:
            self._reactor.at(now + 0.005, self._ramp)

    def _start(self, number: int) -> None:
        options = self._options
        viewing = Viewing(number, slow=number >= options.clients - options.slow, asked=self._reactor.time())
        self._outcome.viewings.append(viewing)
        target = options.targets[number % len(options.targets)]
        try:
            if options.mode == "hls":
                check = self._checks.of_segments() if self._checks else None
                self._players.append(
                    HlsViewer(self._reactor, target, viewing, self._outcome.requests, check, self._over)
                )
            else:
                gather = 0 if number < options.probes or options.verify else options.gather
                continuous = self._checks.of_stream() if self._checks else None
                self._players.append(
                    TsViewer(self._reactor, target, viewing, gather=gather, check=continuous, over=self._over)
                )
        except OSError as error:
            viewing.over, viewing.over_at = f"could not connect: {error.strerror}", viewing.asked
            self._gone += 1

    def _over(self, player: Player) -> None:
        self._gone += 1
        if self._gone == self._options.clients:
            self._reactor.stop()

    def _begin_window(self) -> None:
        options = self._options
        self._outcome.window = (self._reactor.time(), 0.0)
        for player in _live(self._players):
            player.viewing.at_window = player.viewing.received
            player.measured = True
            if player.viewing.number < options.probes and not player.viewing.slow:
                player.gaps = self._outcome.gaps

    def _end_window(self) -> None:
        now = self._reactor.time()
        for player in _live(self._players):
            player.drain()
            player.viewing.at_end = player.viewing.received
        self._outcome.window = (self._outcome.window[0], now)
        self._reactor.stop()

    def _sample(self) -> None:
        live = _live(self._players)
        sample = Sample(self._reactor.time(), len(live))
        for player in live:
            if player.receiving:
                player.receiving = False
                sample.receiving += 1
        sample.received = sum(viewing.received for viewing in self._outcome.viewings)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        sample.cpu = usage.ru_utime + usage.ru_stime
        self._outcome.samples.append(sample)
        self._tell(sample)
        self._reactor.at(max(sample.at + 0.5, round(sample.at) + 1.0), self._sample)


def _live(players: Sequence[Player]) -> list[Player]:
    return [player for player in players if player.viewing.over_at is None]
