"""One playlist of a source, polled once for all who ask for it, and only when somebody asks."""

import asyncio
import contextlib
import gzip
from collections.abc import Coroutine, Mapping
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from fastrelay.config import Failover
from fastrelay.errors import EndOfStreamError, FormatError, SourceError
from fastrelay.hls.names import Lives, Mention, Namer
from fastrelay.hls.rewrite import Position, Rewriter, Rewritten
from fastrelay.wire.content_coding import decompress
from fastrelay.wire.source_url import redact

if TYPE_CHECKING:
    from fastrelay.sources.http import HttpClient
    from fastrelay.sources.http_reply import Reply
    from fastrelay.sources.http_url import Headers

PLAYLIST_LIMIT = 2 << 20
"""Bytes of a playlist, unpacked."""
PATIENCE = 3
"""Target durations for which an old version is better than none."""
MASTER_SECONDS = 60.0
"""How long a master playlist is taken as it is: it says nothing of reloads, and players load it once."""
LEAST_GRACE, MOST_GRACE = 5.0, 60.0
"""Seconds for which what has left a playlist can be asked for, at least, and at most where the playlist is longer."""
_LEAST_PAUSE = 0.1
"""Seconds between two polls, whatever the playlist says."""
_SLACK_MAX = 0.5
"""Seconds by which a viewer may come too early and still have a poll."""
_STEP = 100
"""Lines rewritten in one go: some milliseconds."""
_RENDERED_MAX = 1 << 20
"""Bytes of all ways of a version to be asked for that are kept; a longer one is the only one."""
_LONG = 1000
"""Names from which on writing a playlist takes some milliseconds."""
_COMPRESSED_FROM = 1400  # bytes: less goes in one packet anyway


class Owner(Protocol):
    """Whose playlist it is."""

    def published(self, playlist: "Playlist", version: "Version", grace: float) -> None:
        """A new version: its names can be asked for from now on."""

    def polled(self, size: int, news: bool | None) -> None:
        """So many bytes came in; whether they were anything new, None where nothing new is to be expected."""


class Version:
    """A playlist as it is now, written once for each way to ask for it."""

    def __init__(self, rewritten: Rewritten) -> None:
        self.rewritten = rewritten
        self._rendered: dict[tuple[str, str, bool], tuple[bytes, str]] = {}
        self._size = 0
        self._rendering = asyncio.Lock()

    async def body(self, prefix: str, query: str, compressed: bool) -> tuple[bytes, str]:
        """With `prefix` before and `?query` behind every name, and its content coding: gzip, where that is worth it.

        A long one is written in a thread, one at a time: every viewer may have a query of his own.
        """
        key = (prefix, query, compressed)
        found = self._rendered.get(key)
        if found is not None:
            return found
        if len(self.rewritten.names) < _LONG:
            return self._keep(key, self._render(*key))
        async with self._rendering:
            found = self._rendered.get(key)
            return found or self._keep(key, await asyncio.to_thread(self._render, *key))

    def _render(self, prefix: str, query: str, compressed: bool) -> tuple[bytes, str]:
        body = self.rewritten.text(prefix, query).encode("utf-8", "surrogateescape")
        if compressed and len(body) >= _COMPRESSED_FROM:
            return gzip.compress(body, 1, mtime=0), "gzip"
        return body, ""

    def _keep(self, key: tuple[str, str, bool], rendered: tuple[bytes, str]) -> tuple[bytes, str]:
        if self._size + len(rendered[0]) > _RENDERED_MAX:
            self._rendered.clear()
            self._size = 0
        self._rendered[key] = rendered
        self._size += len(rendered[0])
        return rendered


