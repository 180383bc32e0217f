import pytest

from tests.kit.clips import RECIPES, clip, ffmpeg_decode, ffprobe, ffprobe_packets

CODECS = {
    "hevc": {"hevc"},
    "mpeg2": {"mpeg2video"},
    "mpeg2_fields": {"mpeg2video"},
    "unlike_programs": {"h264", "mpeg2video"},
    **{name: set[str]() for name in ("audio", "audio_mp2", "audio_ac3")},
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_clip_is_what_its_name_says(name: str) -> None:
    path = clip(name)
    assert path == clip(name)
    streams = ffprobe(path, "-show_streams")["streams"]
    codecs = {stream["codec_name"] for stream in streams if stream["codec_type"] == "video"}
    assert codecs == CODECS.get(name, {"h264"})


@pytest.mark.parametrize(("name", "keys"), [("h264_gop1", 12), ("h264_gop5", 3), ("h264_gop10", 2)])
def test_key_frames_come_as_often_as_asked(name: str, keys: int) -> None:
    packets = ffprobe_packets(clip(name))
    assert sum("K" in packet["flags"] for packet in packets if packet["codec_type"] == "video") == keys


def test_the_other_clip_has_other_pids_and_another_size() -> None:
    for name, pid, size in (("h264_gop1", "0x100", 320), ("h264_other", "0x200", 480)):
        video = ffprobe(clip(name), "-show_streams", "-select_streams", "v")["streams"][0]
        assert (video["id"], video["width"]) == (pid, size)


def test_two_programs() -> None:
    programs = ffprobe(clip("programs"), "-show_programs")["programs"]
    assert [program["program_num"] for program in programs] == [1, 2]


def test_decoding_counts_frames() -> None:
    assert ffmpeg_decode(clip("h264_gop1")) == (300, "")
    frames, _ = ffmpeg_decode(clip("h264_gop1"), seconds=2)
    assert 48 <= frames <= 51
