"""The way of the bytes without sockets: what of several sources ends up in the ring, and how much is kept."""

from fastrelay.mpegts.packet import PACKET_SIZE
from fastrelay.ring.index import Index
from fastrelay.ring.retention import Retention
from fastrelay.ring.ring import Ring
from fastrelay.streams.ingest import PIECE, Ingest
from tests.kit.checker import Checker
from tests.kit.position_coded import PositionCoded

FIRST = PositionCoded(source_id=1, gop=1.0)
SECOND = PositionCoded(source_id=2, program=7, pmt_pid=0x300, video_pid=0x310, audio_pid=0x311)


def ingest(size: int = 4 << 20, seconds: float = 8.0, limit: int = 64 << 20) -> Ingest:
    return Ingest(Ring(size), Index(), Retention(seconds, 2.0, limit))


def feed(into: Ingest, data: bytes) -> None:
    for start in range(0, len(data), PIECE):
        into.feed(data[start : start + PIECE])


def check(into: Ingest, *sources: PositionCoded) -> Checker:
    checker = Checker(*sources)
    checker.feed(into.ring.copy(into.ring.tail, into.ring.head))
    return checker


def test_a_source_is_held_back_until_a_picture_begins() -> None:
    into = ingest()
    middle = FIRST.take(0.5, start=1.3)
    feed(into, middle)
    assert (into.open, into.ring.head) == (False, 0)
    assert "random-access point" in into.missing()
    feed(into, FIRST.take(1.0, start=1.8))
    assert into.open
    check(into, FIRST).verify(switches=0)
    assert into.index.marks[0].position == len(into.index.marks[0].tables)


def test_an_unfinished_packet_dies_with_its_source() -> None:
    into = ingest()
    feed(into, FIRST.take(2.0) + FIRST.packets(1, start=10_000)[:100])
    into.begin()
    feed(into, SECOND.take(0.5))
    checker = check(into, FIRST, SECOND)
    checker.verify(switches=1)
    # Nothing of the second source was lost to finding its packets: its very first picture is the one spliced in.
    assert into.ring.head > len(FIRST.take(2.0)) + len(SECOND.take(0.5)) - 10 * PACKET_SIZE


def test_a_splice_is_flagged_on_every_pid_and_marks_go_on_with_the_new_tables() -> None:
    into = ingest()
    feed(into, FIRST.take(2.0))
    seconds = into.index.seconds
    into.begin()
    feed(into, SECOND.take(2.0))
    check(into, FIRST, SECOND).verify(switches=1)
    assert into.index.seconds >= seconds + 1.9
    tables = [mark.tables for mark in into.index.marks]
    assert tables[0] != tables[-1]
    assert into.scanner.continuity_errors == 0
    assert [mark.seconds for mark in into.index.marks] == sorted(mark.seconds for mark in into.index.marks)


def test_the_same_source_again_is_a_splice_too() -> None:
    into = ingest()
    feed(into, FIRST.take(2.0))
    into.begin()
    feed(into, FIRST.take(2.0, start=30.0))
    check(into, FIRST).verify(switches=1)


def test_a_hole_between_sources_is_no_media_time() -> None:
    """The stamps of the next source happen to go on a few seconds later: nobody has these seconds."""
    into = ingest()
    feed(into, FIRST.take(2.0))
    into.begin()
    feed(into, FIRST.take(2.0, start=8.0))
    assert 3.5 < into.index.seconds < 4.1


def test_the_ring_grows_instead_of_forgetting_young_media() -> None:
    into = ingest(size=2 << 20)
    feed(into, FIRST.take(30.0))
    assert into.index.seconds_behind(into.ring.tail) >= 8.0
    assert into.ring.size <= 6 << 20


def test_the_ring_stays_within_its_limit() -> None:
    into = ingest(size=2 << 20, limit=3 << 20)
    feed(into, FIRST.take(30.0))
    assert into.ring.size == 3 << 20
    assert all(mark.position >= into.ring.tail for mark in into.index.marks)
