"""What an HLS playlist says (RFC 8216), once it is read."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

Span = tuple[int, int]
"""A sub-range of a resource: offset and length in bytes."""


@dataclass(frozen=True, slots=True)
class Key:
    """EXT-X-KEY (§4.3.2.4). Without `iv` the media sequence number is the initialisation vector."""

    method: str
    uri: str
    iv: bytes | None = None
    keyformat: str = "identity"


@dataclass(frozen=True, slots=True)
class InitSection:
    """EXT-X-MAP (§4.3.2.5): what must be read before the segments, the head of an fMP4."""

    uri: str
    span: Span | None = None


class Segment(NamedTuple):
    """A media segment; `duration` in seconds, `sequence` its media sequence number, `span` None: the whole resource."""

    uri: str
    duration: float
    sequence: int
    discontinuity: bool = False
    gap: bool = False
    span: Span | None = None
    key: Key | None = None
    init: InitSection | None = None
    program_date_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Media:
    """A media playlist (§4.3.3); durations in seconds."""

    segments: tuple[Segment, ...]
    target_duration: float
    media_sequence: int = 0
    discontinuity_sequence: int = 0
    ended: bool = False
    i_frames_only: bool = False


@dataclass(frozen=True, slots=True)
class Variant:
    """EXT-X-STREAM-INF (§4.3.4.2); `bandwidth` in bits per second, 0 when not given, `audio` a group's name."""

    uri: str
    bandwidth: int = 0
    codecs: tuple[str, ...] = ()
    resolution: tuple[int, int] | None = None
    audio: str | None = None


@dataclass(frozen=True, slots=True)
class Rendition:
    """EXT-X-MEDIA (§4.3.4.1). Without `uri` it is contained in the variants that name its group."""

    kind: str
    group: str
    name: str = ""
    language: str | None = None
    uri: str | None = None
    default: bool = False


@dataclass(frozen=True, slots=True)
class Master:
    """A master playlist (§4.3.4); I-frame variants are for trick play and kept apart."""

    variants: tuple[Variant, ...]
    renditions: tuple[Rendition, ...] = ()
    i_frame_variants: tuple[Variant, ...] = ()
