"""Where a case is played: a provider and fastrelay, each on its core, gone afterwards whatever happened."""

import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from bench.load.options import Target, target_of
from bench.load.watch import family, use_of
from bench.side.contestants import ROOT
from bench.side.process import Pinned, free_port

BYTE_RATE = 500_000
"""4 Mbit/s."""

_CONFIG = """\
data_dir: {folder}/data
server: {{listen: "127.0.0.1:{port}"}}
streams: {{idle_timeout: 1s}}
failover: {{give_up: 60s}}
sources: {{allow_networks: [127.0.0.0/8]}}
relays:
"""
_RELAY = '  - {{name: "{number}", output_path: "c{number}", source_urls: [{urls}]}}\n'


@dataclass(frozen=True)
class Cores:
    server: int
    load: int


@dataclass(frozen=True)
class Stand:
    """A running server with channels c1, c2, …"""

    url: str
    pid: int
    channels: int
    source: Target
    """What the server pulls for its first channel."""

    @property
    def targets(self) -> tuple[Target, ...]:
        return tuple(target_of(f"{self.url}/stream/c{number}") for number in range(1, self.channels + 1))

    def rss(self) -> int:
        """Resident bytes of the server."""
        return use_of(family(self.pid), 0.0).rss

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        return use_of(family(self.pid), 0.0).cpu

    def fds(self) -> int:
        """Open descriptors of the server."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())

    def status(self) -> list[dict[str, Any]]:
        """The running streams."""
        with urllib.request.urlopen(f"{self.url}/api/streams/status", timeout=10) as answer:
            found: list[dict[str, Any]] = orjson.loads(answer.read())["streams"]
            return found

    def switch(self, stream: str) -> None:
        """To the next source."""
        headers = {"Content-Type": "application/json"}
        asked = urllib.request.Request(f"{self.url}/api/streams/{stream}/switch", b"", headers, method="POST")
        urllib.request.urlopen(asked, timeout=10).close()


@contextmanager
def stand(cores: Cores, channels: int = 1, sources: int = 1, byte_rate: int = BYTE_RATE) -> Iterator[Stand]:
    """Started; `sources` is how many URLs each channel has, all different streams. Raises RuntimeError."""
    folder = Path(tempfile.mkdtemp(prefix="fastrelay-bench-"))
    started: list[Pinned] = []
    try:
        provider, port = free_port(), free_port()
        command = [sys.executable, str(ROOT / "bench/origin.py"), "--port", str(provider), "--sources", str(sources)]
        started.append(Pinned([*command, "--bitrate", str(8 * byte_rate)], cores.load, folder / "origin.log"))
        started[0].wait_for_port(provider)
        urls = ", ".join(f'"http://127.0.0.1:{provider}/live/{number}.ts"' for number in range(1, sources + 1))
        config = folder / "fastrelay.yaml"
        relays = "".join(_RELAY.format(number=number, urls=urls) for number in range(1, channels + 1))
        config.write_text(_CONFIG.format(folder=folder, port=port) + relays)
        command = [sys.executable, "-P", "-m", "fastrelay", "serve", "--config", str(config), "--log-level", "warning"]
        started.append(Pinned(command, cores.server, folder / "fastrelay.log"))
        started[1].wait_for_port(port)
        source = target_of(f"http://127.0.0.1:{provider}/live/1.ts")
        yield Stand(f"http://127.0.0.1:{port}", started[1].pid, channels, source)
    finally:
        for process in reversed(started):
            process.stop()
        shutil.rmtree(folder, ignore_errors=True)
