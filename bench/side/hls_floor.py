#!/usr/bin/env python3
"""The floor of HLS on this loop: a uvloop transport that writes the same bytes, whatever it is asked for. No HTTP is
looked at, nothing is counted, nobody is timed out.

    hls_floor.py PORT FOLDER        a GET of /name gets the file of that name in FOLDER, read when first asked for
"""

import asyncio
import functools
import sys
from pathlib import Path
from typing import cast

import uvloop

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


class Floor(asyncio.Protocol):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        for asking in data.split(b"\r\n\r\n")[:-1]:
            self._transport.writelines(_answer(self._folder, asking))


@functools.lru_cache
def _answer(folder: Path, asking: bytes) -> tuple[bytes, bytes]:
    body = (folder / asking.split(b" ", 2)[1].decode().strip("/").partition("?")[0]).read_bytes()
    return _HEAD % len(body), body


async def serve(port: int, folder: Path) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Floor(folder), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
