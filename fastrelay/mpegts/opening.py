"""What a stretch of a transport stream opens with: the formats of its streams, and whether it stands on its own."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from fastrelay.mpegts.audio_headers import ac3_codec, frame_codec, latm_codec
from fastrelay.mpegts.codecs import Codec, codec_of
from fastrelay.mpegts.packet import PACKET_SIZE, SCRAMBLING, payload_at
from fastrelay.mpegts.parameter_sets import VideoHeader, parse_h264_sps, parse_hevc_sps, parse_sequence_header
from fastrelay.mpegts.pes import read_head
from fastrelay.mpegts.pids import positions
from fastrelay.mpegts.programs import main_stream
from fastrelay.mpegts.psi import Program

_LOOKED_AT = 96
"""Packets of the first access unit that are read: parameter sets and the first slice's header lie in front."""

_START_CODE = b"\x00\x00\x01"


class Opening(NamedTuple):
    """What a player is told before it fetches anything, and whether it may start here."""

    codecs: tuple[str, ...] = ()
    """As RFC 6381 writes them, each once, video first; empty when one of the streams cannot be named."""
    resolution: tuple[int, int] | None = None
    """Width and height of the picture in pixels, cropped."""
    frame_rate: float | None = None
    """Pictures per second."""
    independent: bool = False
    """The first picture is a key frame that none after it reaches back over (a closed GOP); audio alone always is."""


def read_opening(data: bytes, pids: tuple[int, ...], program: Program) -> Opening:
    """Read the first access unit of every video and audio stream in the whole packets `data`, whose PIDs are `pids`."""
    codecs: list[str | None] = []
    main, video, independent = main_stream(program), None, False
    for stream in sorted(program.streams, key=lambda stream: codec_of(stream).kind != "video"):
        codec = codec_of(stream)
        if codec.kind not in ("video", "audio"):
            continue
        unit = _first_unit(data, pids, stream.pid)
        if not unit:
            continue
        if codec.kind == "audio":
            codecs.append(_audio_codec(codec, unit))
            independent |= stream == main
        else:
            header, closed = _read_video(codec, unit)
            codecs.append(header.codec if header else None)
            if stream == main:
                video, independent = header, closed
    return Opening(
        codecs=tuple(dict.fromkeys(codec for codec in codecs if codec)) if all(codecs) else (),
        resolution=(video.width, video.height) if video else None,
        frame_rate=video.frame_rate if video else None,
        independent=independent,
    )


def _first_unit(data: bytes, pids: tuple[int, ...], pid: int) -> bytes:
    """The beginning of the first PES packet's payload on this PID; empty if none begins or it is scrambled."""
    packets: list[bytes] = []
    for index in positions(pids, pid):
        at = index * PACKET_SIZE
        starts = data[at + 1] & 0x40
        if (packets and starts) or len(packets) == _LOOKED_AT or data[at + 3] & SCRAMBLING:
            break
        if packets or starts:
            packets.append(data[payload_at(data, at) : at + PACKET_SIZE])
    unit = b"".join(packets)
    head = read_head(unit)
    return unit[head.payload :] if head and not head.scrambled else b""


_AUDIO: dict[str, Callable[[bytes], str | None]] = {
    "aac": frame_codec,
    "aac_latm": latm_codec,
    "mp2": frame_codec,
    "ac3": ac3_codec,
    "eac3": ac3_codec,
    "opus": lambda unit: "opus",
    "dts": lambda unit: "dtsc",
}


def _audio_codec(codec: Codec, unit: bytes) -> str | None:
    read = _AUDIO.get(codec.name)
    return read(unit) if read else None


def _read_video(codec: Codec, unit: bytes) -> tuple[VideoHeader | None, bool]:
    read = _VIDEO.get(codec.name)
    header, closed = read(_units(unit)) if read else (None, False)
    # What stands in front of the first start code is the end of the picture before, which then lacks it.
    return header, closed and not unit.partition(_START_CODE)[0].strip(b"\x00")


def _units(unit: bytes) -> Iterator[bytes]:
    """What stands between the start codes, none of it empty. The last one may be cut off."""
    return (part for part in unit.split(_START_CODE)[1:] if part)


def _read_h264(units: Iterator[bytes]) -> tuple[VideoHeader | None, bool]:
    header = None
    for unit in units:
        kind = unit[0] & 0x1F
        if kind == 7:
            header = header or parse_h264_sps(unit)
        elif kind in (1, 2, 5):
            return header, kind == 5
    return header, False


_HEVC_CLOSED = frozenset({17, 18, 19, 20})
"""IRAP pictures without leading pictures that cannot be decoded after them: not CRA (21) and not BLA_W_LP (16)."""


def _read_hevc(units: Iterator[bytes]) -> tuple[VideoHeader | None, bool]:
    header = None
    for unit in units:
        kind = unit[0] >> 1 & 0x3F
        if kind == 33:
            header = header or parse_hevc_sps(unit)
        elif kind < 32:
            return header, kind in _HEVC_CLOSED
    return header, False


def _read_mpeg_video(units: Iterator[bytes]) -> tuple[VideoHeader | None, bool]:
    sequence, closed, mpeg1 = b"", False, True
    for unit in units:
        if unit[0] == 0xB3:
            sequence = unit
        elif unit[0] == 0xB5:
            # Only MPEG-2 has extensions.
            mpeg1 = False
        elif unit[0] == 0xB8:
            closed = len(unit) > 4 and bool(unit[4] & 0x40)
        elif unit[0] == 0x00:
            break
    return parse_sequence_header(sequence, mpeg1), closed


_VIDEO: dict[str, Callable[[Iterator[bytes]], tuple[VideoHeader | None, bool]]] = {
    "h264": _read_h264,
    "hevc": _read_hevc,
    "mpeg1video": _read_mpeg_video,
    "mpeg2video": _read_mpeg_video,
}
