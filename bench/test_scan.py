"""Reading a transport stream as it passes by: 64 KiB of a channel of four PIDs at 4 Mbit/s (131 ms)."""

from typing import Any

import pytest

from fastrelay.mpegts.continuity import Continuity
from fastrelay.mpegts.marks import Scanner
from fastrelay.mpegts.packet import Framer
from tests.mpegts.build import (
    AAC,
    AUDIO,
    H264,
    H264_AUD,
    H264_IDR,
    H264_P,
    H264_PPS,
    H264_SPS,
    VIDEO,
    Channel,
    pes,
    pes_packets,
)

CHUNK = 348 * 188
FRAMES = 400
"""16 s at 25 frames per second, a key frame each second."""


@pytest.fixture(scope="module")
def stream() -> bytes:
    """Whole chunks; continuity counters go on from the last one to the first one as little as anything else does."""
    channel = Channel((VIDEO, H264), (AUDIO, AAC))
    data = bytearray()
    for frame in range(FRAMES):
        if frame % 3 == 0:
            data += channel.tables()
        key = frame % 25 == 0
        payload = H264_AUD + (H264_SPS + H264_PPS + H264_IDR if key else H264_P)
        stamp = 3600 * frame
        data += pes_packets(VIDEO, pes(payload.ljust(18_500, b"\xaa"), stamp + 7200, stamp), channel.counters)
        data += pes_packets(AUDIO, pes(b"\xff\xf1" * 350, stamp), channel.counters)
    return bytes(data[: len(data) // CHUNK * CHUNK])


def chunks(stream: bytes) -> list[bytes]:
    return [stream[at : at + CHUNK] for at in range(0, len(stream), CHUNK)]


def test_scan_64_kib(benchmark: Any, stream: bytes) -> None:
    """Amortised over a stream: what is shown is the time of one chunk, times the number of chunks."""
    pieces = chunks(stream)
    benchmark.extra_info["chunks"] = len(pieces)

    def scan() -> int:
        scanner = Scanner()
        return sum(len(scanner.scan(piece, number * CHUNK)) for number, piece in enumerate(pieces))

    assert benchmark(scan) in (FRAMES // 25, FRAMES // 25 - 1)
    benchmark.extra_info["us_per_chunk"] = round(benchmark.stats.stats.min / len(pieces) * 1e6, 1)


def test_continuity_64_kib(benchmark: Any, stream: bytes) -> None:
    pieces = [(piece, piece[1::188], piece[2::188], piece[3::188]) for piece in chunks(stream)]

    def check() -> int:
        continuity = Continuity()
        for piece in pieces:
            continuity.check(*piece)
        return continuity.errors

    assert benchmark(check) == 0
    benchmark.extra_info["us_per_chunk"] = round(benchmark.stats.stats.min / len(pieces) * 1e6, 1)


@pytest.mark.parametrize("shift", [0, 100])
def test_frame_64_kib(benchmark: Any, stream: bytes, shift: int) -> None:
    pieces = [stream[shift:][at : at + CHUNK] for at in range(0, len(stream), CHUNK)]

    def frame() -> int:
        framer = Framer()
        return sum(len(framer.feed(piece)) for piece in pieces)

    assert benchmark(frame) > len(stream) - 2 * 188
    benchmark.extra_info["us_per_chunk"] = round(benchmark.stats.stats.min / len(pieces) * 1e6, 1)
