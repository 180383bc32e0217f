"""Following a live playlist: which of its segments are new, and where they do not continue the ones before."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from fastrelay.hls.m3u8_model import Media, Segment

START_BACK = 3
"""A live list is joined this many segments from its end (RFC 8216 §6.3.3)."""

BEHIND_IN_ROW = 3
"""So many loads in a row may come from an edge of a CDN that lags behind the others. They are half a target duration
apart: the next one is the last before the source counts as stalled."""


@dataclass(frozen=True, slots=True)
class News:
    """What a reload brought. `lost`: how many segments were published and have gone without being seen.

    `restarted`: the server began a new list, of which nothing fetched so far is a part.
    """

    segments: tuple[Segment, ...]
    lost: int = 0
    restarted: bool = False


class Window:
    """The position in a playlist that is loaded again and again."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._known: dict[int, str] = {}
        self._behind = 0
        """Loads in a row that a lagging edge answered."""

    def update(self, media: Media) -> News:
        """Compare a newly loaded playlist with what is known and move to its end."""
        segments = media.segments
        if not segments:
            return News(())
        if self._next is None:
            return self._join(media, News(_start(media)))
        first, last = segments[0].sequence, segments[-1].sequence
        if last + 1 < self._next:
            return self._went_back(media)
        self._behind = 0
        if first > self._next:
            start = _start(media)
            return self._join(media, News(start, lost=start[0].sequence - self._next))
        return self._join(media, News(tuple(one for one in segments if one.sequence >= (self._next or 0))))

    def _went_back(self, media: Media) -> News:
        """An older list: a restarted server, or one edge of a CDN that lags behind the others.

        A lagging edge ends with a segment that is known. It may answer several times in a row, by chance or because the
        connection to it is kept; what was played is not played again for that, as long as it may still catch up.
        """
        last = media.segments[-1]
        known = self._known.get(last.sequence)
        lagging = known is not None and _name(known) == _name(last.uri)
        if lagging and self._behind < BEHIND_IN_ROW:
            self._behind += 1
            return News(())
        self._behind = 0
        return self._join(media, News(_start(media), restarted=True))

    def _join(self, media: Media, news: News) -> News:
        self._next = media.segments[-1].sequence + 1
        self._known = {one.sequence: one.uri for one in media.segments}
        return news


def _start(media: Media) -> tuple[Segment, ...]:
    """A finished list plays from its first segment, a live one from near its end."""
    return media.segments if media.ended else media.segments[-START_BACK:]


def _name(uri: str) -> str:
    """What stays the same of a segment's URI when each load signs it anew."""
    return urlsplit(uri).path
