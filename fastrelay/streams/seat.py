"""A viewer's place in one run of a stream, from his request on: a seat over TS, a visit over HLS."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from fastrelay.errors import RequestError
from fastrelay.streams.hls_output import HlsOutput
from fastrelay.streams.hls_sessions import Session
from fastrelay.streams.run import Run, Settings
from fastrelay.streams.viewers import Viewer
from fastrelay.wire.response import Outlet


class Host(Protocol):
    """The stream whose run it is."""

    def left(self, run: Run, viewer: Viewer, reason: str) -> None:
        """The viewer is gone. Idempotent."""

    def emptied(self, run: Run, since: float) -> None:
        """A session is gone, at loop time `since`."""

    def why_not_yet(self) -> str:
        """What keeps the stream from starting, for people."""


class Seat:
    """A viewer's place in one run of a stream."""

    def __init__(self, host: Host, run: Run, viewer: Viewer) -> None:
        self._host = host
        self._run = run
        self.viewer = viewer

    async def ready(self, seconds: float) -> None:
        """Wait until the stream can be joined.

        Raises RequestError: 502 as soon as every source has failed once, 504 after `seconds`, 503 when stopped.
        """
        self.viewer.waited = not self._run.ready.done()
        async with _in_time(self._host, seconds):
            await asyncio.shield(self._run.ready)

    def attach(self, outlet: Outlet, head: bytes) -> Callable[[], None]:
        """Serve the viewer through `outlet`. Returns what to call when the peer has left."""
        self.viewer.outlet = outlet
        if self.viewer.gone:
            # The stream ended between the answer and the takeover.
            outlet.reset()
        else:
            self._run.fanout.add(self.viewer, head)
        return self.leave

    def leave(self) -> None:
        """The viewer is gone by his own will. Idempotent."""
        self._run.fanout.remove(self.viewer)
        self._host.left(self._run, self.viewer, "left")


class Visit:
    """One request of an HLS viewer."""

    def __init__(
        self, host: Host, settings: Settings, run: Run, output: HlsOutput, session: Session, *, new: bool
    ) -> None:
        """`new`: the session begins with it."""
        self._host = host
        self._settings = settings
        self._run = run
        self._new = new
        self.output = output
        self.session = session

    @property
    def is_ready(self) -> bool:
        """There is nothing to wait for."""
        return self._run.ready.done() and self.output.ready

    async def ready(self, seconds: float) -> None:
        """Wait for the first segment. Raises RequestError as `Seat.ready`; the viewer is gone then."""
        self.session.waiting += 1
        self._settings.accounts.look_again()
        try:
            async with _in_time(self._host, seconds):
                await asyncio.shield(self._run.ready)
                await self.output.first()
        except BaseException:
            if self.output.leave(self.session):
                self._host.emptied(self._run, self.session.last_request)
            raise
        finally:
            self.session.waiting -= 1
        self.session.last_request = asyncio.get_running_loop().time()
        if self._new:
            self._settings.tally.first_byte["hls"].observe(time.time() - self.session.since)


@asynccontextmanager
async def _in_time(host: Host, seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        why = host.why_not_yet()
        raise RequestError(504, "start_timeout", f"The stream did not start within {seconds:g} s. {why}") from None
