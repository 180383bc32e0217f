"""Every real transport stream, cut: nothing lost or doubled, and each segment as a player needs it."""

import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fastrelay.hls.cut import Cutter
from fastrelay.hls.m3u8 import Media, parse
from fastrelay.hls.store import Store
from fastrelay.mpegts.clock import WRAP, ticks_between
from tests.hls.kit import begins_with_tables, counter_errors, oracle, pid_of, pmt_pids
from tests.kit.clips import clip, ffmpeg_decode, ffprobe
from tests.media import media

CASES: dict[str, tuple[tuple[str, ...], float]] = {
    "broadcast": (("broadcast-no-idr/broadcast.ts",), 4.0),
    "broadcast-at-every-point": (("broadcast-no-idr/broadcast.ts",), 0.5),
    "rai-every-frame": (("rai-every-frame/test-072.ts",), 1.0),
    "ad-insert": (("ad-insert/80s_with_ad.ts",), 10.0),
    "h264-no-rai": (tuple(f"h264-no-rai/fileSequence{n}.ts" for n in range(6)), 4.0),
    "hevc": (("hevc/0.ts",), 4.0),
    "audio-only": (tuple(f"audio-only/segment_{n}.ts" for n in range(8)), 4.0),
    "byterange": (("byterange/main.ts",), 4.0),
    "pts-rollover": (tuple(f"pts-rollover/360p30_h264_48k_160_aac_ts-{n:010}.ts" for n in range(24, 34)), 2.0),
    **{f"cut-by-size-{n}": ((f"cut-by-size/s_0000{n}.ts",), 1.0) for n in range(6)},
}
"""Files that are one stream, one after the other, and the segment duration in seconds."""

AT = {
    "broadcast-at-every-point": 17,
    "rai-every-frame": 6,
    "h264-no-rai": 9,
    "pts-rollover": 10,
}
"""How many segments that makes."""

STARTS_LATE = {
    "broadcast": {0},
    "broadcast-at-every-point": {0},
    "byterange": {2, 3},
    **{f"cut-by-size-{n}": {0} for n in (1, 2, 4, 5)},
}
"""Segments that begin within pictures: the start of a file that does, and where 25 s have no clean access point."""

BEGINS_WITH_A_REST = {"byterange": set(range(2, 10))}
"""Segments whose first PES packet begins with the last slice of the picture before, as nearly all there do."""

FRAME = 0.042
"""Seconds; the slowest of them has 24 pictures a second."""


