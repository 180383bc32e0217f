"""Access units and their times in a stretch of packets."""

import pytest

from fastrelay.mpegts.clock import WRAP
from fastrelay.mpegts.timeline import last_step, timeline, usual_size, usual_step
from tests.mpegts.build import AUDIO, H264_P, VIDEO, Channel, packet, pes


def test_every_access_unit_of_the_stream_and_no_other() -> None:
    channel = Channel()
    channel.time = WRAP - 7200
    data = b"".join(channel.unit(H264_P, VIDEO) + channel.unit(b"x" * 400, AUDIO) for _ in range(5))
    moments = timeline(data, VIDEO)
    assert [moment.offset // 188 for moment in moments] == [0, 4, 8, 12, 16]
    assert [round(moment.seconds, 2) for moment in moments] == [0.0, 0.08, 0.16, 0.24, 0.32]
    assert moments[0].dts == WRAP - 3600
    assert moments[1].dts == 3600
    assert usual_step(moments) == 0.08


def test_jumps() -> None:
    channel = Channel()
    data = channel.unit(H264_P) + channel.unit(H264_P)
    channel.time += 90_000_000
    data += channel.unit(H264_P) + channel.unit(H264_P)
    assert [moment.jumped for moment in timeline(data, VIDEO)] == [False, False, True, False]
    assert [round(moment.seconds, 2) for moment in timeline(data, VIDEO)] == [0.0, 0.04, 0.04, 0.08]
    assert usual_step(timeline(data, VIDEO)) == 0.04


def test_nothing_to_measure() -> None:
    assert timeline(b"", VIDEO) == []
    assert usual_step([]) == 0.0
    assert usual_step(timeline(Channel().unit(H264_P), VIDEO)) == 0.0


def test_bytes_that_only_look_like_the_start_of_a_packet() -> None:
    """The last byte of one packet's PID and the first of the next one's, side by side."""
    between = packet(0x141, pes(b"", 1_000).ljust(184)) + packet(0x10, bytes(184))
    assert timeline(between + Channel().unit(H264_P), VIDEO)[0].offset == 2 * 188


def test_the_last_access_unit_of_an_audio_stream_lasts_as_long_as_its_bytes() -> None:
    channel = Channel()
    data = b"".join(channel.unit(b"x" * 1500, AUDIO) for _ in range(4)) + channel.unit(b"x" * 500, AUDIO)
    moments = timeline(data, AUDIO)
    whole, part = moments[1].offset // 188, (len(data) - moments[-1].offset) // 188
    assert (whole, part) == (9, 3)
    assert last_step(data, AUDIO, moments, 0.04) == pytest.approx(0.04 * part / whole)
    assert last_step(data[: moments[-1].offset], AUDIO, moments[:-1], 0.04) == 0.04
    alone = data[moments[-1].offset :]
    assert last_step(alone, AUDIO, moments[-1:], 0.04) == 0.04
    size = usual_size(data[: moments[-1].offset], AUDIO, moments[:-1])
    assert size == whole
    assert last_step(alone, AUDIO, moments[-1:], 0.04, size) == pytest.approx(0.04 * part / whole)
    assert usual_size(b"", AUDIO, []) == 0.0
