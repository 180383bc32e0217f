"""The looped file, from real files on disk."""

import asyncio
import io
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from fastrelay.demo import demo_clip
from fastrelay.errors import ConnectError, EndOfStreamError, FormatError
from fastrelay.mpegts.restamp import Restamper
from fastrelay.sources import file as file_module
from fastrelay.sources import playout
from fastrelay.sources.base import Source
from fastrelay.sources.file import open_clip, open_file
from fastrelay.sources.playout import STEP, Pieces
from tests.media import media


async def gather(source: Source, size: int) -> bytes:
    data = b""
    async with asyncio.timeout(20):
        while len(data) < size:
            chunk = await source.read()
            assert chunk is not None
            data += chunk.data
    return data


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def rounds_of(clip: bytes, count: int) -> bytes:
    restamper = Restamper()
    out = restamper.restamp(clip)
    for _ in range(count - 1):
        restamper.seam()
        out += restamper.restamp(clip)
    return out


def warnings(path: Path) -> str:
    command = ["ffprobe", "-v", "warning", "-show_packets", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stderr


@pytest.fixture
def unpaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is due at once: what comes is under test, not when."""
    monkeypatch.setattr(file_module.Pace, "delay", lambda *_: 0.0)


@pytest.fixture
def short_clip() -> bytes:
    """Half a second from the demo's beginning."""
    clip = demo_clip()
    return clip[: len(clip) // 16 // 188 * 188]


@pytest.mark.usefixtures("unpaced")
@pytest.mark.parametrize("block", [188 * 7, 188 * 5000])
async def test_three_rounds_are_one_stream(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_module, "BLOCK", block)
    clip = demo_clip()
    path = tmp_path / "clip.ts"
    path.write_bytes(clip)
    source = await open_file(path)
    out = await gather(source, 3 * len(clip))
    await source.close()
    expected = rounds_of(clip, 3)
    assert out[: len(expected)] == expected


@pytest.mark.usefixtures("unpaced")
async def test_a_file_that_ends_inside_a_packet_and_begins_with_rubbish(tmp_path: Path) -> None:
    clip = demo_clip()
    path = tmp_path / "clip.ts"
    path.write_bytes(b"rubbish" * 30 + clip + clip[:100])
    source = await open_file(path)
    out = await gather(source, 2 * len(clip))
    await source.close()
    assert out[: 2 * len(clip)] == rounds_of(clip, 2)
    (tmp_path / "out.ts").write_bytes(out)
    assert await asyncio.to_thread(warnings, tmp_path / "out.ts") == ""


@pytest.fixture
def hardly_ahead(monkeypatch: pytest.MonkeyPatch) -> float:
    """Little goes out at once, so that a short test meets the pace."""
    monkeypatch.setattr(playout, "AHEAD", 0.5)
    return playout.AHEAD


async def test_it_is_paced_by_its_clock(short_clip: bytes, hardly_ahead: float) -> None:
    loop = asyncio.get_running_loop()
    source = await open_clip(short_clip)
    begun = loop.time()
    data = await gather(source, len(short_clip) * 12)
    taken = loop.time() - begun
    await source.close()
    pieces = Pieces()
    list(pieces.cut(data))
    assert pieces.seconds > 2 * hardly_ahead, "there is something to pace"
    assert pieces.seconds - hardly_ahead - 2 * STEP < taken < pieces.seconds + 5


async def test_the_kind_is_file_and_reading_can_be_paced(short_clip: bytes) -> None:
    source = await open_clip(short_clip)
    assert (source.kind, source.paced, source.lost) == ("file", True, 0)
    await source.close()
    await source.close()


class SlowDisk(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        time.sleep(0.03)
        return super().read(size)


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_module.io, "BytesIO", SlowDisk)


@pytest.mark.usefixtures("hardly_ahead")
@pytest.mark.parametrize("cancelled_in", ["loading", "waiting"])
async def test_a_cancelled_read_loses_nothing(
    cancelled_in: str, short_clip: bytes, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cancelled_in == "loading":
        request.getfixturevalue("slow_disk")
        request.getfixturevalue("unpaced")
        monkeypatch.setattr(file_module, "BLOCK", len(short_clip) // 10 // 188 * 188)
    source = await open_clip(short_clip)
    out = b""
    cancelled = 0
    async with asyncio.timeout(20):
        while cancelled < 5 or len(out) < 2 * len(short_clip):
            try:
                async with asyncio.timeout(0.02):
                    chunk = await source.read()
                    assert chunk is not None
                    out += chunk.data
            except TimeoutError:
                cancelled += 1
    await source.close()
    assert rounds_of(short_clip, len(out) // len(short_clip) + 1).startswith(out)


async def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConnectError, match="No such file"):
        await open_file(tmp_path / "none.ts")
    with pytest.raises(FormatError, match="not a regular file"):
        await open_file(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(FormatError, match="not a regular file"):
        await open_file(tmp_path / "fifo")
    (tmp_path / "page.ts").write_text("<html>" * 2000)
    with pytest.raises(FormatError, match="not an MPEG transport stream"):
        await open_file(tmp_path / "page.ts")
    (tmp_path / "empty.ts").touch()
    with pytest.raises(FormatError, match="not an MPEG transport stream"):
        await open_file(tmp_path / "empty.ts")
    (tmp_path / "timeless.ts").write_bytes((b"\x47\x01\x00\x10" + b"x" * 184) * 50)
    with pytest.raises(FormatError, match="no PCR"):
        await open_file(tmp_path / "timeless.ts")


async def test_audio_that_is_called_ts_is_refused() -> None:
    with pytest.raises(FormatError, match="not an MPEG transport stream"):
        await open_file(media("adts-named-ts/fileSequence0.ts"))


@pytest.mark.usefixtures("unpaced")
async def test_a_clock_that_stands_still_ends_the_source(short_clip: bytes) -> None:
    first_pcr = next(
        at
        for at in range(0, len(short_clip), 188)
        if short_clip[at + 3] & 0x20 and short_clip[at + 4] >= 7 and short_clip[at + 5] & 0x10
    )
    source = await open_clip(short_clip[: first_pcr + 188] + short_clip[:188] * 10)
    with pytest.raises(EndOfStreamError, match="stands still"):
        await gather(source, 1 << 20)
    await source.close()


@pytest.mark.usefixtures("unpaced")
async def test_a_file_that_is_emptied_ends_the_source(tmp_path: Path) -> None:
    path = tmp_path / "clip.ts"
    path.write_bytes(demo_clip())
    source = await open_file(path)
    os.truncate(path, 0)
    with pytest.raises(EndOfStreamError):
        await gather(source, 1 << 22)
    await source.close()


async def test_no_descriptor_is_left(tmp_path: Path, short_clip: bytes) -> None:
    path = tmp_path / "clip.ts"
    path.write_bytes(short_clip)
    await (await open_file(path)).close()
    before = descriptors()
    for _ in range(5):
        source = await open_file(path)
        await source.read()
        await source.close()
        with pytest.raises(FormatError):
            await open_file(Path(__file__))
    assert descriptors() == before


@pytest.mark.usefixtures("slow_disk", "unpaced")
async def test_a_slow_disk_does_not_hold_the_loop(short_clip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_module, "BLOCK", len(short_clip) // 20 // 188 * 188)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    ticking = asyncio.create_task(tick())
    source = await open_clip(short_clip)
    await gather(source, len(short_clip))
    await source.close()
    ticking.cancel()
    assert ticks >= 20, "a turn while each of 20 blocks was read"


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
def test_the_demo_is_what_it_says() -> None:
    clip = demo_clip()
    assert len(clip) < 2 << 20 and len(clip) % 188 == 0
    entries = ["-show_entries", "stream=codec_name,width,height,avg_frame_rate", "-of", "csv=p=0"]
    command = ["ffprobe", "-v", "error", *entries, "-f", "mpegts", "-"]
    probed = subprocess.run(command, input=clip, capture_output=True, timeout=60)
    lines = probed.stdout.decode().split()
    assert "h264,640,360,25/1" in lines
    assert any(line.startswith("aac") for line in lines)
