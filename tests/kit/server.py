"""The real server, as a process of its own with a config and a data folder of its own.

async with Server({"relays": [{"name": "A", "output_path": "a", "source_urls": [url]}]}) as server:
    viewer = await connect(server.url("/stream/a"))
    await server.wait_status("a", lambda status: status["clients"] == 1)
"""

import asyncio
import json
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from tests.kit.viewer import Reply, fetch

ROOT = Path(__file__).parents[2]
POLL = 0.02
LISTENING = re.compile(r"listening on http://127\.0\.0\.1:(\d+)")
COMMAND = (sys.executable, "-m", "fastrelay", "serve")

Status = dict[str, Any]


class Server:
    """Started on entering, ended by SIGTERM on leaving, which must go cleanly unless the test had failed already.

    `config` is the file's content; loopback sources are allowed in addition. `clean_exit` off: do not ask how it ended.
    """

    def __init__(
        self,
        config: dict[str, Any] | None = None,
        *,
        environment: dict[str, str] | None = None,
        command: tuple[str, ...] = COMMAND,
        clean_exit: bool = True,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fastrelay-test-"))
        self.config_file = self.folder / "fastrelay.yaml"
        self.data = self.folder / "data"
        self.port = 0
        self.returncode: int | None = None
        self._lines: list[str] = []
        self._command = command
        self._clean_exit = clean_exit
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("FASTRELAY_")}
        self._environment |= {"PYTHONPATH": str(ROOT), **(environment or {})}
        self.write_config(config or {})

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self._kill()
            shutil.rmtree(self.folder)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                await self._kill()
                error.add_note(f"--- the server's log ---\n{self.log}")
            else:
                await self.stop()
        finally:
            await self._kill()
            shutil.rmtree(self.folder)

    def write_config(self, config: dict[str, Any]) -> None:
        """The next config, for `start` or for SIGHUP."""
        sources = {"allow_networks": ["127.0.0.0/8"], **config.get("sources", {})}
        whole = {"data_dir": str(self.data), **config, "sources": sources}
        self.config_file.write_text(yaml.safe_dump(whole))

    async def start(self, within: float = 40) -> None:
        """Start the process and wait until it listens; also again, after `stop`."""
        self.data.mkdir(exist_ok=True)
        self.port, self.returncode = 0, None
        self._process = await asyncio.create_subprocess_exec(
            *self._command, "--config", str(self.config_file), "--listen", "127.0.0.1:0",
            cwd=self.folder, env=self._environment, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, limit=1 << 20,
        )  # fmt: skip
        self._reader = asyncio.create_task(self._read_log())
        await self._poll(lambda: bool(self.port) or self._reader.done(), within, "the address it listens on")
        assert self.port, f"the server did not start:\n{self.log}"

    async def stop(self, within: float = 40) -> None:
        """SIGTERM, and exit status 0 within `within` seconds, without a traceback in the log."""
        if self.returncode is None:
            if self._process.returncode is None:
                self._process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(within):
                self.returncode = await self._process.wait()
                await self._reader
        if self._clean_exit:
            assert self.returncode == 0, f"exit status {self.returncode}:\n{self.log}"
            assert "Traceback" not in self.log, self.log

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    @property
    def log(self) -> str:
        return "\n".join(self._lines)

    @property
    def pid(self) -> int:
        return self._process.pid

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def get(self, path: str, **headers: str) -> Reply:
        return await fetch(self.url(path), headers=headers)

    async def post(self, path: str, content: Any = None, *, method: str = "POST", **headers: str) -> Reply:
        """Send JSON (or bytes as they are); also PUT and DELETE."""
        body = content if isinstance(content, bytes) else b"" if content is None else json.dumps(content).encode()
        return await fetch(
            self.url(path), method=method, body=body, headers={"Content-Type": "application/json", **headers}
        )

    async def status(self, stream_id: str) -> Status:
        reply = await self.get(f"/api/streams/{stream_id}/status")
        assert reply.status == 200, f"{reply.status}: {reply.body!r}"
        found: Status = reply.json()
        return found

    async def wait_status(self, stream_id: str, predicate: Callable[[Status], bool], within: float = 40) -> Status:
        """The first status for which the predicate holds; AssertionError with the last one after `within` seconds."""
        end = asyncio.get_running_loop().time() + within
        while not predicate(found := await self.status(stream_id)):
            assert asyncio.get_running_loop().time() < end, f"not within {within} s: {found}"
            await asyncio.sleep(POLL)
        return found

    async def wait_log(self, text: str, within: float = 40) -> None:
        await self._poll(lambda: text in self.log, within, repr(text))

    @property
    def rss(self) -> int:
        """Resident memory in bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def maps(self, part: str) -> bool:
        """A file with this in its path is in its memory: of a library that is imported."""
        return part in Path(f"/proc/{self.pid}/maps").read_text()

    @property
    def fds(self) -> int:
        """Open file descriptors."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    @property
    def cpu_seconds(self) -> float:
        """Processor time used so far, in user and system mode."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def _read_log(self) -> None:
        assert self._process.stderr
        async for line in self._process.stderr:
            self._lines.append(line.decode(errors="replace").rstrip())
            if not self.port and (found := LISTENING.search(self._lines[-1])):
                self.port = int(found[1])

    async def _poll(self, predicate: Callable[[], bool], within: float, what: str) -> None:
        end = asyncio.get_running_loop().time() + within
        while not predicate():
            assert asyncio.get_running_loop().time() < end, f"no {what} within {within} s; the log:\n{self.log}"
            await asyncio.sleep(POLL)

    async def _kill(self) -> None:
        """Leave no process behind, whatever happened; does nothing after a clean stop."""
        process = getattr(self, "_process", None)
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()
