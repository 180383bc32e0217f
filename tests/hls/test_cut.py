"""`python -m fastrelay.hls cut`, as somebody at a shell has it."""

import subprocess
import sys
from pathlib import Path

import pytest

from fastrelay.errors import FormatError
from fastrelay.hls.cut import Cutter
from fastrelay.mpegts.timeline import timeline
from tests.kit.clips import clip, ffmpeg_decode
from tests.mpegts.build import AAC, AUDIO, H264_IDR, H264_P, H264_PPS, H264_SPS, VIDEO, Channel, packet

KEY = H264_SPS + H264_PPS + H264_IDR


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fastrelay.hls", "cut", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_a_file_becomes_a_folder_that_players_play(tmp_path: Path) -> None:
    done = run(clip("h264_gop1"), tmp_path / "out", "--segment-duration", "2")
    assert (done.returncode, done.stdout) == (0, "6 segments, 12.000 s\n")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"master.m3u8", "playlist.m3u8", *(f"segment_{n}.ts" for n in range(6))}
    assert ffmpeg_decode(tmp_path / "out" / "master.m3u8") == (300, "")


def test_what_is_no_transport_stream_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.ts"
    text.write_text("no stream " * 1000)
    done = run(text, tmp_path / "out")
    assert done.returncode == 1
    assert "expected a transport stream with a program" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_stream_without_a_picture_to_start_with() -> None:
    data = clip("h264_gop10").read_bytes()
    cutter = Cutter(4.0)
    # PAT and PMT, and pictures from the middle of the only group.
    cutter.feed(data[: 3 * 188] + data[len(data) // 2 // 188 * 188 :][: 20 * 188])
    with pytest.raises(FormatError, match="random-access point"):
        cutter.finish()


def test_how_the_file_is_read_makes_no_difference() -> None:
    data = clip("h264_gop1").read_bytes()
    made = []
    for chunk in (1000, 100_000, len(data)):
        cutter = Cutter(2.0)
        for at in range(0, len(data), chunk):
            cutter.feed(data[at : at + chunk])
        cutter.finish()
        made.append([entry.segment for entry in cutter.store.listed])
    assert made[0] == made[1] == made[2]


def gop(channel: Channel, *, pictured: bool = True) -> bytes:
    """A second of pictures with their sound, or of sound alone."""
    made = channel.tables()
    for number in range(25):
        if pictured:
            made += channel.unit(H264_P if number else KEY)
            channel.time -= 3_600
        made += channel.unit(b"x" * 100, AUDIO)
    return made


def test_a_silence_of_the_pictures_that_lies_in_one_piece_of_the_file() -> None:
    channel = Channel()
    cutter = Cutter(4.0)
    cutter.feed(b"".join(gop(channel, pictured=not 6 <= second < 26) for second in range(34)))
    cutter.finish()
    segments = [entry.segment for entry in cutter.store.listed]
    assert sum(segment.duration for segment in segments) == pytest.approx(34.0, abs=0.05)
    for segment in segments:
        assert len(timeline(segment.data, AUDIO)) == pytest.approx(25 * segment.duration, abs=2)
    assert not any(segment.discontinuity for segment in segments)


@pytest.mark.parametrize(("payload", "independent"), [(b"", True), (b"the end of a picture", False)])
def test_clock_packets_in_front_of_the_first_picture_take_nothing_from_it(payload: bytes, independent: bool) -> None:
    channel = Channel()
    clock = packet(VIDEO, payload, adaptation=b"\x10" + bytes(6))
    cutter = Cutter(4.0)
    cutter.feed(channel.tables() + clock + b"".join(gop(channel) for _ in range(9)))
    cutter.finish()
    assert cutter.store.independent is independent


def test_a_last_segment_of_one_short_audio_packet() -> None:
    channel = Channel((AUDIO, AAC))
    cutter = Cutter(4.0)
    cutter.feed(channel.tables() + b"".join(channel.unit(b"x" * 1500, AUDIO) for _ in range(100)))
    cutter.feed(channel.unit(b"x" * 500, AUDIO))
    cutter.finish()
    # Three packets, where the others have nine.
    assert [entry.segment.duration for entry in cutter.store.listed] == pytest.approx([4.0, 0.04 / 3])
