"""Time stamps that jump, or leave something out, with nothing that announces it: where segments end then."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.hls.jumps import JUMPS_AT_ONCE
from fastrelay.hls.segmenter import Cut
from fastrelay.mpegts.timeline import timeline
from tests.hls.test_segmenter import KEY, Stream
from tests.mpegts.build import AAC, AUDIO, H264, H264_P, VIDEO, Channel, pes, pes_packets


@pytest.mark.parametrize("seconds", [1000, -500, 70_000, -70_000, -1.5])
def test_a_jump_at_a_key_frame(seconds: float) -> None:
    stream = Stream()
    stream.gop(50).gop(50).gop(50).jump(seconds).gop(50).gop(50).gop(50).run()
    assert stream.durations == [4.0, 2.0, 4.0]
    assert [cut.start.discontinuity for cut in stream.cuts] == [False, False, True]
    assert all(cut.start.random_access for cut in stream.cuts)


@pytest.mark.parametrize("chunk", [1, 10, 1000])
def test_a_jump_between_key_frames_is_cut_where_it_is(chunk: int) -> None:
    stream = Stream(chunk=chunk)
    stream.gop(100).gop(30)
    jump_at = len(stream.data)
    stream.jump(1000).pictures(20).gop(100).gop(100).run()
    assert stream.durations == [4.0, 1.2, 0.8, 4.0]
    assert stream.cuts[2].start.position == jump_at
    assert [cut.start.discontinuity for cut in stream.cuts] == [False, False, True, False]
    assert [cut.start.random_access for cut in stream.cuts] == [True, True, False, True]


@pytest.mark.parametrize("chunk", [1, 10, 1000])
@pytest.mark.parametrize("between", [1, 5, 10])
def test_two_jumps_between_two_key_frames_are_two_discontinuities(chunk: int, between: int) -> None:
    stream = Stream(chunk=chunk)
    stream.gop(100).gop(30)
    first = len(stream.data)
    stream.jump(1000).pictures(between)
    second = len(stream.data)
    stream.jump(-3000).pictures(20).gop(100).gop(100).run()
    assert [cut.start.position for cut in stream.cuts if cut.start.discontinuity] == [first, second]
    assert stream.durations == pytest.approx([4.0, 1.2, between * 0.04, 0.8, 4.0])


def test_two_jumps_soon_after_each_other_are_two_discontinuities() -> None:
    """Each at a key frame, and fed a picture at a time."""
    stream = Stream(chunk=1)
    stream.gop(100).gop(50).jump(1000).gop(25).jump(1000).gop(100).gop(100).run()
    assert stream.durations == [4.0, 2.0, 1.0, 4.0]
    assert [cut.start.discontinuity for cut in stream.cuts] == [False, False, True, True]


def test_a_jump_behind_sound_without_a_stamp() -> None:
    """Each frame of sound is a random-access point, but only every other one has a stamp."""
    stream = Stream(channel=Channel((AUDIO, AAC)))

    def sound(frames: int) -> None:
        for _ in range(frames // 2):
            stream.data += stream.channel.unit(b"x" * 100, AUDIO)
            stream.data += pes_packets(AUDIO, pes(b"x" * 100), stream.channel.counters)
            stream.jump(0.04)

    sound(150)
    at = len(stream.data)
    stream.jump(1000)
    sound(250)
    stream.run()
    assert stream.durations == pytest.approx([4.0, 2.0, 4.0, 4.0], abs=0.05)
    assert [cut.start.position for cut in stream.cuts if cut.start.discontinuity] == [at]


def test_stamps_that_jump_all_the_time_make_no_more_segments_than_there_are_seconds() -> None:
    """Media sequences count from the Unix time and must not run ahead of it for long."""
    stream = Stream(chunk=1000)
    for number in range(1000):
        stream.gop(2).jump(1000 if number % 2 else -3000)
    stream.run()
    assert len(stream.cuts) <= 80 / 2 + JUMPS_AT_ONCE


def test_behind_a_hole_in_pictures_and_sound_segments_are_what_they_were() -> None:
    stream = Stream()
    for _ in range(4):
        stream.sounding(KEY, *[H264_P] * 49)
    stream.jump(7)
    for _ in range(11):
        stream.sounding(KEY, *[H264_P] * 49)
    stream.run()
    assert stream.durations[0] == 4.0
    assert stream.durations[-4:] == [4.0] * 4
    assert all(cut.start.random_access for cut in stream.cuts)


def test_other_tracks_behind_a_hole_are_a_discontinuity() -> None:
    """Though the segment before had to end because it became too long."""
    stream = Stream()
    stream.gop(100).gop(50)
    stream.channel.streams = ((VIDEO + 8, H264), (AUDIO, AAC))
    stream.data += stream.channel.pat() + stream.channel.pmt(version=1)
    at = len(stream.data)
    stream.jump(7)
    for picture in [KEY, *[H264_P] * 99, KEY]:
        stream.data += stream.channel.unit(picture, VIDEO + 8)
    stream.run()
    assert [cut.start.position for cut in stream.cuts if cut.start.discontinuity] == [at]
    assert stream.durations[-1] == 4.0


@pytest.mark.parametrize("chunk", [1, 100, 5000])
@pytest.mark.parametrize("silent", [9.0, 12.0, 30.0])
def test_no_segment_is_empty_where_pictures_return_after_a_long_silence(silent: float, chunk: int) -> None:
    stream = Stream(chunk=chunk)
    for _ in range(3):
        stream.sounding(KEY, *[H264_P] * 49)
    stream.sounding(*[b""] * round(25 * silent))
    for _ in range(4):
        stream.sounding(KEY, *[H264_P] * 49)
    stream.run()
    assert all(cut.start.position < cut.end for cut in stream.cuts)
    assert stream.durations[-1] == 4.0


@pytest.mark.parametrize("jump", [-1000.0, 5.0, 1000.0])
def test_pictures_that_return_from_a_silence_on_another_time_line_are_a_discontinuity(jump: float) -> None:
    stream = Stream()
    for _ in range(5):
        stream.sounding(KEY, *[H264_P] * 49)
    stream.sounding(*[b""] * 300)
    at = len(stream.data)
    # The sound stays on its own.
    stream.jump(jump).sounding(KEY, *[H264_P] * 49, ahead=-jump)
    for _ in range(4):
        stream.sounding(KEY, *[H264_P] * 49, ahead=-jump)
    stream.run()
    assert [cut.start.position for cut in stream.cuts if cut.start.discontinuity] == [at]


def test_a_jump_soon_after_a_silence_of_the_pictures_is_a_discontinuity() -> None:
    """The sound comes a second earlier since the silence, which looks like a jump; that has not used up all there may
    be together."""
    stream = Stream(chunk=1 << 20)
    for _ in range(6):
        stream.sounding(KEY, *[H264_P] * 24)
    stream.sounding(*[b""] * 250).sounding(*[b""] * 250, ahead=1.0).sounding(KEY, *[H264_P] * 24, ahead=1.0)
    at = len(stream.data)
    stream.jump(1000)
    for _ in range(9):
        stream.sounding(KEY, *[H264_P] * 24, ahead=1.0)
    stream.finish()
    assert [cut.start.position for cut in stream.cuts if cut.start.discontinuity] == [at]


def jumps_inside(stream: Stream, cut: Cut) -> int:
    return sum(moment.jumped for moment in timeline(stream.data[cut.start.position : cut.end], VIDEO))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 120), st.integers(0, 60), st.floats(11, 20_000)), max_size=JUMPS_AT_ONCE),
    st.sampled_from([1.0, 4.0]),
    st.sampled_from([1, 7, 5000]),
)
def test_no_segment_has_a_jump_inside(parts: list[tuple[int, int, float]], duration: float, chunk: int) -> None:
    stream = Stream(duration, chunk)
    for gop, pictures, jump in parts:
        stream.gop(gop).jump(jump).pictures(pictures)
    stream.gop(50).finish()
    assert sum(jumps_inside(stream, cut) for cut in stream.cuts) == 0
    assert stream.segmenter.target is not None
    assert all(round(cut.duration) <= stream.segmenter.target for cut in stream.cuts)
