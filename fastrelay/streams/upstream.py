"""The one task that feeds a running stream: dial, read, pace, and go to the next source when one fails."""

import asyncio
import random
from collections.abc import Callable
from typing import Protocol

from fastrelay.config import Failover
from fastrelay.errors import SourceError, StallError
from fastrelay.sources.base import Chunk, Source
from fastrelay.sources.failover import Attempt, Plan
from fastrelay.streams.dial import Dialler
from fastrelay.streams.ingest import PIECE, Ingest
from fastrelay.streams.pacing import Pacer

PRIME_CHUNKS = 3
PRIME_SECONDS = 0.5
PRIME_PACE = 2.0
"""A cold start for an HLS viewer takes what the source delivers in one burst, up to three segments of an HLS source or
as much as the tap asks for, so that there are some to list at once. It is no burst any more, and nobody waits for it
longer, when in so many seconds it has not come at so many times the pace it is played at. Viewers of TS alone get their
first media as they are played: no pauses."""


class Listener(Protocol):
    """Who is told what the upstream does. Every call comes from the loop and must not block."""

    def dialling(self, index: int, url: str) -> None:
        """The source at `index` is about to be dialled."""

    def first_bytes(self) -> None:
        """That source is connected and delivers bytes; it is not yet ready."""

    def flowing(self) -> None:
        """The ring can be joined; once in a run."""

    def switched(self, reason: str, outage: float) -> None:
        """Another source is ready and in the ring: why the last was left, and seconds since its last bytes."""

    def fed(self) -> None:
        """The ring's head moved."""

    def spare(self) -> tuple[float, int]:
        """For how many seconds, and until how many bytes have gathered, nobody misses what comes next."""

    def failed(self, index: int, error: SourceError, all_failed: bool) -> None:
        """The source at `index` failed; with `all_failed` every source has by now."""


