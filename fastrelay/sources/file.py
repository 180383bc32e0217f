"""A recording that is played round and round at its own pace, as one continuous stream."""

import asyncio
import io
import os
import stat
from collections import deque
from pathlib import Path
from typing import BinaryIO

from fastrelay.errors import ConnectError, EndOfStreamError, FormatError
from fastrelay.mpegts.packet import PACKET_SIZE, Framer
from fastrelay.mpegts.restamp import Restamper
from fastrelay.sources.base import Chunk, Source
from fastrelay.sources.playout import Pace, Pieces

BLOCK = 256 * 1024 // PACKET_SIZE * PACKET_SIZE
"""Bytes read at a time, whole packets; nothing more of a file is ever in memory."""

PROBE = 2 << 20
"""Bytes in which a PCR must have come; it is due every 100 ms (ISO 13818-1 §2.7.2)."""


async def open_file(path: Path) -> Source:
    """Open a recording on disk.

    Raises ConnectError where there is none that can be read, and FormatError for what is not a regular file with a
    transport stream and its clock.
    """
    try:
        file = await asyncio.to_thread(_open_regular, path)
    except OSError as error:
        raise ConnectError(f"cannot open {path}: {error.strerror}") from error
    return await _started(FileSource(file, str(path)))


async def open_clip(data: bytes) -> Source:
    """Open a recording that is in memory; raises FormatError as `open_file`."""
    return await _started(FileSource(io.BytesIO(data), "the clip"))


def _open_regular(path: Path) -> BinaryIO:
    # Without O_NONBLOCK a FIFO would hold us until someone writes to it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FormatError(f"{path} is not a regular file")
    return os.fdopen(descriptor, "rb", buffering=0)


async def _started(source: "FileSource") -> Source:
    try:
        await source.start()
    except BaseException:
        await source.close()
        raise
    return source


class FileSource:
    """Reads in a thread, hands out when it is due. Raises EndOfStreamError where the file shrank or broke meanwhile."""

    kind = "file"
    paced = True
    target_duration = 0.0
    lost = 0

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._framer = Framer()
        self._restamper = Restamper()
        self._cutter = Pieces()
        self._pace = Pace()
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._loading: asyncio.Future[bytes] | None = None
        self._round_began = 0.0

    async def start(self) -> None:
        """Read up to the first PCR."""
        seen = 0
        while not self._cutter.has_clock:
            block = await self._load()
            seen += len(block)
            self._take(block)
            if (not block or seen >= PROBE) and not self._cutter.has_clock:
                raise FormatError(self._what_is_missing(seen))

    def _what_is_missing(self, seen: int) -> str:
        if not self._framer.locked:
            return f"{self._name} is not an MPEG transport stream: no packets in its first {seen} bytes"
        return f"{self._name} has no clock to play it by: no PCR in its first {seen} bytes"

    async def read(self) -> Chunk:
        """The next piece, when it is due."""
        while not self._pieces:
            block = await self._load()
            if block:
                self._take(block)
            else:
                await self._rewind()
        due, packets = self._pieces[0]
        delay = self._pace.delay(due, asyncio.get_running_loop().time())
        if delay:
            await asyncio.sleep(delay)
        self._pieces.popleft()
        return Chunk(packets)

    def _take(self, block: bytes) -> None:
        packets = bytes(self._framer.feed(block))
        if packets:
            self._pieces += self._cutter.cut(self._restamper.restamp(packets))

    async def _rewind(self) -> None:
        if self._cutter.seconds == self._round_began:
            raise EndOfStreamError(f"{self._name} has nothing more to play: its clock stands still")
        self._round_began = self._cutter.seconds
        self._restamper.seam()
        self._framer.reset()
        self._file.seek(0)

    async def _load(self) -> bytes:
        """The next bytes of the file, empty at its end. A cancelled call loses nothing: the next one gets them."""
        if self._loading is None:
            self._loading = asyncio.get_running_loop().run_in_executor(None, self._file.read, BLOCK)
        try:
            block = await asyncio.shield(self._loading)
        except OSError as error:
            raise EndOfStreamError(f"cannot read {self._name}: {error.strerror}") from error
        self._loading = None
        return block

    def gather(self, seconds: float, size: int) -> None:
        """See Source: a chunk is all that is due."""

    async def close(self) -> None:
        """Close the file, once nobody reads it."""
        if self._loading is not None:
            await asyncio.wait([self._loading])
        self._file.close()
