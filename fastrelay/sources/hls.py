"""An HLS playlist played as one transport stream: whole segments, in order, as they are published."""

import asyncio
from collections import deque

from fastrelay.config import Failover
from fastrelay.errors import FormatError, HttpStatusError, SourceError, SourceRefusedError, StallError
from fastrelay.hls.m3u8 import Master, Media
from fastrelay.hls.m3u8_model import Segment
from fastrelay.hls.variants import best_variant
from fastrelay.hls.window import Window
from fastrelay.sources.base import Chunk
from fastrelay.sources.hls_fetch import SegmentFetcher, read_playlist
from fastrelay.sources.http import HttpClient
from fastrelay.sources.http_reply import Reply
from fastrelay.wire.source_url import redact

PATIENCE = 3
"""Target durations without a new segment after which a live list has stalled."""

_FAILED_IN_ROW = 3
"""Segments in a row that may be skipped for failing; then the source has failed."""

_LEAST_PAUSE = 0.1
"""Seconds between two requests for the same thing, whatever target duration a playlist claims."""


async def open_hls(client: HttpClient, url: str, reply: Reply, head: bytes, failover: Failover) -> "HlsSource":
    """The source behind a playlist answered at `url`, with its first segment fetched and known to be MPEG-TS.

    Raises SourceError; the caller closes the client then.
    """
    started = asyncio.get_running_loop().time()
    playlist = await read_playlist(reply, head, failover)
    if isinstance(playlist, Master):
        url = best_variant(playlist).uri
        playlist = await _load(client, url, failover)
    if isinstance(playlist, Master):
        raise FormatError(f"{redact(url)}: a master playlist inside a master playlist")
    source = HlsSource(client, url, playlist, started, failover)
    await source.prepare()
    return source


async def _load(client: HttpClient, url: str, failover: Failover) -> Master | Media:
    reply = await client.get(url, compressed=True)
    try:
        return await read_playlist(reply, b"", failover)
    except BaseException:
        await reply.abort()
        raise


