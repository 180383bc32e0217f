"""33-bit time: wraps, jitter and jumps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrelay.mpegts.clock import SILENCE, WRAP, MediaClock, ProgramClock, ticks_between


@pytest.mark.parametrize(
    ("earlier", "later", "ticks"),
    [(0, 90_000, 90_000), (90_000, 0, -90_000), (WRAP - 10, 5, 15), (5, WRAP - 10, -15), (7, 7, 0)],
)
def test_shortest_way(earlier: int, later: int, ticks: int) -> None:
    assert ticks_between(earlier, later) == ticks


@given(st.integers(0, WRAP - 1), st.integers(-(WRAP >> 1), (WRAP >> 1) - 1))
def test_way_and_back(start: int, step: int) -> None:
    assert ticks_between(start, (start + step) % WRAP) == step


def clock(*stamps: int) -> MediaClock:
    made = MediaClock()
    for stamp in stamps:
        made.tick(stamp % WRAP)
    return made


def test_the_first_stamp_is_second_zero() -> None:
    assert clock(123_456).seconds == 0.0


def test_a_wrap_is_unnoticed() -> None:
    made = clock(-90_000, -45_000, 0, 45_000)
    assert (made.seconds, made.jumps) == (1.5, 0)


def test_reordered_stamps_do_not_count_twice() -> None:
    """PTS of an open group without DTS: I P B B."""
    made = clock(0, 10_800, 3_600, 7_200, 14_400)
    assert (made.seconds, made.jumps) == (0.16, 0)


@pytest.mark.parametrize("jump", [-91_000, 901_000, 1 << 32])
def test_a_jump_adds_no_time_and_the_clock_goes_on_from_there(jump: int) -> None:
    made = clock(500_000, 590_000, 590_000 + jump, 590_000 + jump + 90_000)
    assert (made.seconds, made.jumps) == (2.0, 1)


def test_a_pause_of_ten_seconds_is_no_jump() -> None:
    made = clock(0, 900_000)
    assert (made.seconds, made.jumps) == (10.0, 0)


def test_forget_makes_the_next_stamp_the_first_one() -> None:
    made = clock(0, 90_000)
    made.forget()
    made.tick(5_000_000)
    made.tick(5_090_000)
    assert (made.seconds, made.jumps) == (2.0, 0)


@given(st.lists(st.integers(0, WRAP - 1), max_size=50))
def test_seconds_never_go_back(stamps: list[int]) -> None:
    made = MediaClock()
    before = 0.0
    for stamp in stamps:
        made.tick(stamp)
        assert made.seconds >= before
        before = made.seconds


def program(*stretches: tuple[str, float, float]) -> ProgramClock:
    """Stamps of the main stream, the other one, or both, each 0.1 s from one second up to another."""
    made = ProgramClock()
    for which, start, end in stretches:
        for tenth in range(round(10 * start), round(10 * end)):
            if which != "other":
                made.tick(9_000 * tenth)
            if which != "main":
                made.stand_in((9_000 * tenth - 500_000_000) % WRAP)
    return made


def test_another_stream_stands_in_for_a_main_stream_that_is_silent() -> None:
    assert program(("both", 0, 10), ("other", 10, 9.9 + SILENCE)).seconds == pytest.approx(9.9, abs=0.15)
    assert program(("both", 0, 10), ("other", 10, 30)).seconds == pytest.approx(29.9, abs=0.15)
    assert program(("both", 0, 10), ("other", 10, 30)).main_seconds == pytest.approx(9.9, abs=0.15)
    assert program(("other", 0, 30)).seconds == pytest.approx(29.9, abs=0.15)


@pytest.mark.parametrize("back", [12, 17, 30, 300])
def test_a_main_stream_that_returns_goes_on_from_there(back: float) -> None:
    made = program(("both", 0, 10), ("other", 10, back), ("both", back, back + 20))
    assert made.seconds == pytest.approx(back + 19.9, abs=0.2)
    assert made.main_seconds == pytest.approx(made.seconds, abs=0.15)


def test_sound_in_front_of_its_pictures_does_not_count_twice() -> None:
    """Segments of 8 s that have all their sound first: the pictures that come then are no new time."""
    parts = [(which, at, at + 8.0) for at in (0.0, 8.0, 16.0) for which in ("other", "main")]
    made = program(*parts)
    assert (made.seconds, made.main_seconds) == (pytest.approx(24, abs=0.3), pytest.approx(23.9))


@pytest.mark.parametrize("first", ["main", "other"])
@pytest.mark.parametrize("hole", [6.0, 9.0])
def test_a_hole_in_all_streams_is_no_silence_of_the_main_one(first: str, hole: float) -> None:
    """The bytes of some seconds are missing: pictures and sound both go on that much later."""
    made = program(("both", 0, 10))
    back = 10 + hole
    for tenth in range(round(10 * back), round(10 * back) + 20):
        for which in (first, "other" if first == "main" else "main"):
            if which == "main":
                made.tick(9_000 * tenth)
            else:
                made.stand_in((9_000 * tenth - 500_000_000) % WRAP)
        assert made.seconds == pytest.approx(tenth / 10, abs=0.15)
        assert made.main_seconds == pytest.approx(made.seconds)
