"""When segments end, on streams made by hand: one packet per picture, 25 pictures a second."""

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.hls.segmenter import Cut, Segmenter
from fastrelay.mpegts.clock import WRAP
from fastrelay.mpegts.marks import Mark, Scanner
from tests.mpegts.build import AAC, AUDIO, H264, H264_IDR, H264_P, H264_PPS, H264_SPS, VIDEO, Channel

KEY = H264_SPS + H264_PPS + H264_IDR
SECOND = 90_000


@dataclass
class Stream:
    """A stream under construction, and the segmenter that follows it chunk by chunk."""

    duration: float = 4.0
    chunk: int = 10
    channel: Channel = field(default_factory=lambda: Channel((VIDEO, H264), (AUDIO, AAC)))
    data: bytes = b""
    cuts: list[Cut] = field(default_factory=list)
    fed: int = 0
    tail: int = 0

    def __post_init__(self) -> None:
        self.scanner = Scanner()
        self.segmenter = Segmenter(self.duration, lambda start, end: self.data[start:end])
        self.data += self.channel.tables()

    def gop(self, pictures: int) -> "Stream":
        """A key frame and what follows it, 40 ms each, and the tables again."""
        self.data += self.channel.tables() + self.channel.unit(KEY)
        for _ in range(pictures - 1):
            self.data += self.channel.unit(H264_P)
        return self

    def pictures(self, count: int) -> "Stream":
        self.data += b"".join(self.channel.unit(H264_P) for _ in range(count))
        return self

    def sounding(self, *pictures: bytes, ahead: float = 0.0) -> "Stream":
        """A frame of sound each 40 ms, stamped `ahead` seconds before the time of the pictures, empty for none."""
        shift = round(ahead * SECOND)
        for picture in pictures:
            if picture:
                self.data += self.channel.unit(picture)
                self.jump(-0.04)
            self.channel.time = (self.channel.time + shift) % WRAP
            self.data += self.channel.unit(b"x" * 100, AUDIO)
            self.channel.time = (self.channel.time - shift) % WRAP
        return self

    def jump(self, seconds: float) -> "Stream":
        self.channel.time = (self.channel.time + round(seconds * SECOND)) % WRAP
        return self

    def run(self) -> list[Cut]:
        """Feed what is new; all cuts so far."""
        while self.fed < len(self.data):
            piece = self.data[self.fed : self.fed + self.chunk * 188]
            marks = self.scanner.scan(piece, self.fed)
            self.fed += len(piece)
            self.cuts += self.segmenter.feed(marks, self.fed, self.scanner.clock.seconds, self.tail)
        return self.cuts

    def finish(self) -> list[Cut]:
        self.run()
        self.cuts += self.segmenter.finish(self.fed)
        return self.cuts

    @property
    def durations(self) -> list[float]:
        return [round(cut.duration, 3) for cut in self.cuts]


def gops(*lengths: int, duration: float = 4.0) -> Stream:
    stream = Stream(duration)
    for length in lengths:
        stream.gop(length)
    stream.run()
    return stream


def test_cut_at_the_first_key_frame_past_the_duration() -> None:
    stream = gops(*[50] * 7)
    assert stream.durations == [4.0, 4.0, 4.0]
    assert stream.segmenter.target == 6
    assert gops(*[60] * 7).durations == [4.8, 4.8, 4.8]


def test_stamps_that_are_rounded_do_not_cost_a_key_frame() -> None:
    stream = Stream()
    for _ in range(9):
        stream.gop(25).jump(-0.001)
    stream.run()
    assert stream.durations == [3.996, 3.996]


def test_nothing_is_left_out_between_cuts() -> None:
    cuts = gops(*[50] * 9).cuts
    assert [cut.end for cut in cuts[:-1]] == [cut.start.position for cut in cuts[1:]]


def test_where_the_next_key_frame_would_come_too_late_this_one_is_taken() -> None:
    assert gops(*[90] * 5).durations == [3.6] * 4
    # And at once: nobody waits for a key frame that is known to be of no use.
    assert gops(90, 1).durations == [3.6]


def test_a_segment_ends_at_a_key_frame_seen_before_it_got_too_long() -> None:
    stream = gops(50, 50, 50, 30, 200, 50, 50)
    assert stream.segmenter.target == 6
    assert stream.durations[:2] == [4.0, 3.2]
    assert all(cut.start.random_access for cut in stream.cuts[:3])


