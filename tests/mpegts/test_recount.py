"""Counters over a border: which packets tell how far to shift them, and that all others stay as they are."""

from fastrelay.mpegts.packet import DISCONTINUITY, PACKET_SIZE
from fastrelay.mpegts.recount import Recounter

VIDEO, AUDIO = 0x100, 0x101
PAYLOAD, NOTHING, BOTH = 0x10, 0x20, 0x30


def packet(pid: int, counter: int, carries: int = PAYLOAD, flags: int = 0, damaged: int = 0) -> bytes:
    head = bytes((0x47, damaged | pid >> 8, pid & 0xFF, carries | counter))
    body = bytes((PACKET_SIZE - 5 if carries == NOTHING else 1, flags)) if carries & NOTHING else b""
    return (head + body).ljust(PACKET_SIZE, b"\xaa")


def sent(recounter: Recounter, *packets: bytes) -> list[int]:
    """The counters of the packets, as they are sent; nothing else of them may change."""
    data = b"".join(packets)
    out = bytes(recounter.rewrite(data))
    assert len(out) == len(data)
    assert all(a == b or at % PACKET_SIZE == 3 for at, (a, b) in enumerate(zip(out, data, strict=True)))
    assert {a ^ b for a, b in zip(out[3::PACKET_SIZE], data[3::PACKET_SIZE], strict=True)} <= set(range(16))
    return [control & 0x0F for control in out[3::PACKET_SIZE]]


def behind(**last: int) -> Recounter:
    recounter = Recounter({VIDEO: last.get("video"), AUDIO: last.get("audio")}.get)
    recounter.border()
    return recounter


def test_every_pid_goes_on_from_its_own_counter() -> None:
    recounter = behind(video=7, audio=15)
    assert sent(recounter, packet(VIDEO, 0), packet(AUDIO, 3), packet(VIDEO, 1), packet(AUDIO, 4)) == [8, 0, 9, 1]
    assert sent(recounter, packet(VIDEO, 2), packet(AUDIO, 5)) == [10, 2]


def test_what_goes_on_already_is_not_touched() -> None:
    data = packet(VIDEO, 8) + packet(AUDIO, 0)
    assert behind(video=7, audio=15).rewrite(data) is data


def test_nothing_changes_without_a_border() -> None:
    recounter = behind(video=7)
    recounter.begin()
    data = packet(VIDEO, 3)
    assert recounter.rewrite(data) is data


def test_a_pid_of_which_nothing_was_sent_keeps_its_counters() -> None:
    assert sent(behind(video=7), packet(AUDIO, 5), packet(VIDEO, 0), packet(AUDIO, 6)) == [5, 8, 6]


def test_a_jump_that_is_announced_stays_one() -> None:
    assert sent(behind(video=7), packet(VIDEO, 0, BOTH, DISCONTINUITY), packet(VIDEO, 1)) == [0, 1]


def test_the_counter_stands_still_in_a_packet_without_payload() -> None:
    assert sent(behind(video=7), packet(VIDEO, 15, NOTHING), packet(VIDEO, 0), packet(VIDEO, 0, NOTHING)) == [7, 8, 8]


def test_a_damaged_packet_tells_nothing() -> None:
    assert sent(behind(video=7), packet(VIDEO, 5, damaged=0x80), packet(VIDEO, 0))[1] == 8


def test_the_first_packet_that_tells_may_come_late() -> None:
    recounter = behind(video=7)
    assert sent(recounter, packet(VIDEO, 15, NOTHING)) == [15]
    assert sent(recounter, packet(VIDEO, 0)) == [8]


def test_the_next_border_counts_anew() -> None:
    last = {VIDEO: 7}
    recounter = Recounter(last.get)
    recounter.border()
    assert sent(recounter, packet(VIDEO, 0)) == [8]
    last[VIDEO] = 8
    recounter.border()
    assert sent(recounter, packet(VIDEO, 0), packet(VIDEO, 1)) == [9, 10]
