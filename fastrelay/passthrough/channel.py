"""A channel whose HLS is passed through: on demand, one upstream for all viewers, gone when nobody watches."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fastrelay.config import Hls, Streams
from fastrelay.errors import AccountLimitError, RequestError, SourceError
from fastrelay.hls.m3u8_model import Span
from fastrelay.hls.names import Namer
from fastrelay.hls.rewrite import Position
from fastrelay.metrics.books import Sums
from fastrelay.metrics.tally import Tally
from fastrelay.passthrough.cache import Cache
from fastrelay.passthrough.fetch import Fetch
from fastrelay.passthrough.no_source import NoSourceError
from fastrelay.passthrough.playlist import PATIENCE, Playlist, Version
from fastrelay.passthrough.source import NotHlsError, Opener, Source
from fastrelay.passthrough.table import Entry
from fastrelay.sources.account_policy import Audience, Who
from fastrelay.sources.accounts import Account, Accounts
from fastrelay.streams.decisions import Decisions
from fastrelay.streams.dial import AccountOf, Dialler
from fastrelay.streams.farewell import say_gone
from fastrelay.streams.hls_output import LOOK_AROUND
from fastrelay.streams.hls_sessions import Session, Sessions
from fastrelay.wire.redact import redact

ID_SUFFIX = "/hls"
"""What the id of a passed-through channel ends with; before it stands the id of the channel's stream."""
RETRY_AFTER = 1.0
"""Seconds for which everybody hears of a failure before the sources are dialled again …"""
OTHER_AFTER = 10.0
"""… and for which a source that is no HLS is not asked again."""
_MISSED = 2
"""Polls in a row without news before a source may be left: one alone may have come too early."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What all passed-through channels of a server share."""

    streams: Streams
    hls: Hls
    opener: Opener
    account_of: AccountOf
    accounts: Accounts
    cache: Cache[Fetch]
    key: bytes
    """Of the names; a new one for each process."""
    relays_ts: Callable[[str], bool]
    """Whether a URL is being relayed at this moment and sends a transport stream."""
    tally: Tally
    """Where everything is counted."""


