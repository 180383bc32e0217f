"""The checker finds each kind of fault, and only faults."""

import time
from collections.abc import Callable

import pytest

from tests.kit.checker import Checker
from tests.kit.position_coded import PositionCoded
from tests.kit.ts_packets import PACKET, discontinuity_packet, pid_of, psi_packet

A = PositionCoded(source_id=1, byte_rate=200_000)
OTHER = PositionCoded(source_id=2, byte_rate=300_000, gop=2, pmt_pid=0x40, video_pid=0x41, audio_pid=0x42)
B = OTHER.sent_after(A)
KEY_A = A.media_start(75)
KEY_B = B.media_start(150)


def psi(source: PositionCoded, number: int, version: int) -> bytes:
    counter = source.psi_counter(source.frame_of(number))
    return psi_packet(0, counter, source.pat(version, A.source_id)) + psi_packet(
        source.pmt_pid, counter, source.pmt(version)
    )


def with_version(source: PositionCoded, stream: bytes, version: int) -> bytes:
    """The stream with its PSI rewritten, as a relay does after a switch."""
    out = bytearray(stream)
    for at in range(0, len(out), PACKET):
        pid, counter = pid_of(out[at : at + 3]), out[at + 3] & 15
        if pid in (0, source.pmt_pid):
            section = source.pmt(version) if pid else source.pat(version, A.source_id)
            out[at : at + PACKET] = psi_packet(pid, counter, section)
    return bytes(out)


def joined(count: int = 1000) -> bytes:
    """What a viewer gets who joins A at a key frame."""
    return psi(A, KEY_A, 0) + A.packets(count, KEY_A)


def counter_before(source: PositionCoded, pid: int, number: int) -> int:
    """Of the packet with this PID that precedes `number` (for PSI: the one before the one in force)."""
    stream = source.packets(300, number - 300)
    found = [stream[at + 3] & 15 for at in range(0, len(stream), PACKET) if pid_of(stream[at : at + 3]) == pid]
    return found[-2] if pid in (0, source.pmt_pid) else found[-1]


def switched(version: int = 1, count: int = 1000, flags: tuple[int, ...] = B.pids, to: PositionCoded = B) -> bytes:
    """A viewer of A who is taken to B at a key frame, with an inserted flagged packet for each PID."""
    inserted = b"".join(discontinuity_packet(pid, counter_before(to, pid, KEY_B)) for pid in flags)
    after = psi(to, KEY_B, version) + with_version(to, to.packets(count, KEY_B), version)
    return joined(300) + inserted + after


def check(stream: bytes, chunk: int = 1 << 20) -> Checker:
    checker = Checker(A, OTHER)
    for at in range(0, len(stream), chunk):
        checker.feed(stream[at : at + chunk])
    return checker


@pytest.mark.parametrize("chunk", [1, 187, 188, 189, 5000, 1 << 20])
def test_clean_data_passes_in_any_chunking(chunk: int) -> None:
    stream = joined()
    checker = check(stream, chunk)
    checker.verify(least=len(stream), switches=0)
    assert checker.leftover == 0
    assert (checker.starts[0].source_id, checker.starts[0].number) == (1, KEY_A)


@pytest.mark.parametrize("chunk", [100, 1 << 20])
def test_a_clean_switch_passes(chunk: int) -> None:
    checker = check(switched(), chunk)
    checker.verify(least=1300 * PACKET, switches=1)
    assert (checker.switches[0].source_id, checker.switches[0].number) == (2, KEY_B)


def test_a_switch_to_pids_that_no_receiver_knows_is_a_fault() -> None:
    fault = check(switched(flags=OTHER.pids, to=OTHER)).fault
    assert fault is not None
    assert "IDR" in fault.expected or "PMT" in fault.expected


@pytest.mark.parametrize("numbers", [B, OTHER], ids=["of a source before", "its own"])
def test_who_joins_after_a_switch_gets_the_numbers_of_the_first_source(numbers: PositionCoded) -> None:
    check(psi(numbers, KEY_B, 9) + with_version(numbers, numbers.packets(500, KEY_B), 9)).verify(switches=0)


def test_a_viewer_may_join_right_at_a_switch_and_see_its_flags() -> None:
    stream = psi(B, KEY_B, 9) + discontinuity_packet(B.video_pid, counter_before(B, B.video_pid, KEY_B))
    check(stream + with_version(B, B.packets(500, KEY_B), 9)).verify(switches=0)


def test_the_flag_may_be_set_in_place() -> None:
    flags = tuple(pid for pid in B.pids if pid != B.video_pid)
    stream = bytearray(switched(flags=flags))
    first = (2 + 300 + 3 + 2) * PACKET
    assert pid_of(stream[first : first + 3]) == B.video_pid
    stream[first + 5] |= 0x80
    check(bytes(stream)).verify(switches=1)


def test_the_same_source_again_is_a_switch_too() -> None:
    inserted = b"".join(discontinuity_packet(pid, counter_before(A, pid, KEY_A)) for pid in A.pids)
    check(joined(300) + inserted + psi(A, KEY_A, 1) + with_version(A, A.packets(400, KEY_A), 1)).verify(switches=1)


