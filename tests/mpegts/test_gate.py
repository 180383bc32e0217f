"""The gate: closed until a decoder can start, and never a heap of bytes."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.mpegts.gate import MAX_HELD, Gate
from fastrelay.mpegts.packet import Framer
from tests.kit.clips import clip, ffmpeg_decode
from tests.media import media
from tests.mpegts.build import (
    AAC,
    AUDIO,
    H264,
    H264_AUD,
    H264_I,
    H264_IDR,
    H264_P,
    H264_PPS,
    H264_SPS,
    VIDEO,
    Channel,
    packet,
)

KEY = H264_AUD + H264_SPS + H264_PPS + H264_IDR + b"\xaa" * 400
PLAIN = H264_AUD + H264_P + b"\xaa" * 300


def through(gate: Gate, data: bytes, step: int = 188) -> bytes:
    """All that passes when `data` comes in steps."""
    out = b""
    for at in range(0, len(data), step):
        piece = data[at : at + step]
        out += piece if gate.open else gate.feed(piece)
    return out


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_opens_with_the_tables_and_the_random_access_point(step: int) -> None:
    channel = Channel()
    before = channel.unit(KEY) + channel.unit(PLAIN)
    tables = channel.tables()
    between = channel.unit(PLAIN) + channel.unit(b"\xff" * 100, AUDIO)
    rest = channel.unit(KEY) + channel.unit(b"\xff" * 100, AUDIO) + channel.unit(PLAIN)
    gate = Gate()
    assert through(gate, before + tables + between, step * 188) == b""
    assert not gate.open
    assert through(gate, rest, step * 188) == tables + rest
    assert gate.open
    assert gate.program is not None
    assert gate.program.number == 1
    assert gate.missing() == ""


def test_a_point_that_is_decided_late_is_whole() -> None:
    channel = Channel()
    tables = channel.tables()
    slow = channel.unit(H264_AUD + H264_SPS + H264_PPS + H264_I) + channel.unit(b"\xff" * 100, AUDIO)
    rest = channel.tables() + channel.unit(PLAIN)
    gate = Gate()
    assert through(gate, tables + slow) == b""
    assert through(gate, rest, len(rest)) == tables + slow + rest


def test_missing_says_what_it_waits_for() -> None:
    channel = Channel(number=9)
    gate = Gate()
    assert gate.missing() == "no PAT"
    gate.feed(channel.pat())
    assert gate.missing() == "no PMT of program 9"
    gate.feed(channel.pmt())
    assert gate.missing() == "no random-access point in h264 pid 256"
    gate.feed(channel.unit(KEY, scrambled=True))
    assert gate.missing() == "program 9 is scrambled"


def test_missing_of_strange_tables() -> None:
    gate = Gate()
    gate.feed(Channel(number=0).pat())
    assert gate.missing() == "no program in the PAT"
    channel = Channel()
    channel.streams = ()
    gate = Gate()
    gate.feed(channel.tables())
    assert gate.missing() == "no stream in program 1"


def test_waits_for_a_better_program_but_not_for_ever() -> None:
    audio, video = Channel((0x200, AAC), number=1, pmt_pid=32), Channel((VIDEO, H264), number=2, pmt_pid=33)
    gate = Gate()
    assert through(gate, audio.pat((2, 33)) + audio.pmt() + audio.unit(b"a", 0x200)) == b""
    assert not gate.open
    passed = through(gate, video.pmt() + video.unit(KEY))
    assert gate.open
    assert gate.program is not None
    assert gate.program.number == 2
    assert len(passed) > 3 * 188
    lonely = Gate()
    audio = Channel((0x200, AAC), number=1, pmt_pid=32)
    through(lonely, audio.pat((2, 33)) + audio.pmt() + b"".join(audio.unit(b"a", 0x200) for _ in range(30)))
    assert lonely.open


def test_holds_nothing_it_cannot_need() -> None:
    channel = Channel()
    gate = Gate()
    gate.feed(channel.tables())
    for _ in range(50):
        gate.feed(channel.unit(PLAIN) * 100)
        assert len(gate._held) == 0


def test_gives_up_a_picture_that_never_ends() -> None:
    channel = Channel()
    gate = Gate()
    gate.feed(channel.tables() + channel.unit(H264_AUD + H264_SPS))
    other = b"".join(packet(0x500, b"\xaa" * 184, counter) for counter in range(16)) * 50
    for _ in range(MAX_HELD // len(other) + 2):
        gate.feed(other)
        assert len(gate._held) <= MAX_HELD
    assert len(gate._held) == 0
    assert gate.feed(packet(VIDEO, H264_IDR, 1)) == b"", "the end of a picture whose beginning is gone"
    rest = channel.unit(KEY)
    assert gate.feed(rest).endswith(rest)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(max_size=1000), max_size=10))
def test_garbage_passes_never(garbage: list[bytes]) -> None:
    gate = Gate()
    for piece in garbage:
        assert gate.feed(piece) == b""


@pytest.mark.parametrize(
    "name",
    [
        "broadcast-no-idr/broadcast.ts",
        "rai-every-frame/test-072.ts",
        "hevc/0.ts",
        "cut-by-size/s_00003.ts",
        "h264-no-rai/fileSequence3.ts",
        "audio-only/segment_3.ts",
    ],
)
def test_real_streams_cut_anywhere(name: str, tmp_path: Path) -> None:
    """From the middle of a picture on, as a provider lets us in; segments have their only tables in front."""
    data = media(name).read_bytes()
    gate = Gate()
    out = through(gate, data[: 2 * 188] + data[40 * 188 : len(data) // 188 * 188], 160 * 188)
    assert gate.open, gate.missing()
    assert out[1:3] == b"\x40\x00", "the first packet is the PAT"
    joined = tmp_path / "joined.ts"
    joined.write_bytes(out[:1_500_000])
    frames, complaints = ffmpeg_decode(joined, seconds=1)
    assert "non-existing" not in complaints
    assert frames > 0 or "audio" in name


def test_m2ts_and_several_programs(tmp_path: Path) -> None:
    data = clip("programs").read_bytes()
    stamped = b"".join(b"\1\2\3\4" + data[at : at + 188] for at in range(0, len(data), 188))
    framer, gate = Framer(), Gate()
    out = gate.feed(framer.feed(stamped))
    assert gate.open
    joined = tmp_path / "joined.ts"
    joined.write_bytes(out)
    assert ffmpeg_decode(joined, seconds=1)[0] >= 24