class Channel:
    """The sources are tried in their order, from the one that worked last. One that brings nothing new for 3 target
    durations is left for the next one, where there is one; the names of a source that was left are gone, so a player
    in the middle of it has to start again, from the URL that it knows."""

    kind = "passthrough"

    def __init__(
        self, stream_id: str, source_urls: tuple[str, ...], settings: Settings, stopped: Callable[["Channel"], None]
    ) -> None:
        self.id = stream_id + ID_SUFFIX
        self.source_urls = source_urls
        self.source_index = 0
        self.switches = 0
        self.sessions = Sessions(self._gone)
        self.delivered = 0
        """Bytes answered to all viewers."""
        self.last_activity: float | None = None
        """Unix time of the last request or the last byte received."""
        self.events = Decisions(self.id)
        self.source: Source | None = None
        self.source_url = source_urls[0]
        """The source in use, or used last."""
        self.running = False
        self._settings = settings
        self._stopped = stopped
        self._loop = asyncio.get_running_loop()
        self._shelf = settings.cache.shelf()
        self._namer = Namer(settings.key, self.id)
        self._started_at = self._used_at = self._loop.time()
        self._received_before = 0
        self._viewers_ever = 0
        self._opening: asyncio.Task[Source] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._failure: NoSourceError | None = None
        self._failed_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._asking: Counter[Who] = Counter()
        self._newest = 0.0
        self._over = False
        self._dialler: Dialler[Source] = Dialler(self._open_source, self._account_of, settings.accounts, self)

    @property
    def active(self) -> bool:
        """Whether it holds connections to a provider, or is about to."""
        return self.source is not None or self._opening is not None

    @property
    def uptime(self) -> float:
        """Seconds since the first request."""
        return self._loop.time() - self._started_at if self.running else 0.0

    @property
    def received(self) -> int:
        """Bytes that came from all sources."""
        return self._received_before + (self.source.received if self.source is not None else 0)

    def sums(self) -> Sums:
        """For the books."""
        return Sums(self.received, self.delivered, switches=self.switches)

    @property
    def cached_bytes(self) -> int:
        return self._shelf.size

    # --- who watches ---

    @contextmanager
    def asking(self, who: Who) -> Iterator[None]:
        """While somebody waits for an answer, the channel does not stop of itself."""
        self._run()
        self._asking[who] += 1
        self._newest = self._loop.time()
        self._settings.accounts.look_again()
        try:
            yield
        finally:
            self._asking[who] -= 1
            self._asking += Counter()  # forgets who asks no more
            self._used_at = self._loop.time()

    def visit(self, key: str, address: str, user_agent: str) -> Session:
        """A request of the viewer `key`: counts him from his first one on."""
        self._run()
        session = self.sessions.find(key, address)
        if session is None:
            self._viewers_ever += 1
            self._settings.tally.viewers["hls"] += 1
            key = self.sessions.key_for(key, address)
            session = Session(self._viewers_ever, key, address, user_agent, self._loop.time(), came=True)
            self.sessions.enter(session)
        else:
            session.asks(self._loop.time())
        self._still_there(session)
        return session

    def _still_there(self, session: Session) -> None:
        self._used_at = session.last_request = self._loop.time()
        self.last_activity = time.time()

    def viewer(self, address: str, user_agent: str) -> Session:
        """Whose request it is that does not say so: the newest viewer from there who plays with that."""
        session = self.sessions.newest(address, user_agent)
        key = session.key if session is not None else f"{address} {user_agent}"
        return self.visit(key, address, user_agent)

    def _gone(self, session: Session) -> None:
        say_gone(self.id, session, "left")
        self._settings.accounts.look_again()

    def sent(self, session: Session, size: int) -> None:
        """Bytes were answered to him: he is still there."""
        self.delivered += size
        session.sent += size
        self._still_there(session)

    # --- what they ask for ---

    async def root(self, wanted: Position | None = None) -> Version:
        """The playlist that the source's URL leads to. Raises NoSourceError when no source works."""
        for _ in range(len(self.source_urls)):
            source = await self._open()
            try:
                return await self._ask(source, source.root, wanted)
            except SourceError as error:
                if self.source is source:
                    raise NoSourceError({self.source_index: error}) from None
        source = await self._open()
        return await source.root.get(wanted)

    async def playlist(self, entry: Entry, wanted: Position | None = None) -> Version:
        """The playlist of a name. Raises SourceError."""
        assert self.source is not None
        return await self._ask(self.source, self.source.playlist(entry), wanted)

    def find(self, name: str) -> Entry | None:
        """What a name leads to; None for what the source's playlists did not list lately."""
        return self.source.find(name) if self.source is not None else None

    def fetch(self, entry: Entry, span: Span | None) -> Fetch:
        """The resource of a name, or the listed range of it."""
        assert self.source is not None
        return self.source.fetch(entry, span)

    async def _ask(self, source: Source, playlist: Playlist, wanted: Position | None) -> Version:
        try:
            version = await playlist.get(wanted)
        except SourceError as error:
            self._judge(source, playlist, f"{error.reason}: {error}")
            raise
        self._judge(source, playlist, "stall: nothing new")
        return version

    def _judge(self, source: Source, playlist: Playlist, why: str) -> None:
        """Leave a source that brings nothing new, if there is another one."""
        patience = PATIENCE * max(playlist.reload_time, 1.0)
        tired = source.missed >= _MISSED and self._loop.time() - source.news_at > patience
        if tired and source is self.source and len(self.source_urls) > 1:
            self._leave(f"source {self.source_index}: {why}")

    # --- as holder of a connection of a provider account (see sources/accounts.py) ---

    def audience(self) -> Audience:
        """Who watches now."""
        sessions = self.sessions
        asking = frozenset(self._asking)
        return Audience(
            connected=asking | {session.who for session in sessions if session.waiting},
            polling=frozenset(session.who for session in sessions if not session.waiting),
            quiet_since=self._used_at,
            newcomers=asking if self.source is None else frozenset(),
            newest=self._newest,
        )

    def vacate(self, reason: str) -> None:
        """Another stream of the account needs the connection more."""
        self._end(reason)

    async def _open_source(self, url: str, *, trusted: bool, single: bool) -> Source:
        return await self._settings.opener.open(url, self._namer, self._shelf, single=single)

    async def _account_of(self, stream_id: str, url: str) -> Account | None:
        """The account is the channel's, however it is watched."""
        return await self._settings.account_of(stream_id.removesuffix(ID_SUFFIX), url)

    # --- the sources ---

    async def _open(self) -> Source:
        if self.source is not None:
            return self.source
        if self._failure is not None and self._loop.time() < self._failed_until:
            raise self._failure
        if self._opening is None:
            self._opening = self._loop.create_task(self._dial())
            self._opening.add_done_callback(self._opened)
        opening = self._opening
        await asyncio.wait({opening})
        if opening.cancelled():
            raise RequestError(503, "stream_stopped", "The stream was stopped.", (("Retry-After", "1"),))
        return opening.result()

    async def _dial(self) -> Source:
        """The next source that works. The one before must have closed its connections: providers count them."""
        if self._closing:
            await asyncio.wait(set(self._closing))
        errors: dict[int, SourceError] = {}
        urls = self.source_urls
        for step in range(len(urls)):
            index = (self.source_index + step) % len(urls)
            try:
                if self._settings.relays_ts(urls[index]):
                    # To look once more were a second connection, and providers end the first one for it.
                    raise NotHlsError(f"{redact(urls[index])}: the source is being relayed, as a transport stream")
                # Who has seen pictures is better served by the next source than by waiting for a connection.
                source = await self._dialler.dial(urls[index], trusted=False, patient=not self.switches)
            except SourceError as error:
                if isinstance(error, AccountLimitError) and self._settings.opener.presumes_other(urls[index]):
                    # To wait for a connection would help nobody: it is answered in the other way only.
                    error = NotHlsError(f"the source is taken for a transport stream; {error}")
                errors[index] = error
                self.events.note("source failed", f"source {index}: {error.reason}: {error}")
                continue
            self.source, self.source_index, self._failure = source, index, None
            self.source_url = urls[index]
            self.events.note("active", f"source {index}")
            return source
        self._dialler.give_back()
        raise NoSourceError(errors)

    def _opened(self, task: asyncio.Task[Source]) -> None:
        self._opening = None
        error = None if task.cancelled() else task.exception()
        if isinstance(error, NoSourceError):
            self._failure = error
            seconds = 0.0 if error.limited else OTHER_AFTER if error.other else RETRY_AFTER
            self._failed_until = self._loop.time() + seconds

    def take(self, source_urls: tuple[str, ...]) -> None:
        """Other sources from now on, as far as they are others; the one in use stays until it is left."""
        if source_urls != self.source_urls:
            self.source_urls = source_urls
            self.source_index = source_urls.index(self.source_url) if self.source_url in source_urls else 0
            self._failure = None

    def switch(self) -> bool:
        """Go to the next source now; False when none is in use."""
        if self.source is None:
            return False
        self._leave("asked to switch")
        return True

    def _leave(self, why: str) -> None:
        self.switches += 1
        self.events.note("switched", why)
        self._close_source()
        self.source_index = (self.source_index + 1) % len(self.source_urls)

    def _close_source(self) -> None:
        source, self.source = self.source, None
        if source is not None:
            self._received_before += source.received
            self._close_later(source.close())

    # --- its life ---

    def _run(self) -> None:
        if self._over:
            raise RequestError(503, "stream_stopped", "The stream was stopped.", (("Retry-After", "1"),))
        if not self.running:
            self.running = True
            self._started_at = self._loop.time()
            self._timer = self._loop.call_later(LOOK_AROUND, self._look_around)
            self.events.started(len(self.source_urls))

    def _look_around(self) -> None:
        self._timer = self._loop.call_later(LOOK_AROUND, self._look_around)
        now = self._loop.time()
        patience = self._settings.hls.session_timeout
        if self.source is not None:
            # Who reloads less often than viewers are forgotten is still there.
            patience = max(patience, 2 * self.source.longest_reload)
            self.source.look_around(max(patience, self._settings.streams.idle_timeout))
        for session in self.sessions.silent_since(now - patience):
            self.sessions.leave(session)
            self._gone(session)
        if not self.sessions and not self._asking and now - self._used_at >= self._settings.streams.idle_timeout:
            self._end("idle")

    async def stop(self, reason: str) -> None:
        """Stop now; returns when every connection is closed. Harmless when not running."""
        self._end(reason)
        while self._closing:
            await asyncio.wait(set(self._closing))

    def _end(self, reason: str) -> None:
        if not self.running:
            return
        self.running, self._over = False, True
        if self._timer is not None:
            self._timer.cancel()
        opening, source, self.source = self._opening, self.source, None
        if opening is not None:
            opening.cancel()
        self._received_before += source.received if source is not None else 0
        self._close_later(self._release(opening, source, set(self._closing)))
        for session in self.sessions:
            say_gone(self.id, session, "stopped")
        self.sessions.clear()
        self._shelf.close()
        self.events.note("stopped", reason)
        self._stopped(self)

    async def _release(
        self, opening: asyncio.Task[Source] | None, source: Source | None, closing: set[asyncio.Task[None]]
    ) -> None:
        """The place at the provider is free when all connections are closed."""
        if source is not None:
            await source.close()
        if waited_for := closing | ({opening} if opening is not None else set()):
            await asyncio.wait(waited_for)
        self._dialler.give_back()

    def _close_later(self, closing: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