def edit(stream: bytes, at: int, change: Callable[[list[bytes]], None]) -> bytes:
    """Change the packets from packet `at` on."""
    packets = [stream[i : i + PACKET] for i in range(at * PACKET, len(stream), PACKET)]
    change(packets)
    return stream[: at * PACKET] + b"".join(packets)


def flip(offset: int) -> Callable[[list[bytes]], None]:
    def change(packets: list[bytes]) -> None:
        first = bytearray(packets[0])
        first[offset] ^= 1
        packets[0] = bytes(first)

    return change


def swap(packets: list[bytes]) -> None:
    packets[0], packets[1] = packets[1], packets[0]


@pytest.mark.parametrize("at", [2, 3, 40, 500])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (flip(0), "sync byte"),
        (flip(3), "packet "),
        (flip(100), "damaged"),
        (flip(187), "packet "),
        (lambda packets: packets.pop(0), ""),
        (lambda packets: packets.insert(0, packets[0]), ""),
        (swap, ""),
    ],
    ids=["sync", "counter", "body", "last byte", "dropped", "doubled", "swapped"],
)
def test_a_fault_is_found_where_it_is(
    at: int, change: Callable[[list[bytes]], None], words: str, request: pytest.FixtureRequest
) -> None:
    checker = check(edit(joined(), at, change))
    assert checker.fault is not None and words in str(checker.fault)
    doubled = "doubled" in request.node.callspec.id
    assert checker.fault.position == (at + doubled) * PACKET
    with pytest.raises(AssertionError, match="expected"):
        checker.verify()


def test_a_hole_and_a_repetition_are_measured() -> None:
    hole = check(edit(joined(), 500, lambda packets: packets.__delitem__(slice(0, 7))))
    assert "(7 too far)" in str(hole.fault)
    again = check(edit(joined(), 500, lambda packets: packets.insert(1, packets[0])))
    assert "(1 back)" in str(again.fault)


def without(*numbers: int) -> Callable[[bytes], bytes]:
    return lambda stream: b"".join(
        stream[i : i + PACKET] for i in range(0, len(stream), PACKET) if i // PACKET not in numbers
    )


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        (without(0)(joined()), "a PAT"),
        (without(1)(joined()), "a PMT"),
        (without(2)(joined()), "start of an IDR"),
        (psi(OTHER, KEY_B, 0) + A.packets(100, KEY_A), "start of an IDR"),
        (psi(A, KEY_A, 0) + A.packets(100, A.media_start(77)), "start of an IDR"),
        (joined(300) + B.packets(100, KEY_B), "of source 1"),
        (joined(300) + psi(B, KEY_B, 1) + B.packets(100, KEY_B), "packet"),
        (switched(version=0), "new PMT version"),
        (switched(flags=(0, B.pmt_pid, B.audio_pid)), f"indicator on the first packet of PID {A.video_pid}"),
        (switched(flags=(0, B.pmt_pid, B.video_pid)), f"indicator on the first packet of PID {A.audio_pid}"),
        (switched(flags=B.pids[1:]), "first packet of PID 0"),
    ],
    ids=[
        "no PAT", "no PMT", "no key frame", "PSI of another source", "not at a key frame", "a switch in silence",
        "an unflagged switch", "old version", "video unflagged", "audio unflagged", "PAT unflagged",
    ],
)  # fmt: skip
def test_a_wrong_start_is_found(stream: bytes, words: str) -> None:
    fault = check(stream).fault
    assert fault is not None and words in str(fault)


def test_psi_that_changes_without_a_switch_is_found() -> None:
    stream = psi(A, KEY_A, 3) + A.packets(200, KEY_A)
    fault = check(stream).fault
    assert fault is not None and "the PAT in force" in str(fault)


@pytest.mark.parametrize("pid", [0, A.pmt_pid])
def test_a_wrong_continuity_counter_of_psi_is_found(pid: int) -> None:
    stream = joined()
    at = next(i for i in range(3, 1000) if pid_of(stream[i * PACKET : i * PACKET + 3]) == pid)
    fault = check(edit(stream, at, flip(3))).fault
    assert fault is not None and fault.position == at * PACKET
    assert "continuity counter" in fault.expected


def test_an_inserted_packet_with_the_wrong_counter_is_found() -> None:
    wrong = discontinuity_packet(B.video_pid, counter_before(B, B.video_pid, KEY_B) + 3)
    flags = tuple(pid for pid in B.pids if pid != B.video_pid)
    stream = edit(switched(flags=flags), 302, lambda packets: packets.insert(0, wrong))
    fault = check(stream).fault
    assert fault is not None and "after the inserted packet" in str(fault)


def test_fifty_viewers_of_one_source_are_checked_fast() -> None:
    source = PositionCoded(byte_rate=1_000_000)
    key = source.media_start(50)
    stream = psi(source, key, 0) + source.packets(4_000_000 // PACKET, key)
    checkers = [Checker(source) for _ in range(50)]
    start = time.process_time()
    for checker in checkers:
        for at in range(0, len(stream), 65_536):
            checker.feed(stream[at : at + 65_536])
        checker.verify(least=3_900_000)
    rate = 50 * len(stream) / (time.process_time() - start)
    assert rate > 20e6, f"{rate / 1e6:.0f} MB/s"
