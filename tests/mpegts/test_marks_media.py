"""Marks of real streams, held against ffprobe and ffmpeg."""

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from fastrelay.mpegts.clock import WRAP
from fastrelay.mpegts.codecs import codec_of
from fastrelay.mpegts.marks import Mark, Scanner
from tests.kit.clips import clip, ffmpeg_decode, ffprobe
from tests.media import media

CHUNK = 348 * 188


def read(*paths: Path) -> bytes:
    """Whole packets of files one after the other."""
    pieces = [path.read_bytes() for path in paths]
    return b"".join(piece[: len(piece) // 188 * 188] for piece in pieces)


def scan(data: bytes, chunk: int = CHUNK) -> tuple[Scanner, list[Mark]]:
    scanner = Scanner()
    marks = []
    for at in range(0, len(data), chunk):
        marks += scanner.scan(data[at : at + chunk], at)
    return scanner, marks


def key_frames(path: Path) -> dict[int, tuple[int, int | None]]:
    """position -> (PTS, DTS) of the first video stream's key frames, as ffprobe sees them."""
    packets = ffprobe(path, "-select_streams", "v:0", "-show_packets")["packets"]
    return {
        int(packet["pos"]): (packet["pts"] % WRAP, packet["dts"] % WRAP if "dts" in packet else None)
        for packet in packets
        if "K" in packet["flags"]
    }


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> "Maker":
    return Maker(tmp_path_factory.mktemp("made"))


RECIPES = {
    "open-gop": "-c:v libx264 -x264-params open-gop=1:keyint=12:min-keyint=12:bframes=3:scenecut=0:slices=3",
    "intra-refresh": "-c:v libx264 -x264-params intra-refresh=1:keyint=12:bframes=0",
    "hevc-open-gop": "-c:v libx265 -x265-params log-level=none:open-gop=1:keyint=12:min-keyint=12:bframes=3",
    "mpeg1": "-c:v mpeg1video -g 12 -bf 2",
    "mpeg4": "-c:v mpeg4 -g 12",
}


class Maker:
    """Tiny clips with what encoders do seldom."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, name: str) -> Path:
        path = self.folder / f"{name}.ts"
        if not path.exists():
            command = "ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=128x96:rate=25 -t 2.5 -pix_fmt yuv420p"
            subprocess.run(
                [*command.split(), *RECIPES[name].split(), "-f", "mpegts", str(path)], check=True, timeout=30
            )
        return path


REAL = {
    "broadcast-no-idr/broadcast.ts": 17,
    "rai-every-frame/test-072.ts": 6,
    "ad-insert/80s_with_ad.ts": 80,
    "h264-no-rai/fileSequence0.ts": 3,
    "hevc/0.ts": 5,
    "cut-by-size/s_00000.ts": 5,
    "pts-rollover/360p30_h264_48k_160_aac_ts-0000000028.ts": 1,
}
"""Real streams with the number of their random-access points."""


@pytest.mark.parametrize("name", REAL)
def test_marks_are_the_key_frames_that_ffprobe_sees(name: str) -> None:
    path = media(name)
    expected = key_frames(path)
    _, marks = scan(read(path))
    assert len(marks) == REAL[name]
    assert [mark.position for mark in marks] == sorted(expected)
    for mark in marks:
        pts, dts = expected[mark.position]
        assert mark.pts == pts
        # Without a DTS in the stream ffprobe makes one up from the order of pictures.
        assert mark.dts in (dts, pts)


def test_access_points_behind_a_rest_of_the_picture_before_wait_for_clean_ones() -> None:
    """In this file most PES packets begin with the last slice of the picture before: 11 of 13 key frames."""
    path = media("byterange/main.ts")
    _, marks = scan(read(path))
    frames = sorted(key_frames(path))
    assert [frames.index(mark.position) for mark in marks] == [0, 2, 7, 8, 9, 10, 11, 12]


@pytest.mark.parametrize("name", ["h264_gop1", "hevc", "mpeg2"])
def test_marks_of_common_encoders(name: str) -> None:
    path = clip(name)
    _, marks = scan(read(path))
    assert {mark.position: (mark.pts, mark.dts) for mark in marks} == key_frames(path)
    assert len(marks) == 12


@pytest.mark.parametrize("name", ["open-gop", "intra-refresh", "hevc-open-gop", "mpeg1"])
def test_marks_of_uncommon_encoders(made: Maker, name: str) -> None:
    path = made(name)
    _, marks = scan(read(path))
    assert {mark.position: (mark.pts, mark.dts) for mark in marks} == key_frames(path)
    assert len(marks) >= 5


def test_marks_by_flag(made: Maker) -> None:
    """MPEG-4 part 2 is not read: ffmpeg sets the flag on its key frames."""
    path = made("mpeg4")
    _, marks = scan(read(path))
    assert [mark.position for mark in marks] == sorted(key_frames(path))


@pytest.mark.parametrize("name", ["broadcast-no-idr/broadcast.ts", "ad-insert/80s_with_ad.ts", "hevc/0.ts"])
def test_chunks_make_no_difference(name: str) -> None:
    data = read(media(name))[: 6000 * 188]
    whole, expected = scan(data, len(data))
    for chunk in (188, 7 * 188, CHUNK):
        scanner, marks = scan(data, chunk)
        assert marks == expected
        assert scanner.continuity_errors == whole.continuity_errors


JOINED = ["broadcast-no-idr/broadcast.ts", "rai-every-frame/test-072.ts", "ad-insert/80s_with_ad.ts", "hevc/0.ts"]


@pytest.mark.parametrize("name", [*JOINED, "cut-by-size/s_00000.ts", "h264-no-rai/fileSequence0.ts"])
def test_a_joiner_can_decode_at_once(name: str, tmp_path: Path) -> None:
    data = read(media(name))
    _, marks = scan(data)
    for mark in {marks[0], marks[len(marks) // 2], marks[-2]}:
        joined = tmp_path / "joined.ts"
        joined.write_bytes(mark.tables + data[mark.position : mark.position + 800_000])
        frames, complaints = ffmpeg_decode(joined, seconds=2)
        assert frames > 0
        assert "non-existing" not in complaints
        assert "PPS" not in complaints
        first = ffprobe(joined, "-select_streams", "v:0", "-show_packets")["packets"][0]
        assert "K" in first["flags"]
        assert first["pts"] % WRAP == mark.pts


def test_a_wrap_is_unnoticed() -> None:
    folder = media("pts-rollover")
    data = read(*sorted(folder.glob("*.ts")))
    scanner, marks = scan(data)
    assert scanner.clock.jumps == 0
    assert scanner.clock.seconds == pytest.approx(20, abs=0.1)
    assert any(before.pts > after.pts for before, after in pairwise(marks) if before.pts and after.pts)
    for before, after in pairwise(marks):
        assert after.seconds - before.seconds == pytest.approx(2, abs=0.1)


def test_broken_pcr_or_not_time_is_that_of_the_pictures() -> None:
    scanner, marks = scan(read(media("ad-insert/80s_with_ad.ts")))
    assert scanner.clock.jumps == 0
    assert scanner.clock.seconds == pytest.approx(80, abs=0.1)
    assert max(after.seconds - before.seconds for before, after in pairwise(marks)) < 2.1


def test_a_pmt_of_two_packets() -> None:
    scanner, marks = scan(read(media("broadcast-no-idr/broadcast.ts")))
    assert {len(mark.tables) // 188 for mark in marks} <= {3, 4}
    assert scanner.program is not None
    names = [codec_of(stream).name for stream in scanner.program.streams]
    assert names == ["h264", *["eac3"] * 4, *["dvb_subtitle"] * 3, *names[8:]]


def test_audio_alone() -> None:
    scanner, marks = scan(read(*sorted(media("audio-only").glob("*.ts"))))
    assert not scanner.video
    assert (scanner.clock.jumps, len(marks)) == (0, 1488)
    assert max(after.seconds - before.seconds for before, after in pairwise(marks)) < 0.1


def test_several_programs() -> None:
    path = clip("programs")
    scanner, marks = scan(read(path))
    assert [program.number for program in scanner.programs] == [1, 2]
    assert scanner.program == scanner.programs[0]
    pids = {int(stream["id"], 16) for stream in ffprobe(path, "-show_streams")["streams"]}
    assert {stream.pid for program in scanner.programs for stream in program.streams} == pids
    assert len(marks) == 12


def test_no_transport_stream() -> None:
    scanner, marks = scan(read(media("adts-named-ts/fileSequence0.ts")))
    assert (marks, scanner.program) == ([], None)
