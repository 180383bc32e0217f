"""Which segments can be fetched, under which numbers, and for how long."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.hls.discontinuities import Discontinuities
from fastrelay.hls.m3u8 import Media, parse
from fastrelay.hls.segment import Segment
from fastrelay.hls.store import REPORT_EVERY, Memory, Store
from fastrelay.mpegts.opening import Opening

PLENTY = 1 << 40


def segment(duration: float = 4.0, size: int = 1000, discontinuity: bool = False, independent: bool = True) -> Segment:
    return Segment(bytes(size), duration, discontinuity, Opening(), independent)


def store(now: float = 1_000.0, window: int | None = 6, limit: int = PLENTY) -> Store:
    return Store(now, window, Memory(limit))


def fill(made: Store, count: int, now: float = 1_000.0, duration: float = 4.0, target: int = 6) -> float:
    for _ in range(count):
        now += duration
        made.add(segment(duration), now - duration, target, now)
    return now


def listed(made: Store) -> Media:
    playlist = parse(made.playlist.decode(), "http://x/")
    assert isinstance(playlist, Media)
    return playlist


def test_numbers_begin_at_the_unix_time() -> None:
    made = store(1_763_800_000.9)
    fill(made, 3, now=1_763_800_000.0)
    playlist = listed(made)
    assert (playlist.media_sequence, playlist.discontinuity_sequence) == (1_763_800_000, 0)
    assert made.numbers.sequence == 1_763_800_003


def test_the_window_and_what_stays_beside_it() -> None:
    made = store()
    now = fill(made, 10)
    assert [entry.sequence for entry in made.listed] == list(range(1_004, 1_010))
    assert [removed.entry.sequence for removed in made.removed] == [1_000, 1_001, 1_002, 1_003]
    # Removed at 1,028: 4 s of its own and 28 s of the list that it was last in.
    assert made.removed[0].until == 1_028 + 4 + 28
    assert made.bytes == 10_000
    made.expire(1_059.0)
    assert len(made.removed) == 4
    made.expire(1_060.0)
    assert len(made.removed) == 3
    assert (made.bytes, now) == (9_000, 1_040.0)


def test_every_listed_segment_stays_fetchable_for_its_grace() -> None:
    made, now = store(), 1_000.0
    served: dict[int, float] = {}
    for _ in range(60):
        now = fill(made, 1, now)
        for entry in made.listed:
            served[entry.name] = now + entry.segment.duration + 24.0
        for name, until in served.items():
            assert until < now or made.find(name) is not None


def test_a_short_window_still_lists_three_target_durations() -> None:
    made = store(window=3)
    fill(made, 20)
    assert len(made.listed) == 5


def test_a_name_is_the_time_it_was_given() -> None:
    made = store(2_000.5)
    made.add(segment(), None, 6, 2_000.5)
    made.add(segment(), None, 6, 2_000.5)
    made.add(segment(), None, 6, 2_004.25)
    assert [entry.name for entry in made.listed] == [2_000_500, 2_000_501, 2_004_250]
    assert made.find(2_000_501) is made.listed[1].segment
    assert made.find(7) is None


def test_no_list_begins_in_the_future() -> None:
    made, now = store(window=3), 1_000.0
    for _ in range(100):
        now += 0.4
        made.add(segment(0.4), None, 1, now)
        assert made.listed[0].sequence <= now


def test_discontinuities_are_counted_when_they_leave() -> None:
    made, now, seen = store(window=3), 1_000.0, []
    for number in range(30):
        now += 4
        made.add(segment(discontinuity=number % 5 == 0), None, 4, now)
        playlist = listed(made)
        numbers = {}
        current = playlist.discontinuity_sequence
        for one in playlist.segments:
            current += one.discontinuity
            numbers[one.sequence] = current
        seen.append(numbers)
    for before, after in pairwise(seen):
        assert all(after[key] == value for key, value in before.items() if key in after)
    # The first of all continues nothing that anyone could have seen.
    assert seen[0] == {1_000: 0}
    assert max(seen[-1].values()) == 5


def test_independent_until_one_is_not_and_never_again() -> None:
    made = store(window=3)
    made.add(segment(), None, 4, 1_004.0)
    assert b"#EXT-X-INDEPENDENT-SEGMENTS\n" in made.playlist
    made.add(segment(independent=False), None, 4, 1_008.0)
    fill(made, 20, 1_008.0, target=4)
    assert b"INDEPENDENT" not in made.playlist


def test_bandwidth_peak_and_average() -> None:
    made = store()
    for size in (1_000_000, 2_000_000, 1_000_000):
        made.add(segment(4.0, size), None, 6, 1_010.0)
    assert made.bandwidth == (4_000_000, 2_666_667)
    # A segment of a tenth of the target says nothing by itself.
    made.add(segment(0.4, 1_000_000), None, 6, 1_011.0)
    assert made.bandwidth == (4_000_000, round(40_000_000 / 12.4))


def test_grace_shrinks_first_where_it_ends_soonest() -> None:
    memory = Memory(20_000)
    one, other = Store(1_000.0, 3, memory), Store(1_000.0, 3, memory)
    for number in range(8):
        now = 1_004.0 + 4 * number
        one.add(segment(), None, 4, now)
        other.add(segment(), None, 4, now + 1)
    assert (memory.used, memory.shortened) == (16_000, 0)
    for number in range(8, 20):
        other.add(segment(size=3_000), None, 4, 1_005.0 + 4 * number)
        assert memory.used <= memory.limit
    assert memory.shortened > 0
    assert len(one.listed) == 3
    assert len(other.listed) == 3


def test_the_operator_hears_of_short_memory_once_a_minute() -> None:
    memory = Memory(2_500)
    made = Store(1_000.0, 6, memory)
    now = fill(made, 4)
    assert memory.report(0.0) == 2
    fill(made, 3, now)
    assert memory.report(REPORT_EVERY - 1) == 0
    assert memory.report(REPORT_EVERY) == 3
    assert memory.report(2 * REPORT_EVERY) == 0


def test_listed_segments_go_when_nothing_else_is_left() -> None:
    memory = Memory(10_000)
    one, other = Store(1_000.0, 6, memory), Store(1_000.0, 6, memory)
    fill(one, 3)
    for number in range(9):
        other.add(segment(size=2_000), None, 6, 1_004.0 + 4 * number)
        assert memory.used <= memory.limit
    assert len(one.listed) == 3
    assert listed(other).segments[-1].uri.endswith(f"segment_{other.listed[-1].name}.ts")
    assert len(listed(other).segments) == len(other.listed) == 3


def test_the_newest_segment_stays_whatever_its_size() -> None:
    made = store(limit=10)
    fill(made, 3)
    assert len(made.listed) == 1


def test_a_store_after_another_goes_on_where_that_one_was() -> None:
    made = store(2_000.0)
    for number in range(5):
        made.add(segment(discontinuity=number == 3), None, 6, 2_000.0)
    made.close()
    following = Store(2_001.0, 6, Memory(PLENTY), after=made.numbers)
    following.add(segment(), None, 6, 2_000.0)
    (entry,) = following.listed
    # A new time line: no discontinuity before it had this number.
    assert (entry.sequence, entry.discontinuity_sequence, entry.name) == (2_005, 2, 2_000_005)
    later = Store(2_100.0, 6, Memory(PLENTY), after=made.numbers)
    assert later.numbers.sequence == 2_100
    assert Store(2_100.0, 6, Memory(PLENTY), made.numbers, 70).numbers.discontinuity == 71


def test_close_returns_the_memory() -> None:
    memory = Memory(PLENTY)
    made = Store(1_000.0, 6, memory)
    fill(made, 9)
    assert memory.used == 9_000
    made.close()
    assert memory.used == 0


EVENTS = st.lists(
    st.tuples(st.sampled_from(["add", "add", "add", "burst", "stop"]), st.floats(0.0, 12.0), st.booleans()),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENTS, max_size=4), st.integers(3, 8))
def test_numbers_only_rise_and_no_name_is_given_twice(
    processes: list[list[tuple[str, float, bool]]], window: int
) -> None:
    """Across stops of the stream, and restarts of the process, after which nothing is known of before but how many
    discontinuities were reserved.

    The stream may stop and start at once. The process takes a second to restart, and its last stop was no quicker
    than the burst before it.
    """
    now, begin, names, reserved = 1_763_800_000.0, (0, 0), list[int](), [0]
    for events in processes:
        numbers = Discontinuities(reserved[-1], now, reserved.append)
        made = Store(now, window, Memory(PLENTY), None, numbers.next)
        for event, seconds, discontinuity in events:
            if event == "stop":
                made = Store(now, window, Memory(PLENTY), made.numbers, numbers.next)
            for _ in range(5 if event == "burst" else 1):
                now += seconds if event == "add" else 0.0
                made.add(segment(max(seconds, 0.04), 10, discontinuity), None, 13, now)
                numbers.given(made.numbers.discontinuity)
                names.append(made.listed[-1].name)
                before, begin = begin, _begin(made)
                assert begin[0] >= before[0]
                assert begin[1] >= before[1]
        now = max(now + 1.0, float(begin[0]))
    assert names == sorted(set(names))


def _begin(made: Store) -> tuple[int, int]:
    text = made.playlist.decode()
    media, discontinuity = (re.findall(rf"#EXT-X-{tag}-SEQUENCE:(\d+)", text) for tag in ("MEDIA", "DISCONTINUITY"))
    return int(media[0]), int(discontinuity[0])


def test_render_only_changes_when_the_list_does() -> None:
    made = store()
    fill(made, 3)
    before = made.playlist
    made.expire(5_000.0)
    assert made.playlist is before
    with pytest.raises(AttributeError):
        made.listed[0].segment.data = b""  # type: ignore[misc]
