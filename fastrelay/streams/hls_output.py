"""HLS of one run: segments cut from its ring while someone watches, as answers that are ready to be sent."""

import asyncio
import gzip
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
from fastrelay.wire.response import Headers, Response

log = logging.getLogger(__name__)

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
CORS: Headers = (("Access-Control-Allow-Origin", "*"),)

LOOK_AROUND = 1.0
"""Seconds between two looks at who has not come back."""

_IMMUTABLE: Headers = (("Cache-Control", "public, max-age=31536000, immutable"), ("Accept-Ranges", "bytes"), *CORS)
_REVALIDATE: Headers = (("Cache-Control", "no-cache"), ("Vary", "Accept-Encoding"), *CORS)


class Session:
    """One HLS viewer: known by the key its master playlist gave it, there as long as it asks for something.

    `came`: he has asked for the stream, and is not a player that still asks on after his session was over.
    """

    __slots__ = ("address", "came", "id", "key", "last_request", "sent", "since", "user_agent", "waiting")

    def __init__(self, viewer_id: int, key: str, address: str, user_agent: str, *, came: bool) -> None:
        self.id = viewer_id
        self.key = key
        self.address = address
        self.user_agent = user_agent
        self.came = came
        self.since = time.time()
        self.last_request = 0.0
        """Loop time."""
        self.waiting = 0
        """Requests that are still to be answered: who waits has not left."""
        self.sent = 0
        """Bytes of playlists and segments answered to it."""

    @property
    def who(self) -> tuple[str, str]:
        """As what requests show him: address and user agent."""
        return self.address, self.user_agent


class HlsOutput:
    """Reads along with what goes into the ring. Made when the first HLS viewer comes, which may be late.

    `gone(session)` is called when a session has made no request for `hls.session_timeout`; `unused()` when there has
    been none for as long again.
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
        self.sessions: dict[str, Session] = {}
        self.delivered = 0
        """Bytes answered to all sessions."""
        self.playlist: dict[str, Response] = {}
        """The media playlist by content coding: `identity` and `gzip`. Empty before the first segment."""
        self.segments: dict[int, Response] = {}
        """Every segment that may be fetched, by its name's number."""
        self.etag = ""
        self._ring = ring
        self._index = index
        self._timeout = settings.session_timeout
        self._memory = memory
        self._discontinuities = discontinuities
        self._gone = gone
        self._unused = unused
        self._loop = asyncio.get_running_loop()
        self._used_at = self._loop.time()
        self._closed = False
        self._published = b""
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

    def appended(self, marks: Iterable[Mark]) -> None:
        shortened = self._memory.shortened
        ring = self._ring
        if self._packager.feed(marks, ring.head, self._index.seconds, ring.tail, time.time()):
            self._publish()
        if self._memory.shortened > shortened:
            log.warning("hls.memory_max is reached: removed segments are given up before slow players fetched them")

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
        self._published = store.playlist
        known = self.segments
        self.segments = {
            entry.name: known.get(entry.name) or _segment(entry.name, entry.segment.data) for entry in _held(store)
        }
        self.etag = f'"{store.listed[-1].name}-{len(store.listed)}-{int(store.ended)}"'
        headers = (*_REVALIDATE, ("ETag", self.etag))
        packed = gzip.compress(store.playlist, 6, mtime=0)
        self.playlist = {
            "identity": Response(200, store.playlist, PLAYLIST_TYPE, headers),
            "gzip": Response(200, packed, PLAYLIST_TYPE, (*headers, ("Content-Encoding", "gzip"))),
        }
        if not self._first.done():
            self._first.set_result(None)

    def master(self, uri: str) -> bytes:
        """The master playlist that leads to the media playlist at `uri`, with what was measured so far."""
        return master_playlist(self._packager.opening, self.store.bandwidth, uri)

    async def first(self) -> None:
        """Wait for the first segment. Raises RequestError 503 when the stream ends before."""
        await asyncio.shield(self._first)

    # -- who watches -----------------------------------------------------------------------------------------------

    def touch(self, session: Session) -> None:
        """The session has asked for something."""
        self._used_at = session.last_request = self._loop.time()

    def count(self, address: str, user_agent: str, sent: int) -> None:
        """Bytes were sent to a viewer who did not say which session he is: it is the newest of his kind."""
        self.delivered += sent
        for session in reversed(self.sessions.values()):
            if session.address == address and session.user_agent == user_agent:
                session.sent += sent
                self.touch(session)
                return

    def _look_around(self) -> None:
        self._timer = self._loop.call_later(LOOK_AROUND, self._look_around)
        self.store.expire(time.time())
        if self.store.playlist is not self._published:
            # Short of memory, another stream has taken from this one.
            self._publish()
        for name in self.segments.keys() - {entry.name for entry in _held(self.store)}:
            del self.segments[name]
        now = self._loop.time()
        for session in [one for one in self.sessions.values() if self._is_over(one, now)]:
            del self.sessions[session.key]
            self._gone(session)
        if not self.sessions and now - self._used_at >= 2 * self._timeout:
            self._unused()

    def _is_over(self, session: Session, now: float) -> bool:
        return not session.waiting and now - session.last_request >= self._timeout

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
        self.segments, self.playlist = {}, {}
        self.store.close()


def _held(store: Store) -> list[Entry]:
    """All that can be fetched, the oldest first."""
    return [*(removed.entry for removed in store.removed), *store.listed]


def _segment(name: int, data: bytes) -> Response:
    # A name never names other bytes, so it is as good an entity tag as a hash of them.
    return Response(200, data, "video/mp2t", (*_IMMUTABLE, ("ETag", f'"{name}"')))
