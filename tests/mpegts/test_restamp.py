"""Loops without a seam, read back with a parser of the test's own and with ffprobe."""

import itertools
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.demo import demo_clip
from fastrelay.mpegts.restamp import Restamper
from tests.media import media

WRAP = 1 << 33


def looped(recording: bytes, rounds: int, by: int = 188 * 100) -> bytes:
    restamper = Restamper()
    out = []
    for number in range(rounds):
        if number:
            restamper.seam()
        out += [restamper.restamp(recording[at : at + by]) for at in range(0, len(recording), by)]
    return b"".join(out)


def stamp(prefix: int, ticks: int) -> bytes:
    high, middle, low = ticks >> 30, ticks >> 15 & 0x7FFF, ticks & 0x7FFF
    return bytes([prefix << 4 | high << 1 | 1]) + (middle << 1 | 1).to_bytes(2) + (low << 1 | 1).to_bytes(2)


def unstamp(field: bytes) -> int:
    bits = f"{int.from_bytes(field):040b}"
    assert bits[7] + bits[23] + bits[39] == "111", "marker bits"
    return int(bits[4:7] + bits[8:23] + bits[24:39], 2)


def picture(counter: int, dts: int, pts: int, pcr: int, pid: int = 0x100, stream: int = 0xE0) -> bytes:
    """One packet with a PCR of extension 123 and a PES head with PTS and DTS."""
    clock = ((pcr % WRAP) << 15 | 0x3F << 9 | 123).to_bytes(6)
    pes = b"\0\0\1" + bytes([stream, 0, 0, 0x80, 0xC0, 10]) + stamp(3, pts % WRAP) + stamp(1, dts % WRAP)
    head = bytes([0x47, 0x40 | pid >> 8, pid & 0xFF, 0x30 | counter & 15, 7, 0x10]) + clock
    return (head + pes).ljust(188, b"x")


def read(stream: bytes) -> list[tuple[int, int, int, int]]:
    """(counter, pcr, pts, dts) of packets of the layout above."""
    packets = [stream[at : at + 188] for at in range(0, len(stream), 188)]
    return [(one[3] & 15, int.from_bytes(one[6:12]) >> 15, unstamp(one[21:26]), unstamp(one[26:31])) for one in packets]


@given(
    start=st.integers(0, WRAP - 1),
    step=st.integers(1, 9000),
    count=st.integers(2, 40),
    first_counter=st.integers(0, 15),
    by=st.integers(1, 9),
)
@settings(deadline=None, max_examples=100)
def test_every_round_goes_on_where_the_last_one_ended(
    start: int, step: int, count: int, first_counter: int, by: int
) -> None:
    recording = b"".join(
        picture(first_counter + n, start + n * step, start + n * step + 3000, start + n * step - 9000)
        for n in range(count)
    )
    out = read(looped(recording, 3, by * 188))
    assert out == [
        (
            (first_counter + n) % 16,
            (start + n * step - 9000) % WRAP,
            (start + n * step + 3000) % WRAP,
            (start + n * step) % WRAP,
        )
        for n in range(3 * count)
    ]


def test_nothing_but_stamps_and_counters_changes() -> None:
    recording = demo_clip()
    first, second = Restamper(), Restamper()
    assert first.restamp(recording) == recording
    second.restamp(recording)
    second.seam()
    moved = second.restamp(recording)
    differing = {at % 188 for at in range(len(recording)) if recording[at] != moved[at]}
    assert 3 in differing
    extensions = [at for at in range(0, len(recording), 188) if recording[at + 3] & 0x20 and recording[at + 4] >= 7]
    assert extensions
    assert all(recording[at + 10] & 0x7F == moved[at + 10] & 0x7F for at in extensions)
    assert all(recording[at + 11] == moved[at + 11] for at in extensions)


def test_a_packet_without_payload_does_not_count_at_the_seam() -> None:
    bare = bytearray(picture(5, 0, 0, 0))
    bare[3:5] = 0x20 | 5, 183
    recording = bytes(bare) + picture(6, 3600, 3600, 3600) + picture(7, 7200, 7200, 7200)
    assert read_counters(looped(recording, 2)) == [5, 6, 7, 7, 8, 9]


def read_counters(stream: bytes) -> list[int]:
    return [stream[at + 3] & 15 for at in range(0, len(stream), 188)]


