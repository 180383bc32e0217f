"""The load tool tells good servers from bad ones: run as its users run it, all runs at once."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.kit.behaviours import cut, live, status
from tests.kit.hls_origin import HlsChannel, coded_segments
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.ts_packets import PACKET

pytest.importorskip("rich", reason="the load tool needs the bench extra")

TOOL = Path(__file__).parents[1] / "bench/loadtest.py"


@pytest.fixture(autouse=True)
def unit() -> None:
    """These are no benchmarks: there is nothing to compare with the machine's speed."""


SOURCE = PositionCoded(byte_rate=100_000)
CLIENTS = 6


class Damaged:
    """A position-coded source in which one byte of every 500th packet is another."""

    byte_rate = SOURCE.byte_rate

    def packets(self, count: int, start: int = 0) -> bytes:
        data = bytearray(SOURCE.packets(count, start))
        for at in range(-start % 500 * PACKET, len(data), 500 * PACKET):
            data[at + 100] ^= 1
        return bytes(data)


class Lossy:
    """A source that skips one packet of every 500."""

    byte_rate = SOURCE.byte_rate

    def packets(self, count: int, start: int = 0) -> bytes:
        numbers = (number for number in range(start, start + count) if number % 500)
        return b"".join(SOURCE.packets(1, number) for number in numbers)


@dataclass(frozen=True)
class Told:
    status: int
    text: str
    figures: dict[str, Any]


async def loadtest(folder: Path, name: str, *arguments: str) -> Told:
    figures = folder / f"{name}.json"
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(TOOL), *arguments, "--json", str(figures),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(40):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    found = json.loads(figures.read_text()) if figures.exists() else {}
    return Told(process.returncode, out.decode(), found)


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin() as running:
        yield running


async def test_each_fault_is_seen_and_none_is_made_up(origin: Origin, tmp_path: Path) -> None:
    quick = ("--clients", str(CLIENTS), "--ramp", "0.2", "--seconds", "3", "--starved-after", "1")
    rate = ("--bitrate", str(8 * SOURCE.byte_rate))
    channel = HlsChannel(coded_segments(SOURCE, 2.0)).mount(origin, "/hls")
    hole = HlsChannel(lambda index: coded_segments(SOURCE, 2.0)(index + index // 5)).mount(origin, "/hole")
    urls = {
        "good": origin.route("/good", live(SOURCE, burst=1.5)),
        "damaged": origin.route("/damaged", live(Damaged(), burst=1.5)),
        "lossy": origin.route("/lossy", live(Lossy(), burst=1.5)),
        "closed": origin.route("/closed", cut(live(SOURCE), seconds=4.0)),
        "stalled": origin.route("/stalled", cut(live(SOURCE), seconds=4.0, then="stall")),
        "refused": origin.route("/refused", status(503)),
        "hls": channel,
        "hls-hole": hole,
        "slow": origin.route("/slow", live(SOURCE)),
    }
    extra = {
        "good": ("--verify", "--processes", "2", "--report", str(tmp_path / "good.html")),
        "damaged": ("--verify",),
        "lossy": ("--verify",),
        "hls": ("--mode", "hls", "--verify"),
        "hls-hole": ("--mode", "hls", "--verify"),
        "slow": ("--slow", "2"),
    }
    runs = {
        name: asyncio.create_task(loadtest(tmp_path, name, url, *quick, *rate, *extra.get(name, ())))
        for name, url in urls.items()
    }
    told = {name: await run for name, run in runs.items()}

    for name in ("good", "hls", "slow"):
        assert told[name].status == 0, told[name].text
    assert told["good"].figures["held"] == CLIENTS
    assert told["good"].figures["rate"]["min"] == pytest.approx(8 * SOURCE.byte_rate, rel=0.1)
    assert "<svg" in (tmp_path / "good.html").read_text()
    assert told["slow"].figures["clients"] == CLIENTS - 2
    assert told["hls"].figures["segments"] >= CLIENTS * 4
    # Each viewer each segment once.
    segments = [count for path, count in origin.ledger.requests.items() if path.startswith("/hls/") and ".ts" in path]
    assert segments and max(segments) <= CLIENTS
    expected = {
        "damaged": "wrong byte at byte",
        "lossy": "wrong byte",
        "closed": "closed by the server",
        "stalled": "starved",
        "refused": "status 503",
        "hls-hole": "wrong byte",
    }
    for name, why in expected.items():
        assert told[name].status == 1, f"{name}: {told[name].text}"
        assert any(why in fault for fault in told[name].figures["faults"]), f"{name}: {told[name].figures['faults']}"


async def test_another_machine_is_left_alone(tmp_path: Path) -> None:
    told = await loadtest(tmp_path, "remote", "http://192.0.2.1/live", "--clients", "1")
    assert told.status == 2
    assert "--allow-remote" in told.text
