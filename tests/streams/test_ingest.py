"""The way of the bytes without sockets: what of several sources ends up in the ring, and how much is kept."""

from fastrelay.mpegts.packet import PACKET_SIZE, pid_at
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


def restarted(data: bytes) -> bytes:
    """The packets as a packager sends them that counts each segment anew."""
    out, counters = bytearray(data), dict[int, int]()
    for at in range(0, len(out), PACKET_SIZE):
        pid = pid_at(out, at)
        counters[pid] = counters.get(pid, 8) + (1 if out[at + 3] & 0x10 else 0) & 0x0F
        out[at + 3] = out[at + 3] & 0xF0 | counters[pid]
    return bytes(out)


def counters(data: bytes) -> dict[int, list[int]]:
    """Of the packets with payload, by PID."""
    found: dict[int, list[int]] = {}
    for at in range(0, len(data), PACKET_SIZE):
        if data[at + 3] & 0x10:
            found.setdefault(pid_at(data, at), []).append(data[at + 3] & 0x0F)
    return found


def test_counters_go_on_over_the_borders_of_segments() -> None:
    into = ingest()
    for number in range(6):
        into.begin_segment(1.0)
        # Of different lengths: each border is another jump.
        feed(into, restarted(FIRST.take(1.0 + 0.04 * number, start=2.0 * number)))
    assert into.scanner.continuity_errors == 0
    sent = counters(into.ring.copy(into.ring.tail, into.ring.head))
    assert len(sent) == 4
    for found in sent.values():
        assert found == [number & 0x0F for number in range(9, 9 + len(found))]


def test_counters_of_another_source_are_its_own() -> None:
    into = ingest()
    for number in range(4):
        if number == 2:
            into.begin()
        into.begin_segment(1.0)
        feed(into, restarted(FIRST.take(1.0 + 0.04 * number, start=2.0 * number)))
    assert into.scanner.continuity_errors == 0
    (splice,) = into.index.splices
    spliced = counters(into.ring.copy(splice, into.ring.head))
    assert {found[0] for found in spliced.values()} == {9}


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