class HlsSource:
    """Reads a media playlist. Nothing runs but inside `read`: it reloads the list when due and fetches what is next."""

    kind = "hls"
    paced = True

    def __init__(self, client: HttpClient, url: str, media: Media, loaded_at: float, failover: Failover) -> None:
        self.lost = 0
        self._client = client
        self._url = url
        self._failover = failover
        self._fetcher = SegmentFetcher(client, failover)
        self._loop = asyncio.get_running_loop()
        self._window = Window()
        self._waiting: deque[Segment] = deque()
        self._prepared: Chunk | None = None
        self._delivered = False
        self._broken = False
        """What comes next does not continue what was delivered last."""
        self._previous: int | None = None
        self._failed_in_row = 0
        self._trouble: SourceError | None = None
        """Why the last request failed, until one succeeds."""
        self._media = media
        self._reload_at = self._changed_at = loaded_at
        """Loop times at which the playlist is due, and at which it last brought something new."""
        self._adopt(media, loaded_at)

    async def prepare(self) -> None:
        """Fetch the first segment, so that what the source is stands before anyone relies on it."""
        self._prepared = await self.read()
        if self._prepared is None:
            raise self._trouble or FormatError(f"{redact(self._url)}: the finished playlist has no segment to play")

    @property
    def target_duration(self) -> float:
        """Seconds, as the playlist last said."""
        return self._media.target_duration

    async def read(self) -> Chunk | None:
        """The next segment, whole; None at the end of a finished list.

        Raises StallError when there is no new segment for 3 target durations, or why the requests failed until then.
        """
        if self._prepared is not None:
            prepared, self._prepared = self._prepared, None
            return prepared
        try:
            async with asyncio.timeout(self._patience()):
                return await self._next()
        except TimeoutError:
            raise self._stalled() from None

    def gather(self, seconds: float, size: int) -> None:
        """See Source: a chunk is a whole segment."""

    async def close(self) -> None:
        await self._client.close()

    async def _next(self) -> Chunk | None:
        while True:
            if not self._media.ended and (not self._waiting or self._loop.time() >= self._reload_at):
                await self._reload()
            if self._waiting:
                chunk = await self._take(self._waiting.popleft())
                if chunk is not None:
                    return chunk
            elif self._media.ended:
                return None
            elif self._loop.time() - self._changed_at >= self._patience():
                raise self._stalled()

    def _patience(self) -> float:
        return PATIENCE * self._pause(1)

    def _stalled(self) -> SourceError:
        text = f"{redact(self._url)}: no new segment for {PATIENCE} target durations ({self._patience():g} s)"
        return self._trouble or StallError(text)

    # --- the playlist ---

    async def _reload(self) -> None:
        """Load the list again when it is due. A failing request is repeated: the reader's patience is the limit."""
        await asyncio.sleep(self._reload_at - self._loop.time())
        started = self._loop.time()
        try:
            media = await _load(self._client, self._url, self._failover)
        except (SourceRefusedError, FormatError):
            raise
        except SourceError as error:
            self._trouble = error
            self._reload_at = started + self._pause(2)
            return
        if isinstance(media, Master):
            raise FormatError(f"{redact(self._url)}: the media playlist turned into a master playlist")
        self._adopt(media, started)

    def _adopt(self, media: Media, loaded_at: float) -> None:
        news = self._window.update(media)
        for segment in news.segments:
            _check_playable(segment, media, self._url)
        changed = bool(news.segments) or media.ended
        # RFC 8216 §6.3.4: counted from the start of the last load; half of it when nothing was new.
        self._media = media
        self._reload_at = loaded_at + self._pause(1 if changed else 2)
        if changed:
            self._changed_at, self._trouble = loaded_at, None
        if news.restarted:
            self._waiting.clear()
            self._broken = True
        self.lost += news.lost
        self._waiting.extend(news.segments)

    def _pause(self, part: int) -> float:
        """Seconds: one `part`th of the target duration."""
        return max(self._media.target_duration / part, _LEAST_PAUSE)

    # --- the segments ---

    async def _take(self, segment: Segment) -> Chunk | None:
        """The segment as a chunk, or None when it had to be skipped."""
        continues = self._previous is None or segment.sequence == self._previous + 1
        self._previous = segment.sequence
        if segment.discontinuity or not continues:
            self._broken = True
        if segment.gap:
            self._skip()
            return None
        try:
            data = await self._fetch(segment)
        except SourceRefusedError:
            raise
        except SourceError as error:
            self._trouble = error
            self._failed_in_row += 1
            missing = isinstance(error, HttpStatusError)
            if self._failed_in_row >= _FAILED_IN_ROW or not (self._delivered or missing):
                raise
            self._skip()
            return None
        chunk = Chunk(data, discontinuity=self._broken and self._delivered)
        self._delivered, self._broken, self._trouble, self._failed_in_row = True, False, None, 0
        return chunk

    def _skip(self) -> None:
        self.lost += 1
        self._broken = True

    async def _fetch(self, segment: Segment) -> bytes:
        """Fetch with the repeats that the failure deserves; raises the last failure.

        Missing at the live edge: the list ran ahead of its segments, so wait for it, up to a target duration. Missing
        further back: it has left the window, and no waiting brings it back. Everything else: once or twice more.
        """
        patience = self._loop.time() + self._media.target_duration
        repeats = 2 if self._delivered else 1
        while True:
            try:
                return await self._fetcher.fetch(segment)
            except (SourceRefusedError, FormatError):
                raise
            except SourceError as error:
                if isinstance(error, HttpStatusError) and error.status < 500:
                    again = self._at_edge(segment) and self._loop.time() < patience
                else:
                    repeats -= 1
                    again = repeats >= 0
                if not again:
                    raise
            await asyncio.sleep(self._pause(8))

    def _at_edge(self, segment: Segment) -> bool:
        last = self._media.segments[-1].sequence if self._media.segments else segment.sequence
        return not self._media.ended and segment.sequence >= last


def _check_playable(segment: Segment, media: Media, url: str) -> None:
    """Raises FormatError for what cannot become one transport stream without being taken apart."""
    only = "only the HLS passthrough can relay it"
    if segment.init is not None:
        raise FormatError(f"{redact(url)}: the segments are fragmented MP4 (EXT-X-MAP), {only}")
    if media.i_frames_only:
        raise FormatError(f"{redact(url)}: a playlist of I-frames for trick play, not a stream")
    if segment.key is not None and segment.key.method != "AES-128":
        raise FormatError(f"{redact(url)}: the segments are encrypted with {segment.key.method}, {only}")
    if segment.key is not None and segment.key.keyformat != "identity":
        raise FormatError(f"{redact(url)}: the segments' keys belong to a DRM system, {only}")
