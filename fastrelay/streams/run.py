"""One run of a stream: the ring, its fan-out and its upstream, from the first viewer to the stop."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from fastrelay.config import Failover, Hls, Streams
from fastrelay.hls.discontinuities import Discontinuities
from fastrelay.hls.store import Memory, Numbers
from fastrelay.metrics.books import Sums
from fastrelay.metrics.tally import Tally
from fastrelay.ring.cursor import Watermarks
from fastrelay.ring.index import Index
from fastrelay.ring.retention import Retention
from fastrelay.ring.ring import Ring
from fastrelay.sources.accounts import Accounts, Holder
from fastrelay.sources.base import Source
from fastrelay.streams.dial import AccountOf, Dialler, OpenSource
from fastrelay.streams.fanout import Fanout
from fastrelay.streams.hls_output import HlsOutput
from fastrelay.streams.hls_sessions import Session
from fastrelay.streams.ingest import Ingest
from fastrelay.streams.upstream import Listener, Upstream
from fastrelay.streams.viewers import Viewer


@dataclass(frozen=True, slots=True)
class Settings:
    """What every stream of a server shares."""

    streams: Streams
    failover: Failover
    hls: Hls
    memory: Memory
    """The bound on the HLS segments of all streams together."""
    discontinuities: Discontinuities
    open_source: OpenSource[Source]
    account_of: AccountOf
    accounts: Accounts
    tally: Tally
    """Where everything is counted."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What a run has done so far; all that is left of it after its end."""

    delivered: int = 0
    """Bytes that viewers' sockets have taken."""
    received: int = 0
    """Bytes read from all sources."""
    lost: int = 0
    """Packets, datagrams and segments known to be lost on the way in."""
    continuity_errors: int = 0


class Run:
    """Everything that is made when a stream starts and dies when it stops."""

    def __init__(
        self,
        settings: Settings,
        stream_id: str,
        source_urls: Callable[[], tuple[str, ...]],
        trusted: Callable[[], bool],
        listener: Listener,
        holder: Holder,
        joined: Callable[["Run", Viewer], None],
        dropped: Callable[["Run", Viewer, str], None],
        after: asyncio.Task[str] | None,
    ) -> None:
        streams = settings.streams
        loop = asyncio.get_running_loop()
        self._started = loop.time()
        self._hls_delivered = 0
        self.drops = 0
        """Viewers that were too slow."""
        self.switches = 0
        self._tally = settings.tally
        self.entry = settings.tally.books.open(stream_id, self.sums)
        self._dropped = dropped
        self.viewers: dict[int, Viewer] = {}
        """Everyone from his request until his socket is closed, waiting or served, by viewer id."""
        self._last_gone = asyncio.Event()
        self.hls: HlsOutput | None = None
        """Made when the first HLS viewer comes."""
        self.ready: asyncio.Future[None] = loop.create_future()
        """Done when the ring can be joined; an exception when all sources have failed (replaced for later comers)."""
        self.index = Index()
        self.ring = Ring(streams.ring_size)
        retention = Retention(streams.ring_seconds, streams.join_behind, streams.ring_max)
        self.fanout = Fanout(
            self.ring,
            self.index,
            retention,
            Watermarks(streams.slow_lag, streams.slow_time),
            flush_delay=streams.flush_delay,
            flush_bytes=streams.flush_bytes,
            joined=lambda viewer: joined(self, viewer),
            left=lambda viewer, reason: dropped(self, viewer, reason),
        )
        self.ingest = Ingest(self.ring, self.index, retention)
        dialler = Dialler(settings.open_source, settings.account_of, settings.accounts, holder)
        self.upstream = Upstream(
            dialler,
            source_urls,
            trusted,
            self.ingest,
            listener,
            settings.failover,
            streams.ring_seconds / 2,
        )
        self.task = loop.create_task(self._pull(after))

    @property
    def sessions(self) -> int:
        """How many watch over HLS."""
        return len(self.hls.sessions) if self.hls is not None else 0

    @property
    def watched(self) -> bool:
        """Somebody watches or waits, over TS or HLS."""
        return bool(self.viewers) or self.sessions > 0

    def forget(self, viewer: Viewer) -> bool:
        """The viewer is over; False when he already was."""
        viewer.gone = True
        if self.viewers.pop(viewer.id, None) is None:
            return False
        if not self.viewers:
            self._last_gone.set()
        return True

    def uptime(self) -> float:
        """Seconds since this run began."""
        return asyncio.get_running_loop().time() - self._started

    def bitrate(self) -> float:
        """Bits per second of media time over what the ring holds; 0 where the stream has no clock."""
        seconds = self.index.seconds_behind(self.ring.tail)
        return 8 * (self.ring.head - self.ring.tail) / seconds if seconds > 0 else 0.0

    def totals(self) -> Totals:
        """Until now."""
        delivered = self.fanout.delivered + self._hls_delivered + (self.hls.delivered if self.hls is not None else 0)
        return Totals(delivered, self.upstream.received, self.upstream.lost(), self.ingest.scanner.continuity_errors)

    def sums(self) -> Sums:
        """For the books."""
        totals = self.totals()
        return Sums(totals.received, totals.delivered, self.drops, self.switches, totals.lost, totals.continuity_errors)

    async def _pull(self, after: asyncio.Task[str] | None) -> str:
        # A provider counts connections: the run before must have closed its own before this one dials.
        if after is not None and not after.done():
            await asyncio.wait({after})
        return await self.upstream.run()

    def start_hls(
        self, settings: Settings, after: Numbers | None, gone: Callable[[Session], None], unused: Callable[[], None]
    ) -> HlsOutput:
        """Segments from now on, and at once those that the ring still holds whole."""
        source = self.upstream.source
        upstream_target = source.target_duration if source is not None else 0.0
        self.hls = HlsOutput(
            self.ring,
            self.index,
            settings.hls,
            settings.memory,
            settings.discontinuities,
            after,
            upstream_target,
            gone,
            unused,
        )
        self.ingest.tap = self.hls
        return self.hls

    def release_hls(self) -> HlsOutput | None:
        """No more segments; the caller finishes or closes what is returned."""
        output, self.hls, self.ingest.tap = self.hls, None, None
        if output is not None:
            self._hls_delivered += output.delivered
        return output

    def fail_waiting(self, error: Exception) -> None:
        """Everyone who waits for the first picture gets `error`; who comes later waits anew."""
        if not self.ready.done():
            failed, self.ready = self.ready, asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            # Nobody may be waiting; asked once, an exception counts as seen.
            failed.exception()

    async def finish(self, seconds: float) -> None:
        """After the last byte: viewers get `seconds` to fetch what the ring still holds for them, then a reset."""
        self.fanout.finish()
        await asyncio.wait({self.task})
        self._last_gone.clear()
        if self.viewers:
            try:
                async with asyncio.timeout(seconds):
                    await self._last_gone.wait()
            except TimeoutError:
                for viewer in list(self.viewers.values()):
                    self.fanout.remove(viewer)
                    if viewer.outlet is not None:
                        viewer.outlet.reset()
                    self._dropped(self, viewer, "ended before all was read")
        self.fanout.stop()
        self.ring.release()
        self._tally.books.close(self.entry)
