"""Master and media playlists as bytes (RFC 8216 §4.3)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from fastrelay.hls.segment import Segment
from fastrelay.mpegts.opening import Opening


@dataclass(frozen=True)
class Entry:
    """A segment as a playlist lists it."""

    segment: Segment
    name: int
    """Its resource is called `segment_{name}.ts`."""
    sequence: int
    """Media sequence number (§3)."""
    discontinuity_sequence: int
    """The number of its part between two discontinuities (§6.2.2)."""
    discontinuity: bool
    """Its lines begin with EXT-X-DISCONTINUITY."""
    date: float | None
    """Unix time of its first picture, in seconds; None for no EXT-X-PROGRAM-DATE-TIME."""

    @cached_property
    def lines(self) -> bytes:
        """Its lines in every playlist it is in: written once."""
        lines = ["#EXT-X-DISCONTINUITY"] if self.discontinuity else []
        if self.date is not None:
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{_date(self.date)}")
        lines += [f"#EXTINF:{self.segment.duration:.6f},", f"segment_{self.name}.ts", ""]
        return "\n".join(lines).encode()


@dataclass(frozen=True, slots=True)
class Head:
    """What holds for all of a media playlist."""

    target: int
    independent: bool
    ended: bool = False
    finished: bool = False
    """It is complete from its first segment on and will never change (EXT-X-PLAYLIST-TYPE:VOD)."""


def media_playlist(head: Head, entries: Iterable[Entry]) -> bytes:
    """The playlist of these segments; empty for none."""
    listed = tuple(entries)
    if not listed:
        return b""
    first = listed[0]
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:3",
        f"#EXT-X-TARGETDURATION:{head.target}",
        f"#EXT-X-MEDIA-SEQUENCE:{first.sequence}",
        # The number of the part before the first line: that line's own EXT-X-DISCONTINUITY is still to be counted.
        f"#EXT-X-DISCONTINUITY-SEQUENCE:{first.discontinuity_sequence - first.discontinuity}",
    ]
    if head.finished:
        lines.append("#EXT-X-PLAYLIST-TYPE:VOD")
    if head.independent:
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    tail = b"#EXT-X-ENDLIST\n" if head.ended else b""
    return b"".join(["\n".join([*lines, ""]).encode(), *[entry.lines for entry in listed], tail])


def with_query(playlist: bytes, query: str) -> bytes:
    """The playlist with `?query` behind every URI it names; `query` is percent-encoded already."""
    return playlist.replace(b".ts\n", f".ts?{query}\n".encode()) if query else playlist


def master_playlist(opening: Opening, bandwidth: tuple[int, int], uri: str) -> bytes:
    """A playlist of one variant: `bandwidth` are its peak and average bits per second, `uri` its media playlist."""
    peak, average = bandwidth
    attributes = [f"BANDWIDTH={peak}", f"AVERAGE-BANDWIDTH={average}"]
    if opening.codecs:
        attributes.append(f'CODECS="{",".join(opening.codecs)}"')
    if opening.resolution:
        attributes.append("RESOLUTION={}x{}".format(*opening.resolution))
    if opening.frame_rate:
        attributes.append(f"FRAME-RATE={opening.frame_rate:.3f}")
    return f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-STREAM-INF:{','.join(attributes)}\n{uri}\n".encode()


def _date(seconds: float) -> str:
    """ISO 8601 with milliseconds (§4.3.2.6)."""
    return datetime.fromtimestamp(round(seconds, 3), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
