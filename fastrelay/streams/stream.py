"""A stream: on demand, shared by all its viewers, stopped when the last one has been gone for a while."""

import asyncio
import logging
import time

from fastrelay.errors import RequestError, SourceError
from fastrelay.hls.store import Numbers
from fastrelay.metrics.tally import DROPS
from fastrelay.sources.account_policy import Audience
from fastrelay.streams.audience import audience
from fastrelay.streams.decisions import Decisions
from fastrelay.streams.failures import Failures
from fastrelay.streams.farewell import say_gone
from fastrelay.streams.hls_output import HlsOutput
from fastrelay.streams.hls_sessions import Session
from fastrelay.streams.run import Run, Settings, Totals
from fastrelay.streams.seat import Seat, Visit
from fastrelay.streams.state import RUNNING, Event, State, next_state
from fastrelay.streams.viewers import Viewer

log = logging.getLogger(__name__)

SWITCH_WORDS = {"asked to switch": "asked", "played to its end": "ended"}
"""What a source was left for when it did not fail, as it is counted."""

ENDED = "ended"
"""Why a run stopped whose last source played to its end."""

FINISH_SECONDS = 5.0
"""How long viewers of an ended stream may take to fetch what they have not got."""


class Stream:
    """One channel as its viewers know it. It outlives its runs and remembers what was decided."""

    def __init__(
        self, stream_id: str, kind: str, source_urls: tuple[str, ...], trusted: bool, settings: Settings
    ) -> None:
        self.id = stream_id
        self.kind = kind
        self.source_urls = source_urls
        """Read at every dial, so a change reaches a running stream at its next switch."""
        self.state = State.IDLE
        self.events = Decisions(stream_id)
        self.source_index = 0
        self.switches = 0
        self.dropped_slow = 0
        self.last_activity: float | None = None
        """Unix time of the last byte received or the last viewer's coming or going."""
        self.run: Run | None = None
        """The present run; after the stop until its viewers have what was left for them; then None: rings are large."""
        self._last = Totals()
        self._last_task: asyncio.Task[str] | None = None
        self.trusted = trusted
        """Whether the sources come from the operator's own config."""
        self.source_url = source_urls[0]
        """The source in use, or dialled last."""
        self.finished: HlsOutput | None = None
        """The HLS of a source that played to its end, as long as its viewers may still fetch the rest."""
        self._settings = settings
        self._tally = settings.tally
        self._numbers: Numbers | None = None
        """Where the next segments are numbered from: names and sequences of a stream only rise."""
        self._idle_timer: asyncio.TimerHandle | None = None
        self._failures = Failures()
        self._newest = self._quiet_since = 0.0
        """Loop times of the last coming and of the last leaving."""
        self._endings: set[asyncio.Task[None]] = set()
        self._viewers_ever = 0

    @property
    def running(self) -> bool:
        return self.state in RUNNING

    @property
    def joinable(self) -> bool:
        """Whether who enters now need not wait."""
        return self.run is not None and self.running and self.run.ready.done()

    @property
    def totals(self) -> Totals:
        """Of the present run, or of the last one."""
        return self._last if self.run is None else self.run.totals()

    def enter(self, address: str, user_agent: str) -> Seat:
        """Count a viewer from the moment of his request on; starts the stream where it does not run.

        Who enters must in the end be attached or leave.
        """
        run = self._arrive()
        self._viewers_ever += 1
        self._tally.viewers["ts"] += 1
        viewer = Viewer(self._viewers_ever, address, user_agent, time.time())
        run.viewers[viewer.id] = viewer
        self._settings.accounts.look_again()
        return Seat(self, run, viewer)

    def visit(self, key: str, address: str, user_agent: str, *, came: bool) -> Visit:
        """A request of the HLS viewer `key`: counts him from his first one on, and starts what does not run.

        `came` is off for a request that goes on with a session from before.
        """
        run = self._arrive()
        output = run.hls or run.start_hls(
            self._settings,
            self._numbers,
            lambda session: self._session_over(run, session),
            lambda: self._stop_hls(run),
        )
        session = output.sessions.find(key, address)
        if session is not None:
            output.touch(session)
            return Visit(self, self._settings, run, output, session, new=False)
        self._viewers_ever += 1
        self._tally.viewers["hls"] += 1
        key, now = output.sessions.key_for(key, address), asyncio.get_running_loop().time()
        session = Session(self._viewers_ever, key, address, user_agent, now, came=came)
        output.sessions.enter(session)
        return Visit(self, self._settings, run, output, session, new=True)

    async def stop(self, reason: str) -> None:
        """Stop now; returns when the upstream is closed and the viewers are gone. Harmless when not running."""
        self._end(reason)
        while self._endings:
            await asyncio.wait(set(self._endings))

    def switch(self) -> bool:
        """Go to the next source now; False when the stream does not run."""
        if self.run is None or not self.running:
            return False
        self.run.upstream.switch()
        return True

    # -- as holder of a connection of a provider account (see sources/accounts.py) -----------------------------------

    def audience(self) -> Audience:
        """Who watches now."""
        run = self.run
        if run is None or not self.running:
            return Audience(quiet_since=self._quiet_since)
        return audience(run, self._newest, self._quiet_since)

    def vacate(self, reason: str) -> None:
        """Another stream of the account needs the connection more."""
        self._end(reason)

    # -- as host of its viewers' places (see seat.py) ----------------------------------------------------------------

    def left(self, run: Run, viewer: Viewer, reason: str) -> None:
        if run.forget(viewer):
            # Who was never attached has got an answer of its own, with a line of its own.
            if viewer.outlet is not None:
                say_gone(self.id, viewer, reason)
            self.emptied(run, asyncio.get_running_loop().time())

    def emptied(self, run: Run, since: float) -> None:
        """Was he the last? Then the stream stops when nobody comes back in time."""
        if run is not self.run or not self.running:
            return
        self.last_activity = time.time()
        # An HLS session is given up long after its last request: others may have left in between.
        self._quiet_since = since = max(self._quiet_since, since)
        if run.watched:
            return
        self._happens(Event.EMPTY)
        self._settings.accounts.look_again()
        if self._failures.everywhere and not run.ready.done():
            # Dialling on would be for nobody.
            self._end("no source works")
            return
        loop = asyncio.get_running_loop()
        seconds = max(0.0, since + self._settings.streams.idle_timeout - loop.time())
        self.events.note("idle", f"the last viewer left; stopping in {seconds:.0f} s")
        self._idle_timer = loop.call_later(seconds, self._end, "idle")

    def why_not_yet(self) -> str:
        return str(self._failures) or f"source {self.source_index} has not delivered a picture yet"

    # -- the run ---------------------------------------------------------------------------------------------------

    def _arrive(self) -> Run:
        """Somebody wants to watch: the run there is, or a new one."""
        run = self.run
        if run is None or not self.running:
            run = self._start()
        self.last_activity = time.time()
        self._newest = asyncio.get_running_loop().time()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        self._happens(Event.VIEWER)
        return run

    def _start(self) -> Run:
        self._failures.forget()
        self.source_index = self.switches = self.dropped_slow = 0
        self.run = run = Run(
            self._settings,
            self.id,
            lambda: self.source_urls,
            lambda: self.trusted,
            self,
            self,
            self._joined,
            self._dropped,
            self._last_task,
        )
        self._last_task = run.task
        run.task.add_done_callback(lambda task: self._pulled(run, task))
        self.events.started(len(self.source_urls))
        return run

    def _pulled(self, run: Run, task: asyncio.Task[str]) -> None:
        """The upstream task is over: stopped by us, nothing more to play, given up, or a bug of ours."""
        if run is not self.run or task.cancelled():
            return
        error = task.exception()
        if error is not None:
            log.error("stream %s: the upstream failed", self.id, exc_info=error)
        self._end("internal error" if error is not None else task.result())

    def _end(self, reason: str) -> None:
        """Stop the run: the upstream at once, the viewers when they have what the ring still holds for them."""
        run = self.run
        if run is None or not self.running:
            return
        self._happens(Event.END)
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        run.task.cancel()
        run.fail_waiting(
            RequestError(503, "stream_stopped", f"The stream was stopped: {reason}.", (("Retry-After", "1"),))
        )
        self._stop_hls(run, ended=reason == ENDED)
        self.events.note("stopped", reason)
        ending = asyncio.get_running_loop().create_task(self._finish(run))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def _finish(self, run: Run) -> None:
        await run.finish(FINISH_SECONDS)
        if run is self.run:
            self._last = run.totals()
            # A cancelled task keeps its traceback, and that the whole run.
            self.run = self._last_task = None

    def _joined(self, run: Run, viewer: Viewer) -> None:
        self._tally.first_byte["ts"].observe(time.time() - viewer.since)
        self._tally.join_lag.observe(run.index.seconds_behind(viewer.cursor))

    def _session_over(self, run: Run, session: Session) -> None:
        say_gone(self.id, session, "left")
        self.emptied(run, session.last_request)

    def _stop_hls(self, run: Run, *, ended: bool = False) -> None:
        """Segments are cut no more. Those of a source that played to its end can still be fetched for a while."""
        output = run.release_hls()
        if output is None or ended:
            self._close_finished()
        if output is None:
            return
        self._numbers = output.store.numbers
        if ended:
            output.finish()
            self.finished = output
        else:
            self._close_hls(output)

    def _close_finished(self) -> None:
        """Its viewers have had their time, or the source has played to its end once more."""
        if self.finished is not None:
            self._close_hls(self.finished)
            self.finished = None

    def _close_hls(self, output: HlsOutput) -> None:
        for session in output.sessions:
            say_gone(self.id, session, "stopped")
        output.close()

    def _dropped(self, run: Run, viewer: Viewer, reason: str) -> None:
        """The fan-out has closed this viewer."""
        word = reason.partition(":")[0]
        if word in DROPS:
            self._tally.drops[word] += 1
        if word in ("slow", "overrun"):
            run.drops += 1
            self.dropped_slow += 1
            self.events.note("viewer dropped", f"{viewer.address}: {reason}")
        self.left(run, viewer, reason)

    def _happens(self, event: Event) -> None:
        self.state = next_state(self.state, event)

    @property
    def reads_ts(self) -> bool:
        """A source is connected, and sends a transport stream, not HLS."""
        source = self.run.upstream.source if self.run is not None else None
        return source is not None and not source.target_duration

    # -- what the upstream tells -----------------------------------------------------------------------------------

    def dialling(self, index: int, url: str) -> None:
        self.source_index, self.source_url = index, url

    def first_bytes(self) -> None:
        self.events.note("first byte", f"source {self.source_index}")

    def flowing(self) -> None:
        assert self.run is not None
        self._happens(Event.FLOWING)
        self._failures.forget()
        self.events.note("active", f"source {self.source_index}")
        self.run.ready.set_result(None)

    def switched(self, reason: str, outage: float) -> None:
        assert self.run is not None
        self._failures.forget()
        if self.run.ready.done():
            self.switches += 1
            self.run.switches += 1
            self._tally.switches[SWITCH_WORDS.get(reason, reason.partition(":")[0])] += 1
            self._tally.outage.observe(outage)
            self.events.note("switched", f"to source {self.source_index}, outage {outage * 1000:.0f} ms; {reason}")

    def fed(self) -> None:
        assert self.run is not None
        self.last_activity = time.time()
        self.run.fanout.appended()

    def spare(self) -> tuple[float, int]:
        assert self.run is not None
        return self.run.fanout.spare()

    def failed(self, index: int, error: SourceError, all_failed: bool) -> None:
        run = self.run
        assert run is not None
        self._tally.failures[error.reason] += 1
        self._failures.add(index, error, all_failed)
        self.events.note("source failed", f"source {index}: {error.reason}: {error}")
        if all_failed:
            run.fail_waiting(self._failures.answer())
        if not run.watched:
            # The next dial would be for nobody; who comes back starts the stream anew.
            self._end("the source failed and nobody watches")