class Result:
    """A file, its segments one after the other in `joined`, and what ffprobe sees in that."""

    def __init__(self, name: str, folder: Path) -> None:
        files, duration = CASES[name]
        self.name = name
        source = b"".join(media(file).read_bytes() for file in files)
        self.source = source[: len(source) // 188 * 188]
        cutter = Cutter(duration)
        for at in range(0, len(source), 300_000):
            cutter.feed(source[at : at + 300_000])
        cutter.finish()
        self.store: Store = cutter.store
        self.segments = [entry.segment for entry in self.store.listed]
        self.joined = folder / "joined.ts"
        self.joined.write_bytes(b"".join(segment.data for segment in self.segments))
        self.original = folder / "source.ts"
        self.original.write_bytes(self.source)
        stream = "a:0" if name == "audio-only" else "v:0"
        self.packets: list[dict[str, Any]] = ffprobe(self.joined, "-select_streams", stream, "-show_packets")["packets"]

    def stamp(self, packet: dict[str, Any]) -> int:
        return int(packet["dts"] if "dts" in packet else packet["pts"]) % WRAP

    def firsts(self) -> list[dict[str, Any]]:
        """The first picture of each segment, by ffprobe."""
        found, end = [], 0
        for segment in self.segments:
            start, end = end, end + len(segment.data)
            found.append(next(packet for packet in self.packets if start <= int(packet["pos"]) < end))
        return found


_results: dict[str, Result] = {}


@pytest.fixture(params=CASES)
def result(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Result:
    if request.param not in _results:
        _results[request.param] = Result(request.param, tmp_path_factory.mktemp(request.param))
    return _results[request.param]


def test_nothing_is_lost_or_doubled(result: Result) -> None:
    joined = result.joined.read_bytes()
    tables = {0} | pmt_pids(joined)
    assert oracle(joined, tables) == oracle(result.source, tables)
    assert counter_errors(joined, tables) == 0


def test_tables_come_first(result: Result) -> None:
    assert all(begins_with_tables(segment.data) for segment in result.segments)


def test_durations_are_what_ffprobe_measures(result: Result) -> None:
    stamps = [result.stamp(packet) for packet in result.firsts()]
    measured = [ticks_between(before, after) / 90_000 for before, after in pairwise(stamps)]
    for segment, seconds in zip(result.segments, measured, strict=False):
        assert abs(segment.duration - seconds) < FRAME


def test_sum_is_the_duration_of_the_source(result: Result) -> None:
    stream = "a:0" if result.name == "audio-only" else "v:0"
    seen = ffprobe(result.original, "-select_streams", stream, "-show_packets")["packets"]
    stamps = [result.stamp(packet) for packet in seen if "dts" in packet]
    last = max(range(len(stamps)), key=lambda index: ticks_between(stamps[0], stamps[index]))
    seconds = (ticks_between(stamps[0], stamps[last]) + int(seen[-1].get("duration", 0))) / 90_000
    assert sum(segment.duration for segment in result.segments) == pytest.approx(seconds, abs=0.05)


def test_no_duration_breaks_the_target(result: Result) -> None:
    playlist = parse(result.store.playlist.decode(), "http://x/")
    assert isinstance(playlist, Media)
    assert playlist.ended
    assert [segment.uri for segment in playlist.segments] == [
        f"http://x/segment_{n}.ts" for n in range(len(result.segments))
    ]
    assert all(int(segment.duration + 0.5) <= playlist.target_duration for segment in playlist.segments)
    if result.name in AT:
        assert len(playlist.segments) == AT[result.name]


def test_segments_begin_with_key_frames(result: Result) -> None:
    for number, (segment, packet) in enumerate(zip(result.segments, result.firsts(), strict=True)):
        late = number in STARTS_LATE.get(result.name, ())
        assert late or "K" in packet["flags"]
        assert not (late and segment.independent)


def test_first_picture_decodes_on_its_own(result: Result, tmp_path: Path) -> None:
    if result.name == "audio-only":
        pytest.skip("no picture")
    late = STARTS_LATE.get(result.name, set()) | BEGINS_WITH_A_REST.get(result.name, set())
    segments = [segment for number, segment in enumerate(result.segments) if number not in late]
    for segment in segments[:1] + segments[1:-1:4] + segments[1:][-1:]:
        alone = tmp_path / "alone.ts"
        alone.write_bytes(segment.data)
        command = ["ffmpeg", "-nostdin", "-v", "warning", "-i", str(alone), "-an", "-frames:v", "1", "-f", "null", "-"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=20)
        assert said.returncode == 0
        assert "non-existing" not in said.stderr
        assert "PPS" not in said.stderr
        assert "no frame" not in said.stderr


@pytest.mark.parametrize("name", ["h264_gop5", "mpeg2", "hevc"])
def test_segments_in_a_row_decode_without_a_complaint(name: str, tmp_path: Path) -> None:
    cutter = Cutter(2.0)
    cutter.feed(clip(name).read_bytes())
    cutter.finish()
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(entry.segment.data for entry in cutter.store.listed))
    assert len(cutter.store.listed) == {"h264_gop5": 3, "mpeg2": 6, "hevc": 6}[name]
    frames, complaints = ffmpeg_decode(joined)
    assert (frames, complaints) == (300, "")


def test_one_program_of_several() -> None:
    source = clip("programs").read_bytes()
    cutter = Cutter(4.0)
    cutter.feed(source)
    cutter.finish()
    joined = b"".join(entry.segment.data for entry in cutter.store.listed)
    (pmt,) = pmt_pids(joined)
    streams = {0x100, 0x101}
    assert {pid_of(joined[at : at + 188]) for at in range(0, len(joined), 188)} == {0, pmt} | streams
    others = {pid_of(source[at : at + 188]) for at in range(0, len(source), 188)} - streams
    assert oracle(joined, {0, pmt}) == oracle(source, others)
    assert counter_errors(joined, {0, pmt} | streams) == 0
    assert all(begins_with_tables(entry.segment.data) for entry in cutter.store.listed)
