"""Bodies that are received piece by piece: into a file, or, where they are small, into memory."""

import asyncio
from pathlib import Path

from fastrelay.errors import StorageError
from fastrelay.wire.body import too_large
from fastrelay.wire.request import Flow

_UNWRITTEN_MAX = 1 << 20
"""Bytes that may wait for the disk; beyond, the sender waits."""


class FileUpload:
    """A body that goes to disk, in a thread. `path` is new; whoever gets the upload from the request deletes it."""

    def __init__(self, flow: Flow, path: Path) -> None:
        self.path = path
        self._flow = flow
        self._pieces: list[bytes | bytearray] = []
        self._unwritten = 0
        self._writing: asyncio.Task[None] | None = None

    def write(self, data: bytes | bytearray) -> None:
        """Take the next piece."""
        self._pieces.append(data)
        self._unwritten += len(data)
        if self._unwritten > _UNWRITTEN_MAX:
            self._flow.pause_reading()
        if self._writing is None or (self._writing.done() and not self._writing.exception()):
            self._writing = asyncio.create_task(self._write())

    async def written(self) -> None:
        """Wait until everything is in the file. Raises StorageError."""
        if self._writing is None:
            self.write(b"")  # nothing came: the file is there all the same
        assert self._writing is not None
        try:
            await self._writing
        except OSError as error:
            raise StorageError(f"the upload cannot be written to {self.path}: {error.strerror}") from None

    def discard(self) -> None:
        """Stop, and remove the file. Idempotent."""
        self._pieces.clear()
        if self._writing is None or self._writing.done():
            self.path.unlink(missing_ok=True)
        else:
            self._writing.add_done_callback(lambda task: self.path.unlink(missing_ok=True))

    async def _write(self) -> None:
        while self._pieces:
            pieces, self._pieces = self._pieces, []
            try:
                await asyncio.to_thread(_append, self.path, pieces)
            finally:
                self._unwritten -= sum(map(len, pieces))
                # The protocol closes what is in the way; a connection that is gone does not mind.
                self._flow.resume_reading()


class MemoryUpload:
    """A body that has to be in memory as a whole, up to `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self.data = bytearray()
        self._limit = limit

    def write(self, data: bytes | bytearray) -> None:
        """Take the next piece. Raises RequestError 413."""
        if len(self.data) + len(data) > self._limit:
            raise too_large(self._limit)
        self.data += data

    def discard(self) -> None:
        """Nothing is left anyway."""


def _append(path: Path, pieces: list[bytes | bytearray]) -> None:
    with path.open("ab") as file:
        file.writelines(pieces)