class Playlist:
    """A playlist by its URL. A redirect is followed once: from then on the host that it led to is asked, because
    another one may be some segments behind; when that fails, the way is asked for again.

    `turn` is whose turn it is where everything has to go over one connection. No request is held back there: it would
    hold up the segments.
    """

    def __init__(
        self,
        url: str,
        client: "HttpClient",
        namer: Namer,
        owner: Owner,
        failover: Failover,
        variables: Mapping[str, str],
        turn: asyncio.Semaphore | None,
    ) -> None:
        self.url = url
        """Where it is, as its master playlist said last."""
        self.version: Version | None = None
        self.used_at = 0.0
        """Loop time of the last request for it, or for something it lists."""
        self._client = client
        self._namer = namer
        self._owner = owner
        self._failover = failover
        self._variables = variables
        self._turn = turn
        self._lives = Lives()
        self._loop = asyncio.get_running_loop()
        self._pinned: str | None = None
        self._body = b""
        self._conditions: Headers = ()
        self._due = 0.0
        self._fresh_at = -inf
        self._error: SourceError | None = None
        self._poll: asyncio.Task[None] | None = None
        self._closed = False
        self._vain = False
        """The last poll that was to be held back was answered, and with nothing new."""
        self._resolved: dict[str, str | None] = {}
        self._named: dict[tuple[Mention, str], str] = {}
        self._holding = False
        """The poll under way was asked to be held back until there is something new."""

    @property
    def reload_time(self) -> float:
        """Seconds between two polls while it changes."""
        if self.version is None:
            return _LEAST_PAUSE
        rewritten = self.version.rewritten
        return MASTER_SECONDS if rewritten.master else max(rewritten.target, _LEAST_PAUSE)

    async def get(self, wanted: Position | None = None) -> Version:
        """The playlist as the source has it now, or had within its reload time (RFC 8216 §6.3.4).

        `wanted` is the segment and part that a low-latency player waits for (RFC 8216bis §6.2.5.2): where the source
        can hold requests back, this one is. All who wait share one request upstream, for the next part, until theirs is
        there. (That delta updates are asked for is ignored, as it may be.) Raises SourceError.
        """
        self.used_at = self._loop.time()
        version = self.version
        if wanted is None or self._turn is not None or version is None or not version.rewritten.blocking:
            await self._refresh()
        if wanted is not None and self._turn is None:
            await self._reach(wanted)
        if self.version is None:
            raise self._error or FormatError(f"{redact(self.url)}: there is no playlist")
        return self.version

    def start(self, reply: "Reply", head: bytes) -> "asyncio.Task[None]":
        """Begin with an answer of which `head` has been read already."""
        return self._begin(self._adopt(reply, head, pin=True), holding=False)

    def close(self) -> None:
        """Ask no more; whoever waits hears so."""
        self._closed = True
        if self._poll is not None:
            self._poll.cancel()

    # --- when ---

    async def _refresh(self) -> None:
        now = self._loop.time()
        if self._poll is not None:
            # What is held back comes when there is news; until then the present version is the newest.
            if not (self._holding and self.version is not None):
                await self._wait(self._poll)
            return
        # Players count from another moment than we do. Who comes a little early would otherwise get the old version,
        # and look again only half a target duration later.
        early = min(_SLACK_MAX, self.reload_time / 8) if self.version is not None else 0.0
        if now + early < self._due:
            if self._error is not None and self._stale():
                raise self._error
            return
        await self._wait(self._begin(self._load(self._due - now, ""), holding=False))

    async def _reach(self, wanted: Position) -> None:
        deadline = self._loop.time() + PATIENCE * max(self.reload_time, 1.0)
        while self.version is not None and self._loop.time() < deadline:
            rewritten = self.version.rewritten
            if wanted[0] > rewritten.after[0] + 1:
                await self._refresh()
                return
            if not rewritten.blocking or rewritten.ended or rewritten.after > wanted:
                return
            if self._vain and self._loop.time() < self._due:
                # It does not hold requests back, whatever it says.
                return
            after = rewritten.after
            if self._poll is None:
                number, part = after
                query = f"_HLS_msn={number}" + (f"&_HLS_part={part}" if rewritten.parted else "")
                self._begin(self._load(0.0, query), holding=True)
            assert self._poll is not None
            held = self._holding
            await self._wait(self._poll)
            self._vain = held and self.version.rewritten.after == after
            if self._vain:
                return

    def _begin(self, work: Coroutine[Any, Any, None], *, holding: bool) -> "asyncio.Task[None]":
        if self._closed:
            work.close()
            raise EndOfStreamError(f"{redact(self.url)}: the channel was stopped")
        self._holding = holding
        self._poll = task = self._loop.create_task(work)
        task.add_done_callback(self._polled)
        return task

    def _polled(self, task: "asyncio.Task[None]") -> None:
        self._poll = None
        if not task.cancelled():
            task.exception()

    async def _wait(self, task: "asyncio.Task[None]") -> None:
        """The one poll for all. Where it fails, the version before serves for a while."""
        await asyncio.wait({task})
        if task.cancelled():
            raise EndOfStreamError(f"{redact(self.url)}: the channel was stopped")
        error = task.exception()
        if error is not None and (self._stale() or not isinstance(error, SourceError)):
            raise error

    def _stale(self) -> bool:
        return self.version is None or self._loop.time() - self._fresh_at > PATIENCE * max(self.reload_time, 1.0)

    # --- how ---

    async def _load(self, delay: float, query: str) -> None:
        if delay > 0:
            await asyncio.sleep(delay)
        try:
            async with self._turn or contextlib.nullcontext():
                await self._adopt(await self._ask(query), b"", pin=not query)
        except SourceError as error:
            self._error = error
            self._due = self._loop.time() + max(self.reload_time / 2, 0.5)
            self._owner.polled(0, news=False)
            raise

    async def _ask(self, query: str) -> "Reply":
        if self._pinned is not None:
            try:
                return await self._request(self._pinned, query)
            except SourceError:
                # What one host calls unchanged says nothing to another one.
                self._pinned, self._conditions = None, ()
        return await self._request(self.url, query)

    async def _request(self, url: str, query: str) -> "Reply":
        patience = None
        if query:
            url += f"{'&' if '?' in url else '?'}{query}"
            patience = self._failover.first_byte_timeout + PATIENCE * self.reload_time
        return await self._client.get(url, compressed=True, conditions=self._conditions, patience=patience)

    async def _adopt(self, reply: "Reply", head: bytes, *, pin: bool) -> None:
        polled_at = self._loop.time()
        try:
            body = await reply.read_all(PLAYLIST_LIMIT, self._failover.stall_timeout, head)
        except BaseException:
            await reply.abort()
            raise
        reply.done()
        size = len(body)
        if reply.compressed and body:
            body = decompress(body, PLAYLIST_LIMIT)
        news = reply.status != 304 and body != self._body
        if news:
            await self._rewrite(body, reply)
        self._fresh_at, self._error = polled_at, None
        if reply.redirected and pin:
            self._pinned = reply.url
        version = self.version.rewritten if self.version is not None else None
        over = version is not None and version.ended and not version.master
        full = version is None or version.master or news
        # RFC 8216 §6.3.4: half of it when nothing was new. Counted from the answer, so that it is true at the provider.
        self._due = inf if over else polled_at + max(self.reload_time / (1 if full else 2), _LEAST_PAUSE)
        quiet = version is None or version.master
        self._owner.polled(size, True if news or over else None if quiet else False)

    async def _rewrite(self, body: bytes, reply: "Reply") -> None:
        named: dict[tuple[Mention, str], str] = {}

        def name(mention: Mention) -> str:
            key = (mention, self._lives.of(mention))
            found = self._named.get(key)
            named[key] = found = self._namer.name(*key) if found is None else found
            return found

        text = body.decode("utf-8", "surrogateescape")
        try:
            rewriter = Rewriter(text, reply.url, name, self._lives.begin, self._variables, self._resolved)
            while rewriter.step(_STEP):  # noqa: ASYNC110  # others get their turn, nothing is waited for
                await asyncio.sleep(0)
            rewritten = rewriter.result()
        except FormatError as error:
            raise FormatError(f"{redact(reply.url)}: {error}") from None
        self._body, self._named, self._resolved = body, named, rewriter.resolved
        tags = (("If-None-Match", reply.header("ETag")), ("If-Modified-Since", reply.header("Last-Modified")))
        self._conditions = tuple((key, value) for key, value in tags if value)
        self.version = Version(rewritten)
        grace = max(LEAST_GRACE, 3 * rewritten.target, min(rewritten.duration, MOST_GRACE))
        self._owner.published(self, self.version, grace)
