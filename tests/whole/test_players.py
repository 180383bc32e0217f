"""Real players in front of the server, over switches to sources of another kind; local sources behind it."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.kit.behaviours import live
from tests.kit.clips import clip, ffprobe_packets
from tests.kit.origin import Origin
from tests.kit.player import installed
from tests.kit.position_coded import PositionCoded
from tests.kit.server import Server
from tests.kit.ts_packets import PACKET, is_flagged, pid_of
from tests.kit.viewer import connect
from tests.kit.vlc import Vlc
from tests.whole.process import children, group, open_files, soon
from tests.whole.relay import PATH, relay

FIRST = PositionCoded(source_id=1, byte_rate=200_000, start_pts=1000 * 90_000)
SAME_PIDS = PositionCoded(source_id=2, byte_rate=200_000, macroblocks=(8, 6))
OTHER_PIDS = PositionCoded(source_id=1, byte_rate=200_000, macroblocks=(8, 6), video_pid=0x200, audio_pid=0x201)
ALL_OTHER = PositionCoded(
    source_id=2, byte_rate=200_000, macroblocks=(8, 6), program=7, pmt_pid=0x50, video_pid=0x200, audio_pid=0x201
)
SMALL, LARGE = "64x64", "128x96"
"""Pictures of FIRST, and of the others."""
HASTY = ("-analyzeduration", "1M")
"""ffmpeg looks at one second, instead of five, before it begins."""


class Ffmpeg:
    """`ffmpeg -i URL -f null -`, and what it says: `frames` counts its pictures by their size."""

    def __init__(self, url: str, *options: str) -> None:
        ffmpeg = installed("ffmpeg", "ffmpeg")
        self._command = [ffmpeg, "-hide_banner", "-nostdin", "-nostats", *options, "-i", url]
        self._command += ["-vf", "showinfo", "-f", "null", "-"]
        self.frames: Counter[str] = Counter()
        self.said: list[str] = []
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(*self._command, stderr=asyncio.subprocess.PIPE)
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reader

    async def shows(self, size: str, more: int, within: float = 40) -> None:
        """Until it has shown `more` pictures of this size from now on."""
        wanted = self.frames[size] + more
        await self._until(lambda: self.frames[size] >= wanted, within, f"{more} more frames of {size}")

    async def says(self, text: str, within: float = 40) -> None:
        await self._until(lambda: any(text in line for line in self.said), within, text)

    async def ends(self, within: float = 40) -> int:
        async with asyncio.timeout(within):
            return await self._process.wait()

    async def _until(self, predicate: Callable[[], bool], within: float, what: str) -> None:
        try:
            async with asyncio.timeout(within):
                while not predicate():
                    assert not self._reader.done(), f"ffmpeg has ended: {self.said[-5:]}"
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no {what} within {within} s; {self.frames}, {self.said[-5:]}") from None

    async def _read(self) -> None:
        assert self._process.stderr
        async for line in self._process.stderr:
            text = line.decode(errors="replace").rstrip()
            if "showinfo" not in text:
                self.said.append(text)
            elif found := re.search(r" s:(\d+x\d+) ", text):
                self.frames[found[1]] += 1
            self._news.set()
        self._news.set()


async def _switch(server: Server) -> None:
    before = (await server.status("a"))["switches"]
    assert (await server.post("/api/streams/a/switch")).status == 200
    await server.wait_status("a", lambda status: status["switches"] == before + 1)


@pytest.mark.parametrize("other", [SAME_PIDS, OTHER_PIDS, ALL_OTHER], ids=["same PIDs", "other PIDs", "all other"])
async def test_ffmpeg_shows_both_sources_over_switches(other: PositionCoded) -> None:
    """Asked to switch, and back again because the second source breaks off."""
    async with Origin() as origin:
        urls = [origin.route("/first", live(FIRST, burst=3)), origin.route("/other", live(other, burst=3))]
        async with relay(*urls) as server, Ffmpeg(server.url(PATH)) as player:
            await player.shows(SMALL, 25)
            await _switch(server)
            await player.shows(LARGE, 25)
            origin.reset("/other")
            await player.shows(SMALL, 25)
            assert (await server.status("a"))["switches"] == 2
            assert (await server.post("/api/streams/a/stop")).status == 200
            assert await player.ends() == 0


async def test_ffmpeg_goes_on_where_the_next_source_shares_nothing_with_the_last() -> None:
    """Other programme, PMT PID, PIDs and resolution, of a real encoder; and one that comes now shows it too."""
    urls = [f"file://{clip(name)}" for name in ("h264_gop1", "h264_other")]
    async with relay(*urls, streams={"join_behind": "1s"}) as server, Ffmpeg(server.url(PATH), *HASTY) as player:
        await player.shows("320x180", 25)
        await _switch(server)
        await player.shows("480x270", 25)
        assert not any("New video stream" in line for line in player.said)
        # Who comes within join_behind of a switch begins with the source before it.
        switched = (await server.status("a"))["bytes_received"]
        await server.wait_status("a", lambda status: status["bytes_received"] > switched + 2 * 75_000)
        async with Ffmpeg(server.url(PATH), *HASTY) as late:
            await late.shows("480x270", 25)
            assert late.frames["320x180"] == 0
            assert (await server.status("a"))["clients"] == 2
            assert (await server.post("/api/streams/a/stop")).status == 200
            assert (await player.ends(), await late.ends()) == (0, 0)


async def test_vlc_shows_pictures_over_a_switch() -> None:
    """To a source that shares nothing with the one before: resolution, PIDs, programme, transport_stream_id."""
    async with Origin() as origin:
        urls = [origin.route("/first", live(FIRST, burst=1)), origin.route("/other", live(ALL_OTHER, burst=1))]
        async with relay(*urls) as server:
            with Vlc(server.url(PATH)) as player:
                await player.shows(25)
                origin.reset("/first")
                await server.wait_status("a", lambda status: status["switches"] == 1)
                # What it still holds of the first source is less than three seconds.
                await player.shows(125)


# Sources of the operator's own machine.


async def test_a_command_is_played_and_gone_after_the_idle_stop() -> None:
    """With all that it started: here a process that would outlive it by far."""
    ffmpeg = f"{installed('ffmpeg', 'ffmpeg')} -v error -re -f lavfi -i testsrc2=size=160x90:rate=25 -f lavfi -i sine"
    ffmpeg += " -c:v libx264 -preset ultrafast -tune zerolatency -g 12 -c:a aac -f mpegts -"
    command = f"sh -c 'sleep 60 & exec {ffmpeg}'"
    async with relay(f"exec:{command}", streams={"idle_timeout": "200ms"}) as server:
        assert children(server) == {}
        saved = bytearray()
        viewers = [await connect(server.url(PATH), sink=saved.extend), await connect(server.url(PATH))]
        await asyncio.gather(*(viewer.received(30_000, within=60) for viewer in viewers))
        assert [viewer.status for viewer in viewers] == [200, 200]
        assert [pid_of(saved[at : at + PACKET]) for at in (0, PACKET, 2 * PACKET)] == [0, 0x1000, 0x100]
        ((child, command_line),) = children(server).items()
        assert "testsrc2" in command_line
        assert len(group(child)) == 2
        for viewer in viewers:
            viewer.close()
        await server.wait_status("a", lambda status: status["state"] == "idle")
        await soon(lambda: not children(server) and not group(child))


async def test_a_file_is_played_round_and_round_and_closed_after_the_idle_stop(tmp_path: Path) -> None:
    """A second of recording: stamps and counters go on where it begins again, and nothing is flagged."""
    path, saved = tmp_path / "clip.ts", bytearray()
    path.write_bytes(FIRST.take(1))

    async with relay(f"file://{path}", streams={"idle_timeout": "200ms"}) as server:
        viewer = await connect(server.url(PATH), sink=saved.extend)
        await viewer.received(int(2.5 * FIRST.byte_rate), within=60)
        assert str(path) in open_files(server)
        status = await server.status("a")
        assert (status["continuity_errors"], status["switches"]) == (0, 0)
        viewer.close()
        await server.wait_status("a", lambda status: status["state"] == "idle")
        await soon(lambda: str(path) not in open_files(server))
    assert not any(is_flagged(bytes(saved[at : at + PACKET])) for at in range(0, len(saved) - PACKET, PACKET))
    played = tmp_path / "played.ts"
    played.write_bytes(saved)
    stamps = [int(packet["dts"]) for packet in ffprobe_packets(played) if packet["codec_type"] == "video"]
    assert len(stamps) > 50
    assert {b - a for a, b in pairwise(stamps)} == {3600}
