"""Formats by the streams' own headers, held against what ffprobe finds."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.mpegts.marks import Scanner
from fastrelay.mpegts.opening import Opening, read_opening
from fastrelay.mpegts.parameter_sets import VideoHeader, parse_h264_sps, parse_hevc_sps, parse_sequence_header
from fastrelay.mpegts.pids import pids_of
from tests.kit.clips import clip, ffprobe
from tests.media import media
from tests.mpegts.build import H264, H264_IDR, H264_PPS, H264_SPS, VIDEO, Channel

RECIPES = {
    "h264-cropped": ("-s 322x182 -r 30000/1001 -c:v libx264 -pix_fmt yuv420p -c:a aac", "mp4a.40.2"),
    "h264-interlaced": ("-s 320x184 -r 25 -c:v libx264 -pix_fmt yuv420p -x264-params tff=1:bframes=2 -c:a ac3", "ac-3"),
    "h264-444": ("-s 161x91 -r 30 -c:v libx264 -pix_fmt yuv444p -c:a mp2", "mp4a.40.33"),
    "h264-422": ("-s 162x91 -r 24 -c:v libx264 -pix_fmt yuv422p -profile:v high422 -c:a eac3", "ec-3"),
    "h264-baseline": (
        "-s 160x90 -r 12.5 -c:v libx264 -pix_fmt yuv420p -profile:v baseline -c:a libmp3lame",
        "mp4a.40.34",
    ),
    "hevc-cropped": ("-s 322x182 -r 30000/1001 -c:v libx265 -pix_fmt yuv420p -x265-params log-level=0", "mp4a.40.33"),
    "hevc-main10": ("-s 200x120 -r 60 -c:v libx265 -pix_fmt yuv422p10 -x265-params log-level=0 -c:a aac", "mp4a.40.2"),
    "mpeg2": ("-s 352x288 -r 24000/1001 -c:v mpeg2video -c:a mp2", "mp4a.40.33"),
}
"""Clips of one second: how they are made, and the audio they have."""

ROLLOVER = "360p30_h264_48k_160_aac_ts-0000000028.ts"

PREFIX = {"h264": "avc1.", "hevc": "hvc1.", "mpeg2video": "mp4v.61"}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("openings")


def opening(path: Path) -> Opening:
    """Of the stream from its first mark on."""
    data = path.read_bytes()
    data = data[: min(len(data), 4_000_000) // 188 * 188]
    scanner = Scanner()
    mark = scanner.scan(data, 0)[0]
    assert scanner.program is not None
    rest = data[mark.position :]
    return read_opening(rest, pids_of(rest), scanner.program)


@pytest.mark.parametrize("name", RECIPES)
def test_as_ffprobe_sees_it(name: str, folder: Path) -> None:
    recipe, audio = RECIPES[name]
    path = folder / f"{name}.ts"
    command = "ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=320x180 -f lavfi -i sine=sample_rate=48000 -t 1"
    subprocess.run([*command.split(), *recipe.split(), str(path)], check=True, timeout=30)
    found = opening(path)
    video = ffprobe(path, "-select_streams", "v:0", "-show_streams")["streams"][0]
    assert found.resolution == (video["width"], video["height"])
    numerator, denominator = (int(part) for part in video["r_frame_rate"].split("/"))
    assert found.frame_rate == pytest.approx(numerator / denominator, rel=0.001)
    assert found.codecs[0].startswith(PREFIX[video["codec_name"]])
    assert found.codecs[1:] == (audio,)
    level = found.codecs[0]
    if video["codec_name"] == "h264":
        assert int(level[-2:], 16) == video["level"]
    elif video["codec_name"] == "hevc":
        assert f".L{video['level']}" in level
        assert level.split(".")[1] == {"Main": "1", "Rext": "4"}[video["profile"]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("broadcast-no-idr/broadcast.ts", (("avc1.640028", "ec-3"), (1920, 1080), 25.0, False)),
        # The audio is declared as MPEG audio and is AAC.
        ("rai-every-frame/test-072.ts", (("avc1.64001f", "mp4a.40.2"), (1024, 576), 25.0, True)),
        ("hevc/0.ts", (("hvc1.2.4.L123.B0",), (640, 360), None, True)),
        ("cut-by-size/s_00000.ts", (("avc1.64001e", "ac-3"), (720, 576), 25.0, True)),
        # Its VUI tells a time base of 1 µs.
        (
            "pts-rollover/360p30_h264_48k_160_aac_ts-0000000028.ts",
            (("avc1.4d401e", "mp4a.40.2"), (640, 360), None, True),
        ),
        ("audio-only/segment_0.ts", (("mp4a.40.2",), None, None, True)),
    ],
)
def test_real_streams(name: str, expected: Opening) -> None:
    assert opening(media(name)) == expected


def test_open_and_closed_groups_of_pictures(folder: Path) -> None:
    def made(name: str, encoder: str) -> Opening:
        path = folder / f"{name}.ts"
        command = "ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=128x96:rate=25 -t 2 -pix_fmt yuv420p"
        subprocess.run([*command.split(), *encoder.split(), str(path)], check=True, timeout=30)
        data = path.read_bytes()
        scanner = Scanner()
        mark = scanner.scan(data, 0)[-1]
        assert scanner.program is not None
        return read_opening(data[mark.position :], pids_of(data[mark.position :]), scanner.program)

    gop = "keyint=12:min-keyint=12:scenecut=0:bframes=3"
    assert not made("open", f"-c:v libx264 -x264-params open-gop=1:{gop}").independent
    assert made("closed", f"-c:v libx264 -x264-params open-gop=0:{gop}").independent
    assert not made("hevc-open", f"-c:v libx265 -x265-params log-level=0:open-gop=1:{gop}").independent
    assert made("hevc-closed", f"-c:v libx265 -x265-params log-level=0:open-gop=0:{gop}").independent
    assert not made("mpeg2-open", "-c:v mpeg2video -bf 2 -g 12 -sc_threshold 1000000000").independent
    assert made("mpeg2-closed", "-c:v mpeg2video -bf 2 -g 12 -flags +cgop -sc_threshold 1000000000").independent


@pytest.mark.parametrize(("before", "independent"), [(b"", True), (b"\x00\x00", True), (b"\xda\x11", False)])
def test_a_key_frame_behind_the_end_of_another_picture_is_not_on_its_own(before: bytes, independent: bool) -> None:
    """The segment before lacks that end."""
    channel = Channel((VIDEO, H264))
    scanner = Scanner()
    scanner.scan(channel.tables(), 0)
    assert scanner.program is not None
    data = channel.unit(before + H264_SPS + H264_PPS + H264_IDR)
    assert read_opening(data, pids_of(data), scanner.program).independent is independent


def test_a_stream_that_cannot_be_named_leaves_all_unnamed() -> None:
    data = clip("h264_gop1").read_bytes()
    scanner = Scanner()
    scanner.scan(data, 0)
    assert scanner.program is not None
    aac = next(stream for stream in scanner.program.streams if stream.stream_type == 0x0F)
    # As if the AAC were TrueHD.
    streams = tuple(type(one)(one.pid, 0x83 if one == aac else one.stream_type, b"") for one in scanner.program.streams)
    program = type(scanner.program)(1, 2, 3, streams, 0)
    assert read_opening(data, pids_of(data), program).codecs == ()


def test_a_picture_cropped_to_less_than_nothing_is_damaged() -> None:
    """One macroblock wide and high, without cropping and with 20 samples of chroma cropped on the left."""
    start = b"\x67\x42\x00\x1f"
    whole, cropped = "1101110111000", "1101110111010000101011110"
    heads = [parse_h264_sps(start + int(bits.ljust(32, "0"), 2).to_bytes(4)) for bits in (whole, cropped)]
    assert heads == [VideoHeader("avc1.42001f", 16, 16, None), None]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80))
def test_garbage_is_no_trouble(data: bytes) -> None:
    parse_h264_sps(b"\x67\x64\x00\x1f" + data)
    parse_hevc_sps(b"\x42\x01" + data)
    parse_sequence_header(b"\xb3" + data, mpeg1=False)
