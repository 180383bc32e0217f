"""What viewers of one stream's HLS fetch, as answers that are ready to be sent: rendered once per change."""

import gzip
from dataclasses import dataclass

from fastrelay.hls.playlist import with_query
from fastrelay.wire.response import Headers, Response

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
CORS: Headers = (("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", "*"))
"""Players in web pages of any origin may fetch, and read lengths, ranges and dates of what they got."""

QUERIES_KEPT = 64
"""Renderings of one playlist state: viewers share the stream's token, but each signed URL has a query of its own."""

_IMMUTABLE: Headers = (("Cache-Control", "public, max-age=31536000, immutable"), ("Accept-Ranges", "bytes"), *CORS)
_REVALIDATE: Headers = (("Cache-Control", "no-cache"), ("Vary", "Accept-Encoding"), *CORS)


@dataclass(frozen=True, slots=True)
class Rendering:
    """A playlist in one content coding: the whole, and the answer to who has it."""

    etag: str
    whole: Response
    unchanged: Response


class Playlist:
    """One state of a media playlist; `tag` is different for each."""

    def __init__(self, text: bytes, tag: str) -> None:
        self.text = text
        self._tag = tag
        self._rendered: dict[tuple[str, bool], Rendering] = {}

    def rendering(self, query: str, packed: bool) -> Rendering:
        """With `query` behind what it names, for who was let in by it; gzipped where that is wanted."""
        found = self._rendered.get((query, packed))
        if found is None:
            if len(self._rendered) >= QUERIES_KEPT:
                self._rendered.clear()
            found = self._rendered[query, packed] = self._render(query, packed)
        return found

    def _render(self, query: str, packed: bool) -> Rendering:
        body = with_query(self.text, query)
        # Other bytes are another representation, which a strong tag must tell apart (RFC 9110 §8.8.3.3).
        etag = f'"{self._tag}-gzip"' if packed else f'"{self._tag}"'
        headers: Headers = (*_REVALIDATE, ("ETag", etag))
        unchanged = Response(304, b"", "", headers)
        if packed:
            body, headers = gzip.compress(body, 6, mtime=0), (*headers, ("Content-Encoding", "gzip"))
        return Rendering(etag, Response(200, body, PLAYLIST_TYPE, headers), unchanged)


def segment_answer(name: int, data: bytes) -> Response:
    """The whole segment, with the entity tag of `segment_etag`."""
    return Response(200, data, "video/mp2t", (*_IMMUTABLE, ("ETag", segment_etag(name))))


def segment_etag(name: int) -> str:
    """A name never names other bytes, so it is as good an entity tag as a hash of them."""
    return f'"{name}"'