def test_forced_cut_where_no_key_frame_comes_and_the_next_one_ends_it() -> None:
    stream = gops(100, 100, 400, 100, 100)
    assert stream.durations == [4.0, 4.0, 6.0, 6.0, 4.0, 4.0]
    assert [cut.start.random_access for cut in stream.cuts] == [True, True, True, False, False, True]
    assert not any(cut.start.discontinuity for cut in stream.cuts)


def test_the_first_key_frame_interval_sets_the_target() -> None:
    stream = gops(225, 225, 225, 25)
    assert (stream.segmenter.target, stream.durations) == (9, [9.0, 9.0, 9.0])


def test_a_first_interval_without_end_is_not_waited_for() -> None:
    stream = gops(1000)
    assert stream.segmenter.target == 20
    assert stream.durations[0] == 20.0


def test_long_segments() -> None:
    stream = gops(1000, 1000, 1, duration=30.0)
    assert (stream.segmenter.target, stream.durations) == (45, [40.0, 40.0])


def test_the_target_of_the_upstream() -> None:
    stream = Stream()
    stream.segmenter.upstream_target = 10.0
    stream.gop(100).gop(100).run()
    assert stream.segmenter.target == 10


def test_a_wrap_is_no_discontinuity() -> None:
    stream = Stream()
    stream.channel.time = WRAP - 3 * SECOND
    for _ in range(9):
        stream.gop(50)
    stream.run()
    assert stream.durations == [4.0] * 4
    assert not any(cut.start.discontinuity for cut in stream.cuts)


def test_a_hole_in_time_is_not_told_as_duration() -> None:
    stream = Stream()
    stream.gop(100).gop(100).pictures(50).jump(9).gop(100).gop(100).run()
    assert sum(stream.durations) < 19
    assert all(round(seconds) <= 6 for seconds in stream.durations)


def test_a_switch_ends_the_segment_one_picture_behind_its_last_stamp() -> None:
    stream = Stream()
    stream.gop(100).gop(60).run()
    at = len(stream.data)
    stream.segmenter.switch(at)
    assert stream.cuts[-1].end < at
    stream.scanner.splice()
    stream.data += stream.channel.tables()
    start = len(stream.data) + 2 * 188
    stream.jump(5000).gop(100).gop(100).run()
    assert stream.durations == [4.0, 2.4, 4.0]
    assert stream.cuts[1].end == at
    assert (stream.cuts[2].start.position, stream.cuts[2].start.discontinuity) == (start, True)


def test_another_codec_or_pid_is_a_discontinuity() -> None:
    stream = Stream()
    stream.gop(100).gop(50)
    stream.channel.streams = ((VIDEO, H264), (AUDIO + 1, AAC))
    stream.data += stream.channel.pat() + stream.channel.pmt(version=1)
    stream.gop(100).gop(25).run()
    assert stream.durations == [4.0, 2.0, 4.0]
    assert [cut.start.discontinuity for cut in stream.cuts] == [False, False, True]


def test_another_version_of_the_same_tables_is_none() -> None:
    stream = Stream()
    stream.gop(100).gop(50)
    stream.data += stream.channel.pat() + stream.channel.pmt(version=1)
    stream.gop(100).gop(25).run()
    assert not any(cut.start.discontinuity for cut in stream.cuts)


def test_borders_at_key_frames_are_kept() -> None:
    stream = Stream()
    for _ in range(6):
        stream.segmenter.border(len(stream.data))
        stream.gop(25).gop(25).run()
    assert stream.durations == [2.0] * 5


def test_longer_segments_of_the_upstream_are_kept_up_to_the_target() -> None:
    stream = Stream()
    stream.segmenter.upstream_target = 10.0
    for _ in range(4):
        stream.segmenter.border(len(stream.data))
        stream.gop(125).gop(125).run()
    assert stream.durations == [10.0] * 3


def test_borders_within_pictures_are_of_no_use() -> None:
    stream = Stream()
    for _ in range(10):
        stream.segmenter.border(len(stream.data))
        stream.pictures(15).gop(35).run()
    assert stream.durations == [4.0] * 4


