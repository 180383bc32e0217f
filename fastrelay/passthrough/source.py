"""One source of a channel while it is passed through: its playlists, the names they gave, and what is fetched of it."""

import asyncio
import re
from collections.abc import Hashable
from typing import TYPE_CHECKING

from fastrelay.config import Failover
from fastrelay.errors import FormatError, SourceRefusedError
from fastrelay.hls.m3u8_model import Span
from fastrelay.hls.names import Namer, Role
from fastrelay.passthrough.cache import Shelf
from fastrelay.passthrough.fetch import REMEMBERED, Fetch
from fastrelay.passthrough.playlist import Playlist, Version
from fastrelay.passthrough.table import Entry, Table
from fastrelay.sources.addresses import AddressPolicy
from fastrelay.sources.http_clients import HttpClients
from fastrelay.wire.source_url import parse_source_url, redact

if TYPE_CHECKING:
    from fastrelay.sources.http import HttpClient

PARALLEL = 16
"""Resources fetched at the same time for one channel, however many its viewers ask for at once."""
# What providers call a transport stream; those with Xtream's paths send one under the bare number.
_STREAM_NAME = re.compile(r"(?i)(?:udp|rtp):|[^?#|]*(?:\.(?:ts|m2ts|mts|mpe?g|mpegts)|/[0-9]+)(?:[?#|]|$)")
_OTHERS_KEPT = 1000
"""URLs that were found to be no HLS."""


class NotHlsError(FormatError):
    """The source is a stream, but no HLS."""


class Opener:
    """Opens sources under the rules for all of them."""

    def __init__(self, failover: Failover, policy: AddressPolicy, user_agent: str | None) -> None:
        self._failover = failover
        self._clients = HttpClients(failover, policy, user_agent)
        self._others: dict[str, None] = {}
        """URLs whose bytes were a transport stream's, the newest last."""

    def presumes_other(self, url: str) -> bool:
        """Whether it is no HLS, as far as can be told without a connection: by what it was before, or by its name."""
        return url in self._others or _STREAM_NAME.match(url) is not None

    async def open(self, url: str, namer: Namer, shelf: Shelf[Fetch], *, single: bool) -> "Source":
        """Connect, see by its bytes that it is HLS, and read its first playlist. `single`: the provider counts, so
        everything is fetched over one connection, one after the other.

        Raises NotHlsError for any other stream, and every SourceError.
        """
        try:
            parsed = parse_source_url(url)
        except ValueError as error:
            raise SourceRefusedError(f"not a source URL: {error}") from None
        if parsed.scheme in ("file", "exec"):
            raise SourceRefusedError(f"{parsed.scheme}: sources are taken from the operator's config only")
        if parsed.scheme not in ("http", "https"):
            raise NotHlsError(f"{parsed.scheme}: is no HLS")
        client = await self._clients.make(parsed, single=single)
        source = Source(parsed.url, client, namer, shelf, self._failover, single=single)
        try:
            await source.start()
        except BaseException as error:
            await source.close()
            if isinstance(error, NotHlsError):
                self._others[url] = self._others.pop(url, None)
                if len(self._others) > _OTHERS_KEPT:
                    del self._others[next(iter(self._others))]
            raise
        self._others.pop(url, None)
        return source


