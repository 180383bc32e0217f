"""What encoders can make besides what was recorded: open GOPs, fields, odd rates, wraps, audio of every kind, jumps."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fastrelay.hls.cut import Cutter
from fastrelay.hls.m3u8 import Media, parse
from fastrelay.hls.segment import Segment
from fastrelay.mpegts.clock import WRAP, ticks_between
from tests.hls.kit import begins_with_tables, counter_errors, oracle, pmt_pids
from tests.kit.clips import clip, ffmpeg_decode, ffprobe

SDT_PID = 0x11


@dataclass(frozen=True)
class Case:
    duration: float
    """Of a segment, in seconds."""
    codecs: tuple[str, ...]
    frame: float = 0.04
    kind: str = "v:0"
    independent: bool = True
    """Every segment decodes without the one before; not so behind open groups of pictures."""
    pids: tuple[int, ...] = (0x100, 0x101)


CASES = {
    "h264_gop10": Case(2.0, ("avc1.42c014", "mp4a.40.2")),
    "h264_open_gop": Case(1.0, ("avc1.64000d", "mp4a.40.2"), independent=False),
    "h264_wrap": Case(2.0, ("avc1.64000d", "mp4a.40.2")),
    "h264_odd_rate": Case(1.0, ("avc1.640015", "mp4a.40.2"), frame=0.14),
    "h264_mbaff": Case(2.0, ("avc1.640015",), pids=(0x100,)),
    "mpeg2_fields": Case(2.0, ("mp4v.61", "ac-3"), independent=False),
    "hevc": Case(2.0, ("hvc1.1.6.L60.90", "mp4a.40.2"), independent=False),
    "audio": Case(2.0, ("mp4a.40.2",), frame=0.35, kind="a:0", pids=(0x100,)),
    "audio_mp2": Case(2.0, ("mp4a.40.33",), frame=0.17, kind="a:0", pids=(0x100,)),
    "audio_ac3": Case(2.0, ("ac-3",), frame=0.13, kind="a:0", pids=(0x100,)),
    "unlike_programs": Case(2.0, ("avc1.42c014", "mp4a.40.2")),
}


def cut(data: bytes, duration: float) -> Cutter:
    cutter = Cutter(duration)
    for at in range(0, len(data), 100_000):
        cutter.feed(data[at : at + 100_000])
    cutter.finish()
    return cutter


def segments_of(cutter: Cutter) -> list[Segment]:
    return [entry.segment for entry in cutter.store.listed]


def stamp(packet: dict[str, Any]) -> int:
    return int(packet["dts"]) % WRAP


def packets_of(path: Path, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ffprobe(path, "-select_streams", kind, "-show_packets")["packets"]
    return [packet for packet in found if "dts" in packet]


@pytest.mark.parametrize("name", CASES)
def test_cut_as_ffprobe_sees_it(name: str, tmp_path: Path) -> None:
    case, source = CASES[name], clip(name)
    cutter = cut(source.read_bytes(), case.duration)
    segments = segments_of(cutter)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(segment.data for segment in segments))
    _nothing_lost(joined.read_bytes(), source.read_bytes(), case)
    _durations_hold(segments, packets_of(joined, case.kind), case)
    _sum_holds(segments, packets_of(source, case.kind))
    playlist = parse(cutter.store.playlist.decode(), "http://x/")
    assert isinstance(playlist, Media)
    assert all(int(one.duration + 0.5) <= playlist.target_duration for one in playlist.segments)
    assert all(segment.independent for segment in segments) is case.independent
    assert not any(segment.discontinuity for segment in segments)
    assert cutter.packager.opening.codecs == case.codecs
    if case.independent and case.kind == "v:0":
        _stands_alone(segments[-1], tmp_path / "alone.ts")


def _nothing_lost(joined: bytes, source: bytes, case: Case) -> None:
    tables = {0, SDT_PID} | pmt_pids(joined)
    mine, theirs = oracle(joined, tables), oracle(source, tables)
    assert mine == {pid: theirs[pid] for pid in case.pids}
    assert counter_errors(joined, tables) == 0


def _durations_hold(segments: list[Segment], packets: list[dict[str, Any]], case: Case) -> None:
    """Each begins with its tables and a key frame, and lasts until the next one does."""
    firsts, end = [], 0
    for segment in segments:
        assert begins_with_tables(segment.data)
        start, end = end, end + len(segment.data)
        firsts.append(next(packet for packet in packets if start <= int(packet.get("pos", -1)) < end))
    assert all("K" in packet["flags"] for packet in firsts)
    for segment, (before, after) in zip(segments, pairwise(firsts), strict=False):
        measured = ticks_between(stamp(before), stamp(after)) / 90_000
        assert abs(measured - segment.duration) <= case.frame


def _sum_holds(segments: list[Segment], packets: list[dict[str, Any]]) -> None:
    first, last = packets[0], packets[-1]
    seconds = (ticks_between(stamp(first), stamp(last)) + int(last.get("duration", 0))) / 90_000
    assert sum(segment.duration for segment in segments) == pytest.approx(seconds, abs=0.05)


def _stands_alone(segment: Segment, path: Path) -> None:
    path.write_bytes(segment.data)
    frames, complaints = ffmpeg_decode(path)
    assert frames > 0
    assert complaints == ""


SECONDS = 12.0
"""That a clip lasts."""

JOINTS = {
    "back to the start": ("h264_gop1", "h264_gop1"),
    "most of a day on": ("h264_gop1", "h264_wrap"),
    "most of a day back": ("h264_wrap", "h264_gop1"),
    "another codec on the same PIDs": ("h264_gop1", "hevc"),
    "video and sound of another kind": ("h264_gop5", "mpeg2_fields"),
    "the sound goes": ("h264_gop1", "h264_mbaff"),
    "the picture goes": ("h264_gop1", "audio"),
    "the picture comes": ("audio", "h264_gop1"),
    "other PIDs, other size": ("h264_gop1", "h264_other"),
}
"""Two clips one behind the other, with nothing that announces it."""


@pytest.mark.parametrize("joint", JOINTS)
def test_an_unannounced_joint_is_one_discontinuity(joint: str) -> None:
    first, second = (clip(name).read_bytes() for name in JOINTS[joint])
    cutter = cut(first + second, 4.0)
    segments = segments_of(cutter)
    (at,) = [number for number, segment in enumerate(segments) if segment.discontinuity]
    # Audio's last PES packet is longer than what is left of the clip.
    assert sum(segment.duration for segment in segments[:at]) == pytest.approx(SECONDS, abs=0.36)
    assert sum(segment.duration for segment in segments[at:]) == pytest.approx(SECONDS, abs=0.36)
    size = sum(len(segment.data) for segment in segments[:at])
    tables = 8 * 188 * at
    assert len(first) - 4 * 188 <= size <= len(first) + tables
    playlist = parse(cutter.store.playlist.decode(), "http://x/")
    assert isinstance(playlist, Media)
    assert all(int(one.duration + 0.5) <= playlist.target_duration for one in playlist.segments)