@pytest.mark.parametrize("how", ["end", "switch"])
def test_no_segment_of_nothing_where_all_was_cut_already(how: str) -> None:
    """Without stamps a segment is cut where the stream has come to; then it ends, or another source takes over."""
    data = Channel().tables() * 20
    segmenter = Segmenter(4.0, lambda start, end: data[start:end])
    mark = Mark(0, 0.0, None, None, data[: 2 * 188])
    assert [cut.end for cut in segmenter.feed([mark], len(data), 21.0)] == [len(data)]
    if how == "switch":
        segmenter.switch(len(data))
    assert (segmenter.finish(len(data)) if how == "end" else segmenter.feed([], len(data), 21.0)) == []


def test_bytes_that_are_needed() -> None:
    stream = gops(50, 50)
    assert stream.segmenter.needed == 4 * 188
    stream.gop(50).run()
    stream.segmenter.switch(len(stream.data))
    stream.gop(1).run()
    needed = stream.segmenter.needed
    assert needed is not None
    assert needed >= len(stream.data) - 5 * 188


def test_an_open_segment_that_was_lost_is_left_out() -> None:
    stream = gops(100, 100, 50)
    stream.tail = len(stream.data)
    stream.gop(100).gop(25).run()
    assert stream.durations == [4.0, 4.0, 4.0]
    assert [cut.start.discontinuity for cut in stream.cuts] == [False, False, True]


def test_audio_alone_is_cut_on_duration() -> None:
    stream = Stream(channel=Channel((AUDIO, AAC)))
    for _ in range(300):
        stream.data += stream.channel.unit(b"\xff\xf1\x50\x80", AUDIO)
    stream.run()
    assert stream.durations == [4.0, 4.0]


def test_the_start_of_a_file_is_part_of_its_first_segment() -> None:
    stream = Stream()
    stream.segmenter = Segmenter(4.0, lambda start, end: stream.data[start:end], from_start=True)
    stream.pictures(20).gop(100).gop(50).finish()
    assert stream.durations == [4.8, 2.0]
    assert stream.cuts[0].start.position == 0
    assert not stream.cuts[0].start.random_access


def test_only_the_first_segment_holds_what_has_no_access_point() -> None:
    stream = Stream()
    stream.segmenter = Segmenter(4.0, lambda start, end: stream.data[start:end], from_start=True)
    stream.gop(100).gop(20).run()
    at = len(stream.data)
    stream.segmenter.switch(at)
    stream.scanner.splice()
    stream.data += stream.channel.tables()
    stream.gop(50).finish()
    assert stream.durations == [4.0, 0.8, 2.0]
    assert stream.cuts[2].start.position == at + 4 * 188


def test_a_file_whose_second_key_frame_is_late_has_no_segment_of_its_head_alone() -> None:
    stream = Stream()
    stream.segmenter = Segmenter(4.0, lambda start, end: stream.data[start:end], from_start=True)
    stream.gop(600).gop(100).finish()
    assert stream.durations == [20.0, 4.0, 4.0]
    assert stream.cuts[0].start.position == 0


def test_the_end_is_one_picture_behind_the_last_stamp() -> None:
    stream = Stream()
    stream.gop(100).gop(30).finish()
    assert stream.durations == [4.0, 1.2]
    stream = Stream()
    # Alone, the last picture does not tell how long it lasts.
    stream.gop(100).gop(1).finish()
    assert stream.durations == [4.0, 0.04]


def test_telling_marks_twice_does_no_harm() -> None:
    stream = Stream()
    for _ in range(5):
        stream.gop(50)
    marks = stream.scanner.scan(stream.data, 0)
    seconds = stream.scanner.clock.seconds
    first = stream.segmenter.feed(marks, len(stream.data), seconds)
    assert [cut.duration for cut in first] == [4.0, 4.0]
    assert stream.segmenter.feed(marks, len(stream.data), seconds) == []


STEP = st.one_of(
    st.tuples(st.just("gop"), st.integers(1, 250)),
    st.tuples(st.just("jump"), st.floats(-100_000, 100_000)),
    st.tuples(st.just("pictures"), st.integers(1, 200)),
    st.tuples(st.just("hole"), st.floats(0, 9)),
    st.tuples(st.just("switch"), st.just(0)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=12), st.sampled_from([1.0, 2.0, 4.0, 6.5]), st.sampled_from([1, 7, 100, 5000]))