def test_no_clock_and_no_other_stream_runs_back_at_the_seam() -> None:
    video = [picture(n, n * 3600, n * 3600, n * 3600) for n in range(5)]
    late_audio = [picture(n, 9000 + n * 9000, 9000 + n * 9000, 0, pid=0x101, stream=0xC0) for n in range(4)]
    recording = b"".join(video[:2] + late_audio[:1] + video[2:] + late_audio[1:])
    packets = looped(recording, 2)
    audio = [packets[at : at + 188] for at in range(0, len(packets), 188) if packets[at + 2] == 1]
    stamps = [dts for _, _, _, dts in read(b"".join(audio))]
    assert stamps == sorted(set(stamps))


def test_pcr_is_put_right_without_any_timestamps() -> None:
    packets = [bytearray(picture(n, 0, 0, n * 2000)) for n in range(4)]
    for one in packets:
        one[1] &= ~0x40
    assert clocks(looped(b"".join(packets), 2), 0x100) == [n * 2000 for n in range(8)]


def counter_errors(stream: bytes) -> dict[int, int]:
    """Per PID how often a counter is neither the next, nor that of a repeated packet."""
    last: dict[int, int] = {}
    errors: dict[int, int] = defaultdict(int)
    for at in range(0, len(stream), 188):
        pid = (stream[at + 1] & 0x1F) << 8 | stream[at + 2]
        counter, payload = stream[at + 3] & 15, stream[at + 3] & 0x10
        if pid != 0x1FFF and pid in last:
            errors[pid] += counter != (last[pid] + bool(payload)) % 16
        last[pid] = counter
    return errors


def clocks(stream: bytes, pid: int) -> list[int]:
    return [
        int.from_bytes(stream[at + 6 : at + 11]) >> 7
        for at in range(0, len(stream), 188)
        if (stream[at + 1] & 0x1F) << 8 | stream[at + 2] == pid
        and stream[at + 3] & 0x20
        and stream[at + 4]
        and stream[at + 5] & 0x10
    ]


def packet_times(path: Path) -> dict[str, list[int]]:
    entries = ("-show_entries", "packet=stream_index,dts", "-of", "csv=p=0")
    done = subprocess.run(
        ["ffprobe", "-v", "warning", *entries, path], capture_output=True, text=True, timeout=60, check=True
    )
    assert not done.stderr
    times = defaultdict(list)
    for line in done.stdout.splitlines():
        if "," in line:  # side data have lines of their own
            stream, dts = line.split(",")[:2]
            times[stream].append(int(dts))
    return times


def test_three_rounds_of_the_demo_are_one_stream(tmp_path: Path) -> None:
    stream = looped(demo_clip(), 3)
    path = tmp_path / "looped.ts"
    path.write_bytes(stream)
    times = packet_times(path)
    for index, count, step in (("0", 600, 3600), ("1", 1125, 1920)):
        assert times[index] == [times[index][0] + n * step for n in range(count)]
    assert not any(counter_errors(stream).values())
    pcrs = clocks(stream, 0x100)
    assert all(0 < later - earlier <= 40 * 90 for earlier, later in itertools.pairwise(pcrs))


@pytest.mark.parametrize("name", ["rai-every-frame/test-072.ts", "hevc/0.ts", "audio-only/segment_1.ts"])
def test_recordings_loop_without_new_errors(name: str) -> None:
    recording = media(name).read_bytes()
    stream = looped(recording, 3)
    once, thrice = counter_errors(recording), counter_errors(stream)
    assert {pid: errors for pid, errors in thrice.items() if errors} == {
        pid: 3 * errors for pid, errors in once.items() if errors
    }
    for pid in thrice:
        pcrs = clocks(stream, pid)
        backwards = [b for a, b in itertools.pairwise(pcrs) if (b - a) % WRAP > WRAP // 2]
        assert not backwards


def test_a_wrap_inside_the_recording_is_none_of_the_loops_business() -> None:
    recording = media("pts-rollover/360p30_h264_48k_160_aac_ts-0000000028.ts").read_bytes()
    stream = looped(recording, 3)
    pid = next(pid for pid in counter_errors(recording) if clocks(recording, pid))
    pcrs = clocks(stream, pid)
    assert any(b < a for a, b in itertools.pairwise(pcrs)), "the clip holds a wrap"
    assert all(0 < (b - a) % WRAP < 90_000 for a, b in itertools.pairwise(pcrs))
