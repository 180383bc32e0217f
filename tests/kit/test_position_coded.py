import zlib
from pathlib import Path

import pytest

from tests.kit.clips import ffmpeg_decode, ffprobe_packets
from tests.kit.position_coded import PositionCoded, identity
from tests.kit.ts_packets import PACKET, crc32_mpeg, pid_of, section_of

SOURCES = (
    PositionCoded(),
    PositionCoded(source_id=2, byte_rate=131_071, gop=0.4, program=7, pmt_pid=0x30, video_pid=0x31, audio_pid=0x32),
    PositionCoded(source_id=3, byte_rate=2_000_003, gop=5, start_pts=(1 << 33) - 90_000, macroblocks=(9, 9)),
)


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: f"source{s.source_id}")
def test_any_slice_is_the_same_bytes(source: PositionCoded) -> None:
    whole = source.packets(3000)
    for start, count in ((0, 1), (1, 5), (700, 1300), (2999, 1)):
        assert source.packets(count, start) == whole[start * PACKET : (start + count) * PACKET]


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: f"source{s.source_id}")
def test_byte_rate_is_exact_and_every_packet_knows_its_number(source: PositionCoded) -> None:
    stream = source.take(7, start=3)
    assert abs(len(stream) - 7 * source.byte_rate) <= PACKET
    first = source.number_at(3)
    for index in range(0, len(stream), PACKET):
        packet = stream[index : index + PACKET]
        assert len(packet) == PACKET and packet[0] == 0x47
        if pid_of(packet) in (0, source.pmt_pid):
            section = section_of(packet)
            assert section is not None and crc32_mpeg(section) == 0
        else:
            assert identity(packet) == (source.source_id, first + index // PACKET)
            assert zlib.crc32(packet[:179]) == int(packet[179:187], 16)


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: f"source{s.source_id}")
def test_continuity_counters_run_on_in_every_pid(source: PositionCoded) -> None:
    last: dict[int, int] = {}
    stream = source.packets(5000, 777)
    for at in range(0, len(stream), PACKET):
        pid, counter = pid_of(stream[at : at + 3]), stream[at + 3] & 15
        assert counter == (last.get(pid, counter - 1) + 1) & 15
        last[pid] = counter
    assert set(last) == set(source.pids)


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: f"source{s.source_id}")
def test_ffmpeg_decodes_it_without_a_word(source: PositionCoded, tmp_path: Path) -> None:
    file = tmp_path / "coded.ts"
    file.write_bytes(source.take(6))
    frames, messages = ffmpeg_decode(file)
    assert (frames, messages) == (150, "")
    keys = [p for p in ffprobe_packets(file) if p["codec_type"] == "video" and "K" in p["flags"]]
    assert len(keys) == -(-150 // source.gop_frames)
