"""The packager on a stream's ring, as the server feeds it."""

from pathlib import Path

import pytest

from fastrelay.hls.m3u8 import Media, parse
from tests.hls.kit import CHUNK, Live, begins_with_tables, counter_errors, oracle, packets, pid_of, pmt_pids
from tests.kit.clips import clip, ffmpeg_decode
from tests.media import media

STREAMS = {
    "broadcast": ("broadcast-no-idr/broadcast.ts", 1.0),
    "ad-insert": ("ad-insert/80s_with_ad.ts", 4.0),
    "hevc": ("hevc/0.ts", 2.0),
}


def fed(name: str) -> tuple[Live, bytes]:
    file, duration = STREAMS[name]
    source = media(file).read_bytes()
    live = Live(duration, window=None)
    live.watch()
    live.feed(source)
    return live, source[: len(source) // 188 * 188]


@pytest.mark.parametrize("name", STREAMS)
def test_live_segments_are_the_ring_from_the_first_access_point_on(name: str) -> None:
    live, _ = fed(name)
    joined = b"".join(entry.segment.data for entry in live.store.listed)
    first = live.ingest.index.marks[0]
    assert live.packager is not None
    needed = live.packager.segmenter.needed
    assert needed is not None
    tables = {0} | pmt_pids(joined)
    assert oracle(joined, tables) == oracle(live.ring.copy(first.position, needed), tables)
    assert counter_errors(joined, tables) == 0
    assert all(begins_with_tables(entry.segment.data) for entry in live.store.listed)


@pytest.mark.parametrize("name", STREAMS)
def test_a_late_viewer_finds_what_the_ring_holds(name: str) -> None:
    live, _ = fed(name)
    late = Live(live.duration, window=None)
    late.ingest = live.ingest
    late.now = live.now
    late.watch()
    mine = [(one.segment.data, one.segment.duration) for one in late.store.listed]
    assert mine == [(one.segment.data, one.segment.duration) for one in live.store.listed]


def test_a_late_viewer_of_a_small_ring_finds_its_newest_part() -> None:
    source = media("ad-insert/80s_with_ad.ts").read_bytes()
    live = Live(4.0, ring_size=600_000, window=None, now=2_000.0)
    live.feed(source[: 20 * CHUNK])
    assert live.ring.tail > 0
    live.watch()
    assert len(live.store.listed) >= 3
    playlist = parse(live.store.playlist.decode(), "http://x/")
    assert isinstance(playlist, Media)
    assert [round(one.duration, 2) for one in playlist.segments] == [4.0] * len(playlist.segments)


def test_a_switch_between_sources() -> None:
    live = Live(4.0, window=None)
    live.watch()
    live.feed(clip("h264_gop1").read_bytes())
    live.switch()
    live.feed(clip("h264_other").read_bytes())
    live.switch()
    live.feed(clip("hevc").read_bytes())
    found = [(round(one.segment.duration, 2), one.discontinuity) for one in live.store.listed]
    assert found == [(4.0, False)] * 3 + [(4.0, True), (4.0, False), (4.0, False), (4.0, True), (4.0, False)]
    numbers = [one.discontinuity_sequence for one in live.store.listed]
    assert numbers == [0, 0, 0, 1, 1, 1, 2, 2]
    assert live.packager is not None
    assert live.packager.opening.codecs == ("hvc1.1.6.L60.90", "mp4a.40.2")


def test_dates_advance_by_the_durations_from_one_reading_of_the_clock() -> None:
    live = Live(4.0, window=None, now=5_000.0)
    live.watch()
    live.feed(clip("h264_gop1").read_bytes(), seconds_per_chunk=1.3)
    first, *others = live.store.listed
    assert first.date is not None
    # Published when its last picture was there: it began one segment earlier.
    assert live.now - 20 < first.date < live.now - 4
    assert [one.date for one in others] == [first.date + 4.0]


def test_the_date_is_that_of_the_first_picture() -> None:
    live = Live(4.0, window=None)
    live.feed(clip("h264_gop1").read_bytes())
    live.now = 9_000.0
    live.watch()
    mark, index = live.ingest.index.marks[0], live.ingest.index
    assert live.store.listed[0].date == pytest.approx(9_000.0 - (index.seconds - mark.seconds))
    assert index.seconds > 11


def test_before_they_are_seen_dates_are_counted_anew_so_that_the_head_is_now() -> None:
    """20 s of media in no time: when the first segment is whole, the newest of it has not come yet."""
    live = Live(2.0, window=None)
    live.watch()
    live.feed(clip("h264_gop1").read_bytes(), seconds_per_chunk=0.0)
    live.switch()
    other = packets(clip("h264_other").read_bytes())
    live.feed(b"".join(other[: len(other) * 2 // 3]), seconds_per_chunk=0.0)
    assert live.packager is not None
    index, begun = live.ingest.index, live.packager.segmenter.needed
    behind = index.seconds - next(mark.seconds for mark in index.marks if mark.position == begun)
    live.packager.date_anew(index.seconds, live.now)
    seen = list(live.store.listed)
    end = live.now - behind
    for one in reversed(seen):
        end -= one.segment.duration
        assert one.date == pytest.approx(end, abs=0.002)
        assert one.lines in live.store.playlist
    assert any(one.discontinuity for one in seen)
    live.feed(b"".join(other[len(other) * 2 // 3 :]), seconds_per_chunk=9.0)
    assert list(live.store.listed)[: len(seen)] == seen
    last, following = seen[-1], live.store.listed[len(seen)]
    assert last.date is not None and following.date == pytest.approx(last.date + last.segment.duration)


def test_dates_never_overlap() -> None:
    live = Live(2.0, window=None)
    live.watch()
    for name in ("h264_gop1", "h264_other", "mpeg2"):
        # Bursts: 12 s of media in no time.
        live.feed(clip(name).read_bytes(), seconds_per_chunk=0.0)
        live.switch()
    end = 0.0
    for one in live.store.listed:
        assert one.date is not None
        assert one.date >= end - 0.001
        end = one.date + one.segment.duration


def test_the_end_of_a_finite_source() -> None:
    live = Live(4.0, window=6)
    live.watch()
    live.feed(clip("h264_gop1").read_bytes())
    assert live.packager is not None
    assert b"ENDLIST" not in live.store.playlist
    live.packager.finish(live.ring.head, live.ingest.index.seconds, live.now)
    assert live.store.playlist.endswith(b"#EXT-X-ENDLIST\n")
    assert sum(one.segment.duration for one in live.store.listed) == pytest.approx(12.0)


def test_segments_come_while_there_is_sound_without_pictures(tmp_path: Path) -> None:
    """A clip whose video PID is missing for some 7 of its 12 s."""
    source = packets(clip("h264_gop1").read_bytes())
    missing = range(len(source) // 5, len(source) * 3 // 4)
    live = Live(2.0, window=None)
    live.watch()
    heard = 0
    for at, packet in enumerate(source):
        if at not in missing or pid_of(packet) != 0x100:
            live.feed(packet, seconds_per_chunk=0.01)
        if at == missing[-1]:
            heard = sum(0x100 not in map(pid_of, packets(one.segment.data)) for one in live.store.listed)
    assert heard
    listed = list(live.store.listed)
    durations = [one.segment.duration for one in listed]
    quiet = [one for one in listed if 0x100 not in map(pid_of, packets(one.segment.data))]
    assert quiet and max(durations) <= 3.49
    assert not any(one.discontinuity for one in listed[1:])
    mark = live.ingest.index.marks[-1]
    last = listed[-1].segment
    assert last.independent
    assert sum(durations) == pytest.approx(mark.seconds - live.ingest.index.marks[0].seconds, abs=2.3)
    (tmp_path / "last.ts").write_bytes(last.data)
    pictures, complaints = ffmpeg_decode(tmp_path / "last.ts")
    assert pictures >= 25 and complaints == ""