class Upstream:
    """Exactly one source at a time, over the whole run of a stream."""

    def __init__(
        self,
        dialler: Dialler[Source],
        source_urls: Callable[[], tuple[str, ...]],
        trusted: Callable[[], bool],
        ingest: Ingest,
        listener: Listener,
        settings: Failover,
        ahead: float,
    ) -> None:
        self._dialler = dialler
        self._source_urls = source_urls
        self._trusted = trusted
        self._ingest = ingest
        self._listener = listener
        self._settings = settings
        self._ahead = ahead
        self._plan = Plan(settings, random.random)
        self._loop = asyncio.get_running_loop()
        self._attempt: asyncio.Task[None] | None = None
        self._switch_asked = False
        self._left_for: str | None = None
        self._ready_since: float | None = None
        self._last_fed = 0.0
        self._pacer: Pacer | None = None
        self.source: Source | None = None
        self._priming = False
        """The first segments of a cold start are being taken, unpaced; nobody joins yet."""
        self._prime_timer: asyncio.TimerHandle
        self._announced = False
        self.received = 0
        """Bytes read from all sources of this run."""
        self._lost_before = 0

    async def run(self) -> str:
        """Feed until there is nothing more to feed from; returns why: "ended" or "gave up".

        Cancel it to stop: when it has ended, the source's connection is closed.
        """
        try:
            return await self._run()
        finally:
            self._dialler.give_back()

    async def _run(self) -> str:
        attempt: Attempt | None = Attempt(0, 0.0)
        while attempt is not None:
            urls = self._source_urls()
            index = attempt.index % len(urls)
            self._ready_since = None
            try:
                await self._one_attempt(index, urls[index], attempt.delay)
            except SourceError as error:
                self._announce()
                # Of several failures in a row, the first one ended what viewers saw.
                self._left_for = self._left_for or f"{error.reason}: {error}"
                attempt = self._plan.failed(index, self._ran_for(), len(urls), self._loop.time())
                self._listener.failed(index, error, self._plan.all_failed(len(urls)))
            else:
                self._announce()
                if not self._switch_asked and index + 1 == len(urls):
                    return "ended"
                self._left_for = self._left_for or ("asked to switch" if self._switch_asked else "played to its end")
                self._switch_asked = False
                attempt = self._plan.skipped(index, len(urls))
            if attempt is not None and self._source_urls() != urls:
                # Other sources since: they are tried from the first one on.
                attempt = Attempt(0, attempt.delay)
        return "gave up"

    def lost(self) -> int:
        """Packets, datagrams and segments known to be lost on the way in, over all sources of this run."""
        return self._lost_before + (self.source.lost if self.source is not None else 0)

    def switch(self) -> None:
        """Leave the present source, or the wait for it, and go to the next one now."""
        if self._attempt is not None:
            self._switch_asked = True
            self._attempt.cancel()

    async def _one_attempt(self, index: int, url: str, delay: float) -> None:
        """Returns when the source has truly ended or a switch was asked for; raises SourceError when it failed."""
        self._attempt = asyncio.create_task(self._play(index, url, delay))
        try:
            await self._attempt
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._switch_asked or (task is not None and task.cancelling()):
                raise
        finally:
            self._attempt = None

    async def _play(self, index: int, url: str, delay: float) -> None:
        if delay:
            self._dialler.give_back()
        await asyncio.sleep(delay)
        self._listener.dialling(index, url)
        # Viewers who have seen pictures are better served by the next source than by waiting.
        source = await self._dialler.dial(url, trusted=self._trusted(), patient=not self._announced)
        self.source = source
        try:
            self._listener.first_bytes()
            await self._feed(source)
        finally:
            self.source = None
            self._lost_before += source.lost
            await source.close()

    async def _feed(self, source: Source) -> None:
        self._ingest.begin()
        self._pacer = Pacer(self._ahead) if source.paced else None
        ready_by = self._loop.time() + self._settings.ready_timeout
        self._begin_priming(source)
        chunks = heard = 0
        try:
            while True:
                chunk = await (source.read() if self._ingest.open else self._read_by(ready_by, source))
                if chunk is None:
                    return
                if chunk.discontinuity:
                    self._ingest.begin()
                    ready_by = self._loop.time() + self._settings.ready_timeout
                if source.target_duration:
                    self._ingest.begin_segment(source.target_duration)
                self.received += len(chunk.data)
                await self._take(chunk.data)
                if self._ingest.open:
                    source.gather(*self._listener.spare())
                chunks += 1
                if source.target_duration and chunks == PRIME_CHUNKS:
                    self._end_priming()
                if self._ingest.open and self._ingest.scanner.heard != heard:
                    # A source that loses its program, or scrambles it, may take as long to be ready again as a new one.
                    heard = self._ingest.scanner.heard
                    ready_by = self._loop.time() + self._settings.ready_timeout
                elif self._loop.time() > ready_by:
                    raise self._not_ready()
        finally:
            self._prime_timer.cancel()
            self._stop_priming()

    async def _read_by(self, deadline: float, source: Source) -> Chunk | None:
        try:
            async with asyncio.timeout_at(deadline):
                return await source.read()
        except TimeoutError:
            raise self._not_ready() from None

    async def _take(self, data: bytes) -> None:
        """Put a chunk into the ring piece by piece, no faster than the pacer allows."""
        for start in range(0, len(data), PIECE):
            if self._ingest.feed(data[start : start + PIECE]):
                self._account()
                if self._priming and self._ingest.tap is not None and self._ingest.tap.primed:
                    self._end_priming()
                if not self._priming:
                    self._announce()
                await asyncio.sleep(self._ahead_of_clock())

    def _ahead_of_clock(self) -> float:
        """Seconds to wait before the next piece."""
        if self._pacer is None or self._priming:
            return 0.0
        return self._pacer.delay(self._ingest.index.seconds, self._loop.time())

    def _account(self) -> None:
        now = self._loop.time()
        if self._ready_since is None:
            self._ready_since = now
            self._plan.succeeded()
            if self._left_for is not None:
                self._listener.switched(self._left_for, now - self._last_fed)
                self._left_for = None
        self._last_fed = now
        self._listener.fed()

    def _announce(self) -> None:
        """The ring can be joined, if there is anything in it."""
        if not self._announced and self._ingest.ring.head:
            self._announced = True
            self._listener.flowing()

    def _begin_priming(self, source: Source) -> None:
        tap = self._ingest.tap
        self._priming = source.paced and tap is not None and not self._announced
        if tap is not None:
            tap.bursting = self._priming
        self._prime_timer = self._loop.call_later(PRIME_SECONDS, self._prime_on, self._ingest.index.seconds)

    def _prime_on(self, before: float) -> None:
        """Is it a burst still? Media time was `before` a while ago."""
        media = self._ingest.index.seconds
        if self._priming and media - before >= PRIME_PACE * PRIME_SECONDS:
            self._prime_timer = self._loop.call_later(PRIME_SECONDS, self._prime_on, media)
        else:
            self._end_priming()

    def _end_priming(self) -> None:
        """From now on the source is paced, and whoever waits may join."""
        self._stop_priming()
        self._announce()

    def _stop_priming(self) -> None:
        self._priming = False
        if self._ingest.tap is not None:
            self._ingest.tap.bursting = False

    def _ran_for(self) -> float:
        return 0.0 if self._ready_since is None else self._loop.time() - self._ready_since

    def _not_ready(self) -> StallError:
        return StallError(f"not ready within {self._settings.ready_timeout:g} s: {self._ingest.missing()}")
