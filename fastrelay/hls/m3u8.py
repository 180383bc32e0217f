"""HLS playlists of other people, read (RFC 8216): tolerant where the meaning is clear, an error where it is not.

Numbers that cannot be read have a safe stand-in (a duration: the target duration). What would make us fetch wrong
bytes is refused: a byte range that continues nothing, a key without address, an IV that is no number.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from urllib.parse import urljoin

from fastrelay.hls.lexis import BYTE_RANGE, LINE_END, PlaylistError, attributes, from_beginning, integer, seconds
from fastrelay.hls.m3u8_model import InitSection, Key, Master, Media, Rendition, Segment, Span, Variant

__all__ = [
    "InitSection",
    "Key",
    "Master",
    "Media",
    "Parser",
    "PlaylistError",
    "Rendition",
    "Segment",
    "Span",
    "Variant",
    "parse",
]


def parse(text: str, base_url: str) -> Master | Media:
    """Read a playlist; URIs are resolved against `base_url`, the URL it finally came from.

    Raises PlaylistError, and nothing else, whatever the text is.
    """
    parser = Parser(text, base_url)
    while parser.step(1000):
        pass
    return parser.result()


_RESOLUTION = re.compile(r"([0-9]{1,5})[xX]([0-9]{1,5})")
_IV = re.compile(r"0[xX]([0-9A-Fa-f]{1,32})")


def _date(text: str) -> datetime | None:
    try:
        date = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def _lines(text: str) -> Iterator[str]:
    start = 0
    for end in LINE_END.finditer(text):
        yield text[start : end.start()]
        start = end.end()
    yield text[start:]


class Parser:
    """`parse` in steps, for lists so long that others must have their turn in between.

    Takes the lines one by one. What tags say of the next segment waits in `_next_*` until its URI comes. Raises
    PlaylistError, and nothing else, whatever the text is.
    """

    def __init__(self, text: str, base_url: str) -> None:
        self._steps = self._read(from_beginning(text))
        self._base_url = base_url
        self._segments: list[Segment] = []
        self._unknown_durations: list[int] = []
        self._skipped = 0
        self._target: float | None = None
        self._longest = 0.0
        self._media_sequence = 0
        self._discontinuity_sequence = 0
        self._ended = False
        self._i_frames_only = False
        self._variants: list[Variant] = []
        self._renditions: list[Rendition] = []
        self._i_frame_variants: list[Variant] = []
        self._keys: dict[str, Key] = {}
        self._init: InitSection | None = None
        self._range_ends: dict[str, int] = {}
        self._saw_target = self._saw_extinf = self._saw_negative = False
        self._next_variant: dict[str, str] | None = None
        self._clear_next()

    def _clear_next(self) -> None:
        self._next_duration: float | None = None
        self._next_discontinuity = False
        self._next_gap = False
        self._next_range: str | None = None
        self._next_date: datetime | None = None

    def step(self, count: int) -> bool:
        """Take up to `count` more lines, or complete as many segments; False when there are no more."""
        return sum(1 for _ in islice(self._steps, count)) == count

    def _read(self, text: str) -> Iterator[None]:
        for line in _lines(text):
            self._take(line.strip())
            yield
        # What holds for all of them may come after the first ones.
        target, unknown = self._target_duration, set(self._unknown_durations)
        for index, one in enumerate(self._segments):
            self._segments[index] = Segment(
                one.uri,
                target if index in unknown else one.duration,
                self._media_sequence + one.sequence,
                *(one.discontinuity, one.gap, one.span, one.key, one.init, one.program_date_time),
            )
            yield

    @property
    def _target_duration(self) -> float:
        return self._target or max(self._longest, 1.0)

    def _take(self, line: str) -> None:
        if line.startswith("#EXT"):
            tag, _, value = line.partition(":")
            handle = _TAGS.get(tag.rstrip())
            if handle is not None:
                handle(self, value)
        elif line and not line.startswith("#"):
            self._uri(line)

    def result(self) -> Master | Media:
        """The whole playlist, after the last step."""
        master = bool(self._variants or self._i_frame_variants or self._renditions)
        if master and self._saw_extinf:
            raise PlaylistError("the playlist names both variants and segments, so it is neither master nor media")
        if master:
            return Master(tuple(self._variants), tuple(self._renditions), tuple(self._i_frame_variants))
        if not self._saw_target and self._saw_negative:
            raise PlaylistError("this is a list of channels, not an HLS playlist")
        if not self._saw_target and not self._saw_extinf:
            raise PlaylistError("the playlist names neither segments nor variants")
        return self._media()

    def _media(self) -> Media:
        return Media(
            segments=tuple(self._segments),
            target_duration=self._target_duration,
            media_sequence=self._media_sequence,
            discontinuity_sequence=self._discontinuity_sequence,
            ended=self._ended,
            i_frames_only=self._i_frames_only,
        )

    def _absolute(self, uri: str) -> str:
        try:
            return urljoin(self._base_url, uri.strip())
        except ValueError:
            raise PlaylistError("the playlist names a URI that is not valid") from None

    def _uri(self, line: str) -> None:
        uri = self._absolute(line)
        if self._next_variant is not None:
            self._variants.append(self._variant(self._next_variant, uri))
            self._next_variant = None
            return
        if self._next_duration is None:
            self._unknown_durations.append(len(self._segments))
        self._segments.append(
            Segment(
                uri=uri,
                duration=self._next_duration or 0.0,
                sequence=len(self._segments) + self._skipped,
                discontinuity=self._next_discontinuity,
                gap=self._next_gap,
                span=self._span(uri),
                key=self._keys.get("identity") or next(iter(self._keys.values()), None),
                init=self._init,
                program_date_time=self._next_date,
            )
        )
        self._clear_next()

    def _span(self, uri: str) -> Span | None:
        """EXT-X-BYTERANGE (§4.3.2.2): without an offset it continues the range before it of the same resource."""
        if self._next_range is None:
            self._range_ends.pop(uri, None)
            return None
        match = BYTE_RANGE.fullmatch(self._next_range)
        offset = int(match[2]) if match and match[2] else self._range_ends.get(uri)
        if match is None or not int(match[1]):
            raise PlaylistError("the playlist has a byte range that is not a length with an offset")
        if offset is None:
            raise PlaylistError("the playlist has a byte range without an offset and nothing before it to continue")
        self._range_ends[uri] = offset + int(match[1])
        return offset, int(match[1])

    def _variant(self, found: dict[str, str], uri: str) -> Variant:
        size = _RESOLUTION.fullmatch(found.get("RESOLUTION", ""))
        codecs = (codec.strip() for codec in found.get("CODECS", "").split(","))
        return Variant(
            uri=uri,
            bandwidth=integer(found.get("BANDWIDTH", "")) or 0,
            codecs=tuple(codec for codec in codecs if codec),
            resolution=(int(size[1]), int(size[2])) if size else None,
            audio=found.get("AUDIO"),
        )

    # --- one method for each tag that matters, in the order of the RFC ---

    def _extinf(self, value: str) -> None:
        duration = seconds(value)
        self._saw_extinf = True
        self._saw_negative |= duration is not None and duration < 0
        self._next_duration = duration if duration is not None and duration >= 0 else None
        self._longest = max(self._longest, self._next_duration or 0.0)

    def _byterange(self, value: str) -> None:
        self._next_range = value.strip()

    def _discontinuity(self, _value: str) -> None:
        self._next_discontinuity = True

    def _key(self, value: str) -> None:
        found = attributes(value)
        method, keyformat = found.get("METHOD", "").upper(), found.get("KEYFORMAT", "identity")
        if method == "NONE":
            self._keys.clear()
            return
        if not method or not found.get("URI"):
            raise PlaylistError("the playlist has an EXT-X-KEY without METHOD or URI")
        iv = _IV.fullmatch(found["IV"]) if "IV" in found else None
        if "IV" in found and iv is None:
            raise PlaylistError("the playlist has an EXT-X-KEY whose IV is not a hexadecimal number of 128 bits")
        vector = int(iv[1], 16).to_bytes(16, "big") if iv else None
        self._keys[keyformat] = Key(method, self._absolute(found["URI"]), vector, keyformat)

    def _map(self, value: str) -> None:
        found = attributes(value)
        if not found.get("URI"):
            raise PlaylistError("the playlist has an EXT-X-MAP without URI")
        match = BYTE_RANGE.fullmatch(found["BYTERANGE"].strip()) if "BYTERANGE" in found else None
        if "BYTERANGE" in found and match is None:
            raise PlaylistError("the playlist has an EXT-X-MAP whose BYTERANGE is not a length with an offset")
        span = (int(match[2] or 0), int(match[1])) if match else None
        self._init = InitSection(self._absolute(found["URI"]), span)

    def _program_date_time(self, value: str) -> None:
        self._next_date = _date(value)

    def _gap(self, _value: str) -> None:
        self._next_gap = True

    def _skip(self, value: str) -> None:
        self._skipped += integer(attributes(value).get("SKIPPED-SEGMENTS", "")) or 0

    def _targetduration(self, value: str) -> None:
        target = seconds(value)
        self._saw_target = True
        self._target = target if target is not None and target > 0 else self._target

    def _sequence(self, value: str) -> None:
        number = integer(value)
        self._media_sequence = number if number is not None else self._media_sequence

    def _discontinuities(self, value: str) -> None:
        number = integer(value)
        self._discontinuity_sequence = number if number is not None else self._discontinuity_sequence

    def _endlist(self, _value: str) -> None:
        self._ended = True

    def _i_frames(self, _value: str) -> None:
        self._i_frames_only = True

    def _rendition(self, value: str) -> None:
        found = attributes(value)
        self._renditions.append(
            Rendition(
                kind=found.get("TYPE", "").upper(),
                group=found.get("GROUP-ID", ""),
                name=found.get("NAME", ""),
                language=found.get("LANGUAGE"),
                uri=self._absolute(found["URI"]) if found.get("URI") else None,
                default=found.get("DEFAULT") == "YES",
            )
        )

    def _stream_inf(self, value: str) -> None:
        self._next_variant = attributes(value)

    def _i_frame_stream_inf(self, value: str) -> None:
        found = attributes(value)
        if found.get("URI"):
            self._i_frame_variants.append(self._variant(found, self._absolute(found["URI"])))


# Tags that are not here (low latency parts, date ranges, where to start, …) change nothing of what is read.
_TAGS: dict[str, Callable[[Parser, str], None]] = {
    "#EXTINF": Parser._extinf,
    "#EXT-X-BYTERANGE": Parser._byterange,
    "#EXT-X-DISCONTINUITY": Parser._discontinuity,
    "#EXT-X-KEY": Parser._key,
    "#EXT-X-MAP": Parser._map,
    "#EXT-X-PROGRAM-DATE-TIME": Parser._program_date_time,
    "#EXT-X-GAP": Parser._gap,
    "#EXT-X-SKIP": Parser._skip,
    "#EXT-X-TARGETDURATION": Parser._targetduration,
    "#EXT-X-MEDIA-SEQUENCE": Parser._sequence,
    "#EXT-X-DISCONTINUITY-SEQUENCE": Parser._discontinuities,
    "#EXT-X-ENDLIST": Parser._endlist,
    "#EXT-X-I-FRAMES-ONLY": Parser._i_frames,
    "#EXT-X-MEDIA": Parser._rendition,
    "#EXT-X-STREAM-INF": Parser._stream_inf,
    "#EXT-X-I-FRAME-STREAM-INF": Parser._i_frame_stream_inf,
}
