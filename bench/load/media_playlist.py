"""What an HLS player reads in a playlist (RFC 8216 §4.3): only what decides what it does next."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Segment:
    number: int
    uri: str
    seconds: float
    discontinuity: bool


@dataclass(frozen=True)
class MediaPlaylist:
    target: float
    """EXT-X-TARGETDURATION in seconds."""
    segments: tuple[Segment, ...]
    ended: bool


def read_master(text: str) -> str | None:
    """URI of the first variant: a player without an opinion begins there. None when it is no master playlist."""
    lines = _lines(text)
    for place, line in enumerate(lines):
        if line.startswith("#EXT-X-STREAM-INF:"):
            return next((uri for uri in lines[place + 1 :] if not uri.startswith("#")), None)
    return None


def read_media(text: str) -> MediaPlaylist:
    """Raises ValueError for what is no media playlist."""
    target, number, seconds, ended, broken = 0.0, 0, 0.0, False, False
    segments: list[Segment] = []
    for line in _lines(text):
        tag, _, value = line.partition(":")
        if tag == "#EXT-X-TARGETDURATION":
            target = float(value)
        elif tag == "#EXT-X-MEDIA-SEQUENCE":
            number = int(value)
        elif tag == "#EXTINF":
            seconds = float(value.partition(",")[0])
        elif tag == "#EXT-X-DISCONTINUITY":
            broken = True
        elif tag == "#EXT-X-ENDLIST":
            ended = True
        elif not line.startswith("#"):
            segments.append(Segment(number + len(segments), line, seconds, broken))
            broken = False
    if not target:
        raise ValueError("a playlist without EXT-X-TARGETDURATION")
    return MediaPlaylist(target, tuple(segments), ended)


def _lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    if not lines or lines[0] != "#EXTM3U":
        raise ValueError(f"no playlist: it begins with {text[:40]!r}")
    return [line for line in lines[1:] if line]
