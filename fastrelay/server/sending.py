"""The body of an answer that is still coming in, on its way to one reader."""

import asyncio
from collections.abc import Callable

from fastrelay.wire.response import Streamed


class Sending:
    """Writes piece after piece, and waits while the transport holds more than it should.

    Whoever reads too slowly holds up nobody but himself: the pieces are the source's, each reader has his own place.
    `wrote(size)` is told of every piece, while it is on its way: that is how a reader who takes none is found out.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        streamed: Streamed,
        wrote: Callable[[int], None],
        *,
        chunked: bool,
        paused: bool,
    ) -> None:
        self._transport = transport
        self._streamed = streamed
        self._wrote = wrote
        self._chunked = chunked
        self._flowing = asyncio.Event()
        if not paused:
            self._flowing.set()

    def pause(self) -> None:
        """The transport is full."""
        self._flowing.clear()

    def resume(self) -> None:
        """The transport takes more."""
        self._flowing.set()

    async def run(self) -> int:
        """Send all of it; returns its length in bytes. Raises what the source raises, EOFError when it ends early."""
        sent = 0
        pieces = self._streamed.pieces
        try:
            async for piece in pieces:
                sent += len(piece)
                self._write(piece)
                await self._flowing.wait()
        finally:
            await pieces.aclose()
        if self._chunked:
            self._transport.write(b"0\r\n\r\n")
        elif self._streamed.length is not None and sent != self._streamed.length:
            raise EOFError(f"{sent} bytes came of {self._streamed.length}")
        return sent

    def _write(self, piece: bytes) -> None:
        if self._chunked and piece:
            self._transport.writelines((b"%x\r\n" % len(piece), piece, b"\r\n"))
        else:
            self._transport.write(piece)
        self._wrote(len(piece))