def test_whatever_comes(steps: list[tuple[str, float]], duration: float, chunk: int) -> None:
    stream = Stream(duration, chunk)
    switches = []
    for kind, value in [("gop", 25), *steps, ("gop", 25)]:
        if kind == "gop":
            stream.gop(int(value))
        elif kind == "pictures":
            stream.pictures(int(value))
        elif kind == "switch":
            stream.run()
            switches.append(len(stream.data))
            stream.segmenter.switch(len(stream.data))
            stream.scanner.splice()
            stream.data += stream.channel.tables()
            stream.gop(10)
        else:
            stream.jump(value)
    stream.finish()
    target = stream.segmenter.target
    assert target is not None
    assert stream.cuts[-1].end == len(stream.data)
    for cut in stream.cuts:
        assert cut.start.position < cut.end
        assert cut.duration > 0
        assert int(cut.duration + 0.5) <= target
    for before, after in pairwise(stream.cuts):
        if before.end in switches:
            assert after.start.discontinuity
            assert after.start.position == before.end + 4 * 188
        else:
            assert before.end == after.start.position
    jumped = any(kind in ("jump", "hole", "switch") for kind, _ in steps)
    if not jumped:
        assert sum(cut.duration for cut in stream.cuts) == pytest.approx(_pictures(steps) * 0.04, abs=0.01)
        assert not any(cut.start.discontinuity for cut in stream.cuts)


def _pictures(steps: list[tuple[str, float]]) -> int:
    return 50 + sum(int(value) for kind, value in steps if kind in ("gop", "pictures"))


@pytest.mark.parametrize("ahead", [0.0, -0.8, 50_000.0])
@pytest.mark.parametrize("silent", [6.0, 9.0, 30.0])
def test_sound_goes_on_where_the_pictures_stop_and_durations_stay_true(silent: float, ahead: float) -> None:
    """Whatever time line the sound is on. What returns is no discontinuity; its first key frame begins a segment."""
    stream = Stream()
    for _ in range(5):
        stream.sounding(KEY, *[H264_P] * 49, ahead=ahead)
    began = stream.channel.time - 10 * SECOND
    stream.sounding(*[b""] * round(25 * silent), ahead=ahead).run()
    quiet = len(stream.cuts)
    stream.sounding(*[H264_P] * 30, ahead=ahead)
    for _ in range(4):
        stream.sounding(KEY, *[H264_P] * 49, ahead=ahead)
    stream.run()
    assert stream.segmenter.target == 6
    assert quiet >= (10 + silent) // 6.5
    assert all(cut.duration <= 6.49 for cut in stream.cuts)
    assert not any(cut.start.discontinuity for cut in stream.cuts)
    assert all(before.end == after.start.position for before, after in pairwise(stream.cuts))
    last = stream.cuts[-1].start
    assert last.random_access and last.dts is not None
    told = sum(cut.duration for cut in stream.cuts[:-1])
    assert told == pytest.approx((last.dts - began) / SECOND, abs=0.15)


@pytest.mark.parametrize("shift", [0.0, 1.0])
@pytest.mark.parametrize("chunk", [10, 1 << 20])
def test_a_silence_that_is_told_when_it_is_over_is_no_jump(chunk: int, shift: float) -> None:
    """Who watches late is told all that the ring holds at once. The sound may come `shift` seconds earlier since."""
    stream = Stream(chunk=chunk)
    for _ in range(6):
        stream.sounding(KEY, *[H264_P] * 24)
    stream.sounding(*[b""] * 250).sounding(*[b""] * 250, ahead=shift)
    for _ in range(9):
        stream.sounding(KEY, *[H264_P] * 24, ahead=shift)
    stream.finish()
    assert all(cut.end - cut.start.position >= 20 * 188 * cut.duration for cut in stream.cuts)
    assert sum(stream.durations) == pytest.approx(35 + shift, abs=0.1)
    assert not any(cut.start.discontinuity for cut in stream.cuts)


def test_where_a_switch_comes_while_only_sound_goes_on_its_time_is_told() -> None:
    stream = Stream()
    stream.sounding(KEY, *[H264_P] * 24, *[b""] * 120).run()
    stream.segmenter.switch(len(stream.data))
    stream.run()
    stream.cuts += stream.segmenter.feed([], len(stream.data), stream.scanner.clock.seconds)
    assert sum(cut.duration for cut in stream.cuts) == pytest.approx(5.8, abs=0.1)