class Source:
    """Everything of it is asked for by somebody; nothing runs by itself."""

    def __init__(
        self,
        url: str,
        client: "HttpClient",
        namer: Namer,
        shelf: Shelf[Fetch],
        failover: Failover,
        *,
        single: bool,
    ) -> None:
        self.received = 0
        """Bytes of playlists and resources."""
        self.missed = 0
        """Polls in a row, of all playlists, that brought nothing new."""
        self._client = client
        self._namer = namer
        self._shelf = shelf
        self._failover = failover
        self._loop = asyncio.get_running_loop()
        self.news_at = self._loop.time()
        """When a poll last brought something new, or found that a playlist is complete."""
        self._table = Table()
        self._playlists: dict[str, Playlist] = {}
        self._fetches: set[asyncio.Task[None]] = set()
        self._failures: dict[Hashable, Fetch] = {}
        self._places = asyncio.Semaphore(1 if single else PARALLEL)
        self._turn = self._places if single else None
        self.root = Playlist(url, client, namer, self, failover, {}, self._turn)

    async def start(self) -> None:
        """See Opener.open."""
        from fastrelay.sources.first_bytes import first_bytes

        reply = await self._client.get(self.root.url, compressed=True)
        try:
            kind, head = await first_bytes(reply, self._failover)
        except BaseException:
            await reply.abort()
            raise
        if kind != "hls":
            await reply.abort()
            raise NotHlsError(f"{redact(reply.url)}: the source is a transport stream")
        await self.root.start(reply, head)

    async def close(self) -> None:
        """Close every connection and drop what is cached; returns when nothing is left."""
        for playlist in (self.root, *self._playlists.values()):
            playlist.close()
        for task in self._fetches:
            task.cancel()
        if self._fetches:
            await asyncio.wait(set(self._fetches))
        for key in list(self._shelf.items):
            self._shelf.drop(key)
        await self._client.close()

    @property
    def longest_reload(self) -> float:
        """Seconds between two polls of the playlist, of those in use, that is polled least often."""
        playlists = (self.root, *self._playlists.values())
        times = [one.reload_time for one in playlists if one.version and not one.version.rewritten.master]
        return max(times, default=0.0)

    def find(self, name: str) -> Entry | None:
        """What a name leads to; None for what no playlist of this source listed lately."""
        return self._table.find(name, self._loop.time())

    def playlist(self, entry: Entry) -> Playlist:
        """The playlist of that name."""
        playlist = self._playlists.get(entry.name)
        if playlist is None:
            playlist = Playlist(
                entry.mention.url,
                self._client,
                self._namer,
                self,
                self._failover,
                dict(entry.variables),
                self._turn,
            )
            self._playlists[entry.name] = playlist
        playlist.url = entry.mention.url
        self._use(entry)
        return playlist

    def fetch(self, entry: Entry, span: Span | None) -> Fetch:
        """The resource of that name, or the listed range of it: as it is kept, on its way already, or begun now."""
        self._use(entry)
        key = (entry.name, span)
        failed = self._failures.get(key)
        if failed is not None and self._loop.time() - failed.failed_at < REMEMBERED:
            return failed
        fetch = self._shelf.get(key)
        if fetch is None:
            fetch = self._begin(key, entry.mention.url, span)
        return fetch

    def look_around(self, unused: float) -> None:
        """Forget names that have expired, and playlists that nobody has used for `unused` seconds."""
        now = self._loop.time()
        for name, playlist in list(self._playlists.items()):
            if now - playlist.used_at > max(unused, 3 * playlist.reload_time):
                playlist.close()
                self._table.withdraw(playlist, now, 0.0)
                del self._playlists[name]
        kept = {key[0] for key in self._shelf.items if isinstance(key, tuple)}
        gone = frozenset(self._table.expire(now, kept))
        for key in [key for key in self._shelf.items if isinstance(key, tuple) and key[0] in gone]:
            self._shelf.drop(key)
        self._failures = {key: failed for key, failed in self._failures.items() if now - failed.failed_at < REMEMBERED}

    # --- what the playlists tell ---

    def published(self, playlist: Playlist, version: Version, grace: float) -> None:
        self._table.publish(playlist, version.rewritten, self._loop.time(), grace)

    def polled(self, size: int, news: bool | None) -> None:
        self.received += size
        if news:
            self.missed, self.news_at = 0, self._loop.time()
        elif news is not None:
            self.missed += 1

    # --- what is fetched ---

    def _use(self, entry: Entry) -> None:
        now = self._loop.time()
        for playlist in entry.listed_by:
            if isinstance(playlist, Playlist):
                playlist.used_at = now
        if entry.mention.role is Role.PLAYLIST:
            # A player never reads the master playlist again: what it plays stays, even if it is not listed any more.
            known = self._playlists.get(entry.name)
            self._table.stay(entry, now + 3 * max(known.reload_time if known is not None else 0.0, 10.0))

    def _begin(self, key: Hashable, url: str, span: Span | None) -> Fetch:
        def grown(size: int) -> None:
            self.received += size
            if self._shelf.holds(key, fetch):
                self._shelf.grown(size)

        fetch = Fetch(grown)
        self._shelf.put(key, fetch)
        task = self._loop.create_task(fetch.pull(self._client, url, span, self._failover.stall_timeout, self._places))
        self._fetches.add(task)
        task.add_done_callback(lambda task: self._over(key, fetch, task))
        return fetch

    def _over(self, key: Hashable, fetch: Fetch, task: asyncio.Task[None]) -> None:
        self._fetches.discard(task)
        if task.cancelled():
            fetch.abandon(self.root.url)
        else:
            task.result()
        if fetch.error is not None:
            if self._shelf.holds(key, fetch):
                self._shelf.drop(key)
            self._failures[key] = fetch
        else:
            self._shelf.grown(0)
