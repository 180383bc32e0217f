"""Random access, codec by codec; every rule also with the bytes coming one by one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.mpegts.h264 import H264
from fastrelay.mpegts.picture import Picture, picture_rules
from fastrelay.mpegts.units import MAX_ACCESS_UNIT
from tests.mpegts.build import (
    H264_ALL_I,
    H264_AUD,
    H264_I,
    H264_IDR,
    H264_P,
    H264_PPS,
    H264_RECOVERY,
    H264_SPS,
    nal,
)

SETS = H264_SPS + H264_PPS
# first_mb_in_slice 1: it does not begin a picture.
TAIL_OF_P = nal(0x41, 0b010_1_0000, size=40)
TAIL_OF_IDR = nal(0x65, 0b010_011_00, size=40)


def decide(rules: Picture, unit: bytes, step: int = 10_000, flagged: bool = False) -> bool:
    rules.start(flagged)
    for at in range(0, max(len(unit), 1), step):
        verdict = rules.feed(unit[at : at + step])
        if verdict is not None:
            return verdict
    return rules.finish()


H264_UNITS = {
    "IDR with its sets": (H264_AUD + SETS + H264_IDR, True),
    "P": (H264_AUD + H264_P, False),
    "sets before a P": (H264_AUD + SETS + H264_P, False),
    "sets and all slices I": (H264_AUD + SETS + H264_ALL_I, True),
    "I without sets": (H264_AUD + H264_ALL_I, False),
    "I slices only": (H264_AUD + SETS + H264_I + H264_I, True),
    "an I and a P slice": (H264_AUD + SETS + H264_I + H264_P, False),
    "I slices, then the next unit": (H264_AUD + SETS + H264_I + H264_AUD + H264_P, True),
    "recovery point": (H264_AUD + SETS + H264_RECOVERY + H264_P, True),
    "recovery point without sets": (H264_AUD + H264_RECOVERY + H264_P, False),
    "recovery point behind other messages": (SETS + nal(6, 4, 3, 1, 2, 3, 1, 2, 9, 9, 6, 1, 0x80, 0x80) + H264_P, True),
    "recovery point behind a long message": (SETS + nal(6, 5, 255, 45, *[7] * 300, 6, 1, 0x80, 0x80) + H264_P, True),
    "escaped message before it": (SETS + nal(6, 4, 4, 0, 0, 3, 1, 9, 6, 1, 0x80, 0x80) + H264_P, True),
    "no recovery point": (SETS + nal(6, 4, 2, 6, 6, 0x80) + H264_P, False),
    "end of the last unit in front": (b"\xaa" * 300 + H264_AUD + SETS + H264_IDR, True),
    "last slice of the last unit in front": (TAIL_OF_P + H264_AUD + SETS + H264_IDR, True),
    "last slice of an IDR in front": (TAIL_OF_IDR + H264_AUD + H264_P, False),
    "an I slice of three bytes": (SETS + nal(0x41, 0b1_011_0000, 0x80), True),
    "a P slice of three bytes": (SETS + nal(0x41, 0b1_1_000000, 0x80), False),
    "nothing": (b"", False),
    "sets alone": (SETS, False),
}


@pytest.mark.parametrize("step", [1, 2, 7, 184, 10_000])
@pytest.mark.parametrize("name", H264_UNITS)
def test_h264(name: str, step: int) -> None:
    unit, expected = H264_UNITS[name]
    assert decide(picture_rules("h264", True), unit, step) is expected


def slice_head(first_mb: int, slice_type: int) -> bytes:
    def exp_golomb(number: int) -> str:
        bits = f"{number + 1:b}"
        return "0" * (len(bits) - 1) + bits

    bits = exp_golomb(first_mb) + exp_golomb(slice_type) + "1010"
    return int(bits.ljust(-len(bits) % 8 + len(bits), "0"), 2).to_bytes((len(bits) + 7) // 8)


@settings(deadline=None)
@given(st.integers(0, 200_000), st.integers(0, 9), st.integers(1, 40))
def test_slice_type_behind_any_first_macroblock(first_mb: int, slice_type: int, step: int) -> None:
    escaped = slice_head(first_mb, slice_type)
    for low in range(4):
        escaped = escaped.replace(bytes([0, 0, low]), bytes([0, 0, 3, low]))
    unit = SETS + b"\x00\x00\x01\x41" + escaped + b"\xaa" * 20
    assert decide(picture_rules("h264", True), unit, step) is (slice_type in (2, 7))


def test_a_verdict_needs_no_more_than_the_first_bytes() -> None:
    rules = picture_rules("h264", True)
    rules.start(False)
    assert rules.feed(H264_AUD + SETS + H264_IDR) is True
    rules.start(False)
    assert rules.feed(H264_AUD + H264_P) is False


def test_bare_access_points_count_until_one_with_sets_is_seen() -> None:
    rules = picture_rules("h264", True)
    assert decide(rules, H264_IDR)
    assert decide(rules, SETS + H264_IDR)
    assert not decide(rules, H264_IDR)
    assert not decide(rules, H264_P)


def test_bare_access_points_count_again_after_four_in_a_row() -> None:
    rules = picture_rules("h264", True)
    decide(rules, SETS + H264_IDR)
    assert [decide(rules, H264_IDR) for _ in range(6)] == [False] * 4 + [True] * 2
    assert decide(rules, SETS + H264_IDR)
    assert not decide(rules, H264_IDR)


def hevc(kind: int) -> bytes:
    return nal(kind << 1, 1, size=20)


def vvc(kind: int) -> bytes:
    return nal(0, kind << 3 | 1, size=20)


@pytest.mark.parametrize("step", [1, 10_000])
@pytest.mark.parametrize("kind", range(32))
def test_hevc(kind: int, step: int) -> None:
    unit = hevc(35) + hevc(32) + hevc(33) + hevc(34) + hevc(39) + hevc(kind)
    assert decide(picture_rules("hevc", True), unit, step) is (16 <= kind <= 21)


def test_the_end_of_the_last_picture_decides_nothing_in_hevc() -> None:
    tail = nal(20 << 1, 1, 0x2A, size=20)
    assert not decide(picture_rules("hevc", True), tail + hevc(35) + hevc(1))
    assert decide(picture_rules("hevc", True), nal(2, 1, 0x2A) + hevc(35) + hevc(33) + hevc(20))


@pytest.mark.parametrize("step", [1, 10_000])
@pytest.mark.parametrize("kind", range(12))
def test_vvc(kind: int, step: int) -> None:
    assert decide(picture_rules("vvc", True), vvc(20) + vvc(15) + vvc(16) + vvc(kind), step) is (7 <= kind <= 10)


@pytest.mark.parametrize(("codec", "sets", "point"), [("hevc", hevc(33), hevc(20)), ("vvc", vvc(15), vvc(8))])
def test_bare_rule_of_the_others(codec: str, sets: bytes, point: bytes) -> None:
    rules = picture_rules(codec, True)
    assert decide(rules, sets + point)
    assert [decide(rules, point) for _ in range(5)] == [False] * 4 + [True]


@pytest.mark.parametrize("step", [1, 10_000])
@pytest.mark.parametrize("codec", ["mpeg1video", "mpeg2video"])
def test_mpeg_video(codec: str, step: int) -> None:
    picture, group, sequence = nal(0, 1, 2), nal(0xB8, 1), nal(0xB3, 1)
    assert decide(picture_rules(codec, True), sequence + group + picture, step)
    assert not decide(picture_rules(codec, True), group + picture + sequence, step)
    assert not decide(picture_rules(codec, True), picture, step)


def test_unknown_video_goes_by_the_flag_once_there_is_one() -> None:
    rules = picture_rules("vc1", True)
    assert decide(rules, b"x")
    assert decide(rules, b"x", flagged=True)
    assert not decide(rules, b"x")
    assert decide(rules, b"x", flagged=True)


def test_the_flag_is_not_believed_where_the_codec_is_known() -> None:
    assert not decide(picture_rules("h264", True), H264_AUD + H264_P, flagged=True)


def test_audio_starts_anywhere() -> None:
    assert decide(picture_rules("aac", False), b"")


@pytest.mark.parametrize("codec", ["h264", "hevc", "mpeg2video"])
def test_an_endless_unit_is_given_up(codec: str) -> None:
    rules = picture_rules(codec, True)
    rules.start(False)
    fed = 0
    while rules.feed(b"\xaa" * 65_536) is None:
        fed += 65_536
        assert fed <= MAX_ACCESS_UNIT


def test_zeros_behind_a_start_code_are_not_kept() -> None:
    """All of them would be looked at again with each packet."""
    rules = H264()
    rules.start(False)
    rules.feed(b"\x00\x00\x01")
    for _ in range(100):
        assert rules.feed(bytes(184)) is None
        assert len(rules._tail) < 184
    assert rules.feed(SETS + H264_IDR) is True


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(["h264", "hevc", "vvc", "mpeg2video", "vc1"]),
    st.lists(
        st.binary(max_size=60)
        | st.sampled_from([b"\0\0\1", b"\0\0\1\x06\x06", b"\0\0\1\x67", b"\0\0\1\x41", b"\0\0", b"\1", bytes(9)]),
        max_size=30,
    ),
)
def test_chunks_make_no_difference_and_garbage_raises_nothing(codec: str, pieces: list[bytes]) -> None:
    whole = decide(picture_rules(codec, True), b"".join(pieces))
    assert decide(picture_rules(codec, True), b"".join(pieces), 1) is whole
