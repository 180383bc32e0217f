"""HLS of one run: segments cut from its ring while someone watches, as answers that are ready to be sent."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from fastrelay.config import Hls
from fastrelay.errors import RequestError
from fastrelay.hls.discontinuities import Discontinuities
from fastrelay.hls.packager import Packager
from fastrelay.hls.playlist import Entry, master_playlist
from fastrelay.hls.segmenter import Segmenter
from fastrelay.hls.store import Memory, Numbers, Store
from fastrelay.mpegts.access import Mark
from fastrelay.ring.index import Index
from fastrelay.ring.ring import Ring
from fastrelay.streams.hls_answers import Playlist, segment_answer
from fastrelay.streams.hls_sessions import Session, Sessions
from fastrelay.wire.response import Response

log = logging.getLogger(__name__)

LOOK_AROUND = 1.0
"""Seconds between two looks at who has not come back."""

PRIMED_SEGMENTS = 2
"""Listed at a cold start, where the source delivers so many in a burst: players begin with more than one."""

PRIMED_MEDIA = 4
"""Segment durations of media after which no more of a burst is awaited: key frames are too far apart for it."""


class HlsOutput:
    """Reads along with what goes into the ring. Made when the first HLS viewer comes, which may be late.

    `gone(session)` is called when a session has made no request for `hls.session_timeout`, or had to give way;
    `unused()` when there has been none for as long again.
    """

    def __init__(
        self,
        ring: Ring,
        index: Index,
        settings: Hls,
        memory: Memory,
        discontinuities: Discontinuities,
        after: Numbers | None,
        upstream_target: float,
        gone: Callable[[Session], None],
        unused: Callable[[], None],
    ) -> None:
        self.sessions = Sessions(gone)
        self.delivered = 0
        """Bytes answered to all sessions."""
        self.playlist: Playlist | None = None
        """The media playlist as it now stands; None before the first segment."""
        self.segments: dict[int, Response] = {}
        """Every segment that may be fetched, by its name's number."""
        self._bursting = False
        self._ring = ring
        self._index = index
        self._timeout = settings.session_timeout
        self._burst_end = index.seconds + PRIMED_MEDIA * settings.segment_duration
        self._memory = memory
        self._discontinuities = discontinuities
        self._gone = gone
        self._unused = unused
        self._loop = asyncio.get_running_loop()
        self._used_at = self._loop.time()
        self._closed = False
        self._first: asyncio.Future[None] = self._loop.create_future()
        self._timer = self._loop.call_later(LOOK_AROUND, self._look_around)
        self.store = Store(time.time(), settings.window, memory, after, discontinuities.next)
        self._segmenter = Segmenter(settings.segment_duration, ring.copy)
        self._segmenter.upstream_target = upstream_target
        self._packager = Packager(self._segmenter, self.store, ring.copy)
        for position in index.splices:
            self._segmenter.switch(position)
        self.appended(list(index.marks))

    # -- reading along (see ingest.Tap) ----------------------------------------------------------------------------

    @property
    def needed(self) -> int | None:
        return self._segmenter.needed

    @property
    def primed(self) -> bool:
        return len(self.store.listed) >= PRIMED_SEGMENTS or self._index.seconds >= self._burst_end

    @property
    def bursting(self) -> bool:
        """While it is, who waits for the first segment waits for a second one, too."""
        return self._bursting

    @bursting.setter
    def bursting(self, value: bool) -> None:
        self._bursting = value
        self._let_in()

    def appended(self, marks: Iterable[Mark]) -> None:
        ring = self._ring
        if self._packager.feed(marks, ring.head, self._index.seconds, ring.tail, time.time()):
            self._publish()
        if given_up := self._memory.report(self._loop.time()):
            log.warning(
                "hls.memory_max is reached: %d segments were given up before slow players fetched them", given_up
            )

    def spliced(self, position: int) -> None:
        self._segmenter.switch(position)
        # The last segment before it is whole now: viewers need it most while the next source is slow to deliver.
        self.appended(())

    def border(self, position: int, target_duration: float) -> None:
        self._segmenter.upstream_target = target_duration
        self._segmenter.border(position)

    # -- what viewers get ------------------------------------------------------------------------------------------

    def _publish(self) -> None:
        """Render what has changed, once for all viewers."""
        store = self.store
        self._discontinuities.given(store.numbers.discontinuity)
        known = self.segments
        self.segments = {
            entry.name: known.get(entry.name) or segment_answer(entry.name, entry.segment.data)
            for entry in _held(store)
        }
        self._show()
        self._let_in()

    def _show(self) -> None:
        store = self.store
        self.playlist = Playlist(store.playlist, f"{store.listed[-1].name}-{len(store.listed)}-{int(store.ended)}")

    def _let_in(self) -> None:
        if self.playlist is not None and not self._first.done() and (self.primed or not self._bursting):
            self._packager.date_anew(self._index.seconds, time.time())
            self._show()
            self._first.set_result(None)

    @property
    def ready(self) -> bool:
        """There is a playlist that viewers may see."""
        return self.playlist is not None and self._first.done()

    def master(self, uri: str) -> bytes:
        """The master playlist that leads to the media playlist at `uri`, with what was measured so far."""
        return master_playlist(self._packager.opening, self.store.bandwidth, uri)

    async def first(self) -> None:
        """Wait for the first segment. Raises RequestError 503 when the stream ends before."""
        await asyncio.shield(self._first)

    # -- who watches -----------------------------------------------------------------------------------------------

    def touch(self, session: Session) -> None:
        """The session has asked for something more."""
        session.asks(self._loop.time())

    def leave(self, session: Session) -> bool:
        """The viewer is gone; False when he already was."""
        if not self.sessions.leave(session):
            return False
        self._used_at = max(self._used_at, session.last_request)
        return True

    def count(self, address: str, user_agent: str, sent: int) -> None:
        """Bytes were sent to a viewer who did not say which session he is: it is the newest of his kind."""
        self.delivered += sent
        session = self.sessions.newest(address, user_agent)
        if session is not None:
            session.sent += sent
            self.touch(session)

    def _look_around(self) -> None:
        self._timer = self._loop.call_later(LOOK_AROUND, self._look_around)
        self.store.expire(time.time())
        if self.playlist is not None and self.playlist.text is not self.store.playlist:
            # Short of memory, another stream has taken from this one.
            self._publish()
        for name in self.segments.keys() - {entry.name for entry in _held(self.store)}:
            del self.segments[name]
        now = self._loop.time()
        for session in self.sessions.silent_since(now - self._timeout):
            self.leave(session)
            self._gone(session)
        if not self.sessions and now - self._used_at >= 2 * self._timeout:
            self._unused()

    # -- the end ---------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """The stream has truly ended: its last segment, and EXT-X-ENDLIST."""
        self._packager.finish(self._ring.head, self._index.seconds, time.time())
        if self.store.listed:
            self._publish()

    def close(self) -> None:
        """Let go of all segments; who still waits for the first one hears so. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._timer.cancel()
        if not self._first.done():
            self._first.set_exception(RequestError(503, "stream_stopped", "The stream ended.", (("Retry-After", "1"),)))
            self._first.exception()
        self.sessions.clear()
        self.segments, self.playlist = {}, None
        self.store.close()


def _held(store: Store) -> list[Entry]:
    """All that can be fetched, the oldest first."""
    return [*(removed.entry for removed in store.removed), *store.listed]
