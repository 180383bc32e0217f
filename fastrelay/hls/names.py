"""Opaque names for what a source's playlists mention: nobody can guess one, and the same thing keeps its name."""

from base64 import urlsafe_b64encode
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple
from urllib.parse import urlsplit


class Role(StrEnum):
    """What a playlist mentions something as."""

    PLAYLIST = "playlist"
    SEGMENT = "segment"
    INIT = "init"
    KEY = "key"
    DATA = "data"


class Mention(NamedTuple):
    """Something that a playlist mentions; `sequence` is the media sequence number of a segment of its own resource."""

    url: str
    role: Role
    sequence: int | None = None


_DIGEST_BYTES = 16
_EXTENSIONS = {Role.PLAYLIST: ".m3u8", Role.SEGMENT: ".ts", Role.INIT: ".mp4", Role.KEY: ".key", Role.DATA: ".json"}
"""Of what shows none of its own."""
# Players look at extensions: those of media are kept, as far as they are none that a browser would run.
_KEPT = frozenset(
    {
        *(".ts", ".m4s", ".mp4", ".m4v", ".m4a", ".cmfv", ".cmfa", ".cmft", ".aac", ".ac3", ".ec3", ".mp3"),
        *(".vtt", ".webvtt", ".ttml", ".key", ".jpg", ".jpeg", ".png", ".webp", ".json"),
    }
)


class Namer:
    """Names below one `scope`; a name of another scope or key is never one of these."""

    def __init__(self, key: bytes, scope: str) -> None:
        self._key = key
        self._scope = scope

    def name(self, mention: Mention, life: str = "") -> str:
        """The name of what is mentioned. `life` tells apart what one URL stands for over time (see `Lives`)."""
        text = "\n".join((self._scope, life, canonical(mention.url)))
        digest = blake2b(text.encode("utf-8", "surrogateescape"), digest_size=_DIGEST_BYTES, key=self._key).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode() + _extension(mention)


def canonical(url: str) -> str:
    """The URL with its query in the order of the keys: signing proxies shuffle it. Values of one key keep theirs."""
    before, mark, query = url.partition("#")[0].partition("?")
    return before + mark + "&".join(sorted(query.split("&"), key=lambda pair: pair.partition("=")[0]))


def _extension(mention: Mention) -> str:
    if mention.role is Role.PLAYLIST:
        return _EXTENSIONS[mention.role]
    last = urlsplit(mention.url).path.rpartition("/")[2].lower()
    dot = last.rfind(".")
    return last[dot:] if dot >= 0 and last[dot:] in _KEPT else _EXTENSIONS[mention.role]


class Lives:
    """What a URL stands for in one playlist, over its reloads.

    Encoders that write into a fixed set of files reuse their URLs: the same one later is another segment, and must not
    get the name, and with it the cached bytes, of the first. A segment's life is the sequence number at which its URL
    appeared; it goes on as long as the playlist goes on listing it there. (A slate that is listed again and again, at
    one number after the other, is one resource and keeps its name.)
    """

    def __init__(self) -> None:
        self._before: dict[str, tuple[int, int]] = {}
        self._now: dict[str, tuple[int, int]] = {}
        self._epoch = 0
        self._first = 0
        self._count = 0

    def begin(self, first: int) -> None:
        """A new version of the playlist, whose media sequence number is `first`."""
        # Back by more than all that was listed: the encoder began anew, and may write the same names again.
        if first + self._count < self._first:
            self._epoch += 1
        self._before, self._now = self._now, {}
        self._first, self._count = first, 0

    def of(self, mention: Mention) -> str:
        """The life of what this version mentions."""
        if mention.role is Role.PLAYLIST:
            return ""
        if mention.sequence is None:
            return f"{self._epoch}"
        self._count += 1
        start, _ = self._now.get(mention.url) or self._continued(mention.url, mention.sequence)
        self._now[mention.url] = (start, mention.sequence)
        return f"{self._epoch} {start}"

    def _continued(self, url: str, sequence: int) -> tuple[int, int]:
        before = self._before.get(url)
        return before if before is not None and sequence <= before[1] else (sequence, sequence)
