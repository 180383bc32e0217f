"""A child process that writes MPEG-TS to its standard output.

The child has a session, and so a process group, of its own; the group is what gets killed. Should fastrelay itself be
killed hard, nobody is left to do that, but then the child's pipe has no reader, and its next write is its last
(SIGPIPE). PR_SET_PDEATHSIG would need code of ours to run between fork and exec, which is not safe with threads.
"""

import asyncio
import contextlib
import os
import re
import shlex
import signal
from pathlib import PurePath
from typing import cast

from fastrelay.config import Failover
from fastrelay.errors import ConnectError, EndOfStreamError, FormatError, StallError
from fastrelay.sources.base import Chunk, Source
from fastrelay.sources.sniff import ENOUGH, recognise
from fastrelay.wire.source_url import redact

GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""

_HELD = 256 * 1024
"""Bytes held for the reader; beyond that the pipe fills and the child waits."""

_ERRORS_KEPT = 4096
_ERROR_SHOWN = 300
_STDOUT, _STDERR = 1, 2
_LINE_END = re.compile(rb"[\r\n]+")


async def open_process(command: str, failover: Failover) -> Source:
    """Start `command` (words as in a shell, but there is no shell) and wait until it delivers MPEG-TS.

    Raises ConnectError (it cannot be started, or ended at once), StallError (silence), FormatError (something else).
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConnectError(f"the command cannot be read: {error}") from None
    if not words:
        raise ConnectError("the command is empty")
    name = redact(PurePath(words[0]).name)
    try:
        _, child = await asyncio.get_running_loop().subprocess_exec(
            _Child, *words, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
        )
    except OSError as error:
        raise ConnectError(f"cannot start {name}: {error.strerror}") from None
    source = ProcessSource(child, name, failover)
    try:
        await source.start()
    except BaseException:
        await source.close()
        raise
    return source


class ProcessSource:
    """What the child writes, as it comes; while nobody reads, the child waits."""

    kind = "exec"
    paced = True
    target_duration = 0.0
    lost = 0

    def __init__(self, child: "_Child", name: str, failover: Failover) -> None:
        self._child = child
        self._name = name
        self._failover = failover
        self._closed = False

    async def start(self) -> None:
        """Wait for enough bytes to know them for MPEG-TS."""
        seen = 0
        while True:
            await self._wait(self._failover.first_byte_timeout, beyond=seen)
            seen = self._child.held
            if self._child.ended and (not seen or await self._child.status() != 0):
                raise ConnectError(await self._farewell())
            try:
                kind = recognise(self._child.peek()[:ENOUGH], complete=self._child.ended)
            except FormatError as error:
                raise FormatError(f"{self._name}: {error}") from None
            if kind == "hls":
                raise FormatError(f"{self._name} writes an HLS playlist, expected MPEG-TS")
            if kind == "ts":
                return

    async def read(self) -> Chunk:
        """Raises EndOfStreamError when the child ended, StallError when it wrote nothing for `stall_timeout`."""
        await self._wait(self._failover.stall_timeout)
        data = self._child.take()
        if not data:
            raise EndOfStreamError(await self._farewell())
        return Chunk(data)

    async def _wait(self, patience: float, beyond: int = 0) -> None:
        """Until more than `beyond` bytes are there, or will never be."""
        try:
            async with asyncio.timeout(patience):
                while self._child.held <= beyond and not self._child.ended:
                    await self._child.news()
        except TimeoutError:
            said = self._child.last_words()
            text = f"{self._name} wrote nothing for {patience:g} s"
            raise StallError(f"{text}: {said}" if said else text) from None

    async def _farewell(self) -> str:
        status = await self._child.status()
        said = self._child.last_words()
        text = f"{self._name} {_manner(status)}"
        return f"{text}: {said}" if said else text

    def gather(self, seconds: float, size: int) -> None:
        """See Source: a pipe holds 64 KiB, and a full one would stop the child."""

    async def close(self) -> None:
        """End the child and its whole group: SIGTERM, after GRACE seconds SIGKILL."""
        if self._closed:
            return
        self._closed = True
        self._child.signal_group(signal.SIGTERM)
        try:
            await self._child.gone(GRACE)
        finally:
            # Also when the child has ended: what it started may have stayed. A cancelled wait ends here as well.
            self._child.signal_group(signal.SIGKILL)
            self._child.shut()
        await self._child.gone(GRACE)


def _manner(status: int | None) -> str:
    """How a child ended, from what the system says of it."""
    if status is None:
        return "closed its output"
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"


class _Child(asyncio.SubprocessProtocol):
    """The loop's side of a child: its output up to _HELD bytes, the end of what it says, its exit."""

    def __init__(self) -> None:
        self.held = 0
        self.ended = False
        self._chunks: list[bytes] = []
        self._errors = b""
        self._cut = False
        self._news = asyncio.Event()
        self._exited = asyncio.Event()
        self._closed = asyncio.Event()

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == _STDERR:
            self._cut = self._cut or len(self._errors) + len(data) > _ERRORS_KEPT
            self._errors = (self._errors + data)[-_ERRORS_KEPT:]
            return
        self._chunks.append(data)
        self.held += len(data)
        if self.held >= _HELD:
            self._output().pause_reading()
        self._news.set()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == _STDOUT:
            self.ended = True
            self._news.set()

    def process_exited(self) -> None:
        self._exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()

    # What the source calls

    async def news(self) -> None:
        """Until there is more output, or its end."""
        self._news.clear()
        await self._news.wait()

    def peek(self) -> bytes:
        return b"".join(self._chunks)

    def take(self) -> bytes:
        data = self.peek()
        if self.held >= _HELD and not self.ended:
            self._output().resume_reading()
        self._chunks.clear()
        self.held = 0
        return data

    async def status(self) -> int | None:
        """The exit status (negative: the signal), once all it said is here; None if it has not exited in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                await self._closed.wait()
        return self._transport.get_returncode()

    def last_words(self) -> str:
        """The last line it wrote to standard error, fit to be shown."""
        lines = [line for line in _LINE_END.split(self._errors) if line.strip()]
        if self._cut:
            # Half a line may begin inside a password, where nothing tells it from harmless text.
            lines = lines[1:]
        text = redact(lines[-1].decode(errors="replace").strip()) if lines else ""
        return "".join(c for c in text if c.isprintable())[:_ERROR_SHOWN]

    def signal_group(self, number: signal.Signals) -> None:
        # The group outlives its leader while anyone is in it, and its number is not given away meanwhile.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._transport.get_pid(), number)

    async def gone(self, patience: float) -> None:
        """Until the child is reaped, for at most `patience` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._exited.wait()

    def shut(self) -> None:
        """Close the pipes, though someone who left the group may still hold their other ends."""
        self._transport.close()

    def _output(self) -> asyncio.ReadTransport:
        return cast(asyncio.ReadTransport, self._transport.get_pipe_transport(_STDOUT))
