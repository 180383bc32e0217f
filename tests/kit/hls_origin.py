"""An HLS provider: a live window over segments that moves by the clock, with the faults providers have.

    channel = HlsChannel(coded_segments(PositionCoded(gop=2), 2.0))
    url = channel.mount(origin, "/hls")
    channel.frozen = True  # from now on, the playlist does not change

A finished list of real media is served as it is by `behaviours.folder`, or as a live one by
`HlsChannel(listed_segments(media("hevc/index.m3u8")))`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from tests.kit.behaviours import TYPES, body, redirect, status
from tests.kit.origin import Exchange, Origin
from tests.kit.position_coded import FRAMES_PER_PSI, FRAMES_PER_SECOND, PositionCoded

PLAYLIST = TYPES[".m3u8"]


@dataclass(frozen=True)
class Segment:
    data: bytes
    duration: float
    discontinuity: bool = False
    gap: bool = False


Segments = Callable[[int], Segment]
"""The segment with a number, from 0 on, without end."""


def coded_segments(source: PositionCoded, seconds: float, start: float = 0.0) -> Segments:
    """Segments of `seconds` of a position-coded source; together they are the source without a hole.

    Each starts with PAT and PMT, then a key frame: `start` and `seconds` must be multiples of the gop and of 80 ms.
    """
    frames, first = round(seconds * FRAMES_PER_SECOND), round(start * FRAMES_PER_SECOND)
    for name, count in (("seconds", frames), ("start", first)):
        if count % source.gop_frames or count % FRAMES_PER_PSI:
            raise ValueError(f"{name}: no key frame with PAT and PMT there")

    def segment(index: int) -> Segment:
        begin = source.frame_start(first + index * frames)
        end = source.frame_start(first + (index + 1) * frames)
        return Segment(source.packets(end - begin, begin), seconds)

    return segment


def listed_segments(playlist: Path) -> Segments:
    """The segments of a media playlist on disk over and over, with a discontinuity where it begins again."""
    found: list[Segment] = []
    duration, size, discontinuity, gap, offset = 0.0, 0, False, False, 0
    for line in playlist.read_text().splitlines():
        name, _, value = line.strip().partition(":")
        if name == "#EXTINF":
            duration = float(value.split(",")[0])
        elif name == "#EXT-X-BYTERANGE":
            length, _, at = value.partition("@")
            size, offset = int(length), int(at) if at else offset
        elif name in ("#EXT-X-DISCONTINUITY", "#EXT-X-GAP"):
            discontinuity, gap = discontinuity or name.endswith("ITY"), gap or name.endswith("GAP")
        elif line.strip() and not line.startswith("#"):
            file = playlist.parent / line.strip()
            data = b"" if gap else file.read_bytes()
            found.append(Segment(data[offset : offset + size] if size else data, duration, discontinuity, gap))
            offset, size, discontinuity, gap = offset + size, 0, False, False

    def segment(index: int) -> Segment:
        turn, at = divmod(index, len(found))
        one = found[at]
        return Segment(one.data, one.duration, one.discontinuity or (turn > 0 and at == 0), one.gap)

    return segment


@dataclass
class HlsChannel:
    """A channel; all of its fields but `segments` may be changed while it runs.

    `window` segments are listed, the newest one complete at this moment; time runs `speed` times as fast as the clock.
    """

    segments: Segments
    window: int = 5
    speed: float = 1.0
    first_sequence: int = 0
    frozen: bool = False
    """The playlist stays as it is: a stalled encoder."""
    ended: bool = False
    """EXT-X-ENDLIST, and nothing new."""
    missing_edge: int = 0
    """So many requests for the newest segment are answered 404 before it is there."""
    lost: set[int] = field(default_factory=set)
    """Segments (by index) that are listed but answered 404."""
    gaps: set[int] = field(default_factory=set)
    """Segments that are listed as EXT-X-GAP and do not exist."""
    discontinuities: set[int] = field(default_factory=set)
    """Segments with EXT-X-DISCONTINUITY in front, besides those that `segments` says."""
    key: bytes | None = None
    """AES-128 for all segments."""
    explicit_iv: bool = True
    """Name the IV in EXT-X-KEY; else it is the media sequence number (RFC 8216 §5.2)."""
    ranged: int = 0
    """So many segments share one file, as byte ranges of it; only the first listed one of a file has an offset."""
    absolute: bool = False
    gzipped: bool = False

    def __post_init__(self) -> None:
        self._started = time.monotonic()
        self._stopped_at: int | None = None
        self._shift = 0
        self._edge_refusals: dict[int, int] = {}
        self._durations: list[float] = []

    def mount(self, origin: Origin, path: str) -> str:
        """Serve under `path`: playlist.m3u8, master.m3u8, moved.m3u8 (redirects). The URL of the playlist."""
        self._base = origin.url(path)
        self._started = time.monotonic()
        origin.route(f"{path}/", self._serve)
        return f"{self._base}/playlist.m3u8"

    @property
    def newest(self) -> int:
        """Index of the newest segment that is listed."""
        if self._stopped_at is None or not (self.frozen or self.ended):
            self._stopped_at = self._newest_by_clock()
        return self._stopped_at

    def reset_sequence(self, to: int = 0) -> None:
        """The encoder starts anew: from now on, the first listed segment has media sequence number `to`."""
        self._shift = to - self.first_sequence - max(0, self.newest - self.window + 1)

    def sequence(self, index: int) -> int:
        """Media sequence number of a segment."""
        return index + self.first_sequence + self._shift

    def playlist(self) -> str:
        listed = range(max(0, self.newest - self.window + 1), self.newest + 1)
        longest = max(self._duration(index) for index in listed)
        lines = ["#EXTM3U", "#EXT-X-VERSION:4", f"#EXT-X-TARGETDURATION:{round(longest + 0.499)}"]
        lines.append(f"#EXT-X-MEDIA-SEQUENCE:{self.sequence(listed[0])}")
        before = sum(self._starts_anew(index) for index in range(listed[0]))
        lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{before}")
        if self.key and not self.explicit_iv:
            lines.append('#EXT-X-KEY:METHOD=AES-128,URI="key.bin"')
        for index in listed:
            lines += self._entry(index, first=index == listed[0])
        return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if self.ended else []), ""])

    def _newest_by_clock(self) -> int:
        """The first window is there at the start; then a segment comes each time one's duration has passed."""
        media = (time.monotonic() - self._started) * self.speed
        while sum(self._durations) <= media:
            self._durations.append(self._duration(self.window + len(self._durations)))
        return self.window - 1 + sum(end <= media for end in accumulate(self._durations))

    def _duration(self, index: int) -> float:
        return self.segments(index).duration

    def _starts_anew(self, index: int) -> bool:
        return index in self.discontinuities or self.segments(index).discontinuity

    def _entry(self, index: int, *, first: bool) -> list[str]:
        segment, lines = self.segments(index), []
        if self._starts_anew(index):
            lines.append("#EXT-X-DISCONTINUITY")
        if self.key and self.explicit_iv:
            lines.append(f'#EXT-X-KEY:METHOD=AES-128,URI="key.bin",IV=0x{self._iv(index).hex()}')
        if segment.gap or index in self.gaps:
            lines.append("#EXT-X-GAP")
        lines.append(f"#EXTINF:{segment.duration:.3f},")
        name = f"segment{index}.ts"
        if self.ranged:
            group = index - index % self.ranged
            offset = sum(len(self._bytes(before)) for before in range(group, index))
            lines.append(f"#EXT-X-BYTERANGE:{len(self._bytes(index))}" + (f"@{offset}" if first or not offset else ""))
            name = f"group{group}.ts"
        return [*lines, f"{self._base}/{name}" if self.absolute else name]

    def _iv(self, index: int) -> bytes:
        number = 0x1234 + index if self.explicit_iv else self.sequence(index)
        return number.to_bytes(16, "big")

    def _bytes(self, index: int) -> bytes:
        """A segment as it goes over the wire."""
        data = self.segments(index).data
        if self.key is None:
            return data
        padder = PKCS7(128).padder()
        encryptor = Cipher(algorithms.AES(self.key), modes.CBC(self._iv(index))).encryptor()
        return encryptor.update(padder.update(data) + padder.finalize()) + encryptor.finalize()

    async def _serve(self, exchange: Exchange) -> None:
        name = exchange.path.rsplit("/", 1)[1]
        if name == "playlist.m3u8":
            answer = body(self.playlist().encode(), PLAYLIST, gzipped=self.gzipped)
        elif name == "master.m3u8":
            master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=4000000\nplaylist.m3u8\n"
            answer = body(master.encode(), PLAYLIST)
        elif name == "moved.m3u8":
            answer = redirect(f"{self._base}/playlist.m3u8")
        elif name == "key.bin" and self.key:
            answer = body(self.key, "application/octet-stream")
        elif name.startswith("group") and self.ranged:
            group = int(name[5:-3])
            answer = body(b"".join(self._bytes(index) for index in range(group, group + self.ranged)))
        elif name.startswith("segment") and self._is_there(int(name[7:-3])):
            answer = body(self._bytes(int(name[7:-3])))
        else:
            answer = status(404)
        await answer(exchange)

    def _is_there(self, index: int) -> bool:
        """Segments stay a while after they left the window: half of it."""
        oldest = self.newest - self.window - self.window // 2
        if index in self.lost | self.gaps or self.segments(index).gap or not oldest < index <= self.newest:
            return False
        refused = self._edge_refusals.get(index, 0)
        if index == self.newest and refused < self.missing_edge:
            self._edge_refusals[index] = refused + 1
            return False
        return True
