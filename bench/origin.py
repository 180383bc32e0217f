#!/usr/bin/env python3
"""A provider for benchmarks: live, position-coded MPEG-TS of constant bitrate over HTTP, as many channels as are asked.

bench/origin.py --port 9000      serves /live/1.ts, /live/2.ts, …, all the same moment of one endless stream.

Channel n has source id 1 + (n - 1) % --sources. The stream is made once for all channels, picture by picture, 25 times
a second; a connection starts at the present picture, or with `?from=key` at the last key frame.
"""

import argparse
import selectors
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.kit.position_coded import FRAMES_PER_SECOND, PositionCoded

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n"
SEND_BUFFER = 4 << 20
"""Bytes a slow reader may be behind; then it is closed, as providers do."""


class Source:
    """One endless stream, and who reads it."""

    def __init__(self, source_id: int, byte_rate: int, gop: float) -> None:
        self.readers: set[socket.socket] = set()
        self._coded = PositionCoded(source_id=source_id, byte_rate=byte_rate, gop=gop)
        self._frame = 0
        self._since_key = bytearray()

    def join(self, reader: socket.socket, from_key: bool) -> None:
        """Give it the stream from now on. Raises OSError."""
        reader.send(HEAD + (bytes(self._since_key) if from_key else b""))
        self.readers.add(reader)

    def next_picture(self) -> list[socket.socket]:
        """Send one picture to everyone; returns who could not take it."""
        coded, first = self._coded, self._coded.frame_start(self._frame)
        picture = coded.packets(coded.frame_start(self._frame + 1) - first, first)
        if self._frame % coded.gop_frames == 0:
            self._since_key.clear()
        self._since_key += picture
        self._frame += 1
        return [reader for reader in self.readers if not _took(reader, picture)]


class Origin:
    """The server: one thread, one selector."""

    def __init__(self, port: int, sources: list[Source]) -> None:
        self._sources = sources
        self._selector = selectors.DefaultSelector()
        self._listening = socket.create_server(("127.0.0.1", port), backlog=1024)
        self._listening.setblocking(False)
        self._selector.register(self._listening, selectors.EVENT_READ)
        self.port: int = self._listening.getsockname()[1]

    def run(self, until: float) -> None:
        """Serve until a moment of the monotonic clock."""
        due = time.monotonic()
        while due < until:
            now = time.monotonic()
            if now >= due:
                for source in self._sources:
                    for reader in source.next_picture():
                        self._close(reader)
                due += 1 / FRAMES_PER_SECOND
                continue
            for key, _ in self._selector.select(due - now):
                if key.fileobj is self._listening:
                    self._accept()
                else:
                    self._read(key.fileobj)  # type: ignore[arg-type]  # only sockets are registered

    def _accept(self) -> None:
        reader, _ = self._listening.accept()
        reader.setblocking(False)
        reader.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._selector.register(reader, selectors.EVENT_READ)

    def _read(self, reader: socket.socket) -> None:
        """A request, in one piece, or the end."""
        try:
            head = reader.recv(16 * 1024)
            if not head:
                raise ConnectionResetError
            path, _, query = head.split(b" ")[1].partition(b"?")
            number = int(path.removeprefix(b"/live/").removesuffix(b".ts"))
            self._sources[(number - 1) % len(self._sources)].join(reader, query == b"from=key")
        except BlockingIOError:
            return
        except (OSError, IndexError, ValueError):
            self._close(reader)

    def _close(self, reader: socket.socket) -> None:
        for source in self._sources:
            source.readers.discard(reader)
        self._selector.unregister(reader)
        reader.close()


def _took(reader: socket.socket, data: bytes) -> bool:
    try:
        return reader.send(data) == len(data)
    except OSError:
        return False


def main() -> None:
    """Prints the address it listens on as its first line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0: any that is free (default)")
    parser.add_argument("--bitrate", type=int, default=4_000_000, help="bits per second (default 4000000)")
    parser.add_argument("--gop", type=float, default=1.0, help="seconds from key frame to key frame (default 1)")
    parser.add_argument("--sources", type=int, default=1, help="different streams (default 1)")
    parser.add_argument("--seconds", type=float, default=3600.0, help="ends by itself after this (default 3600)")
    given = parser.parse_args()
    streams = [Source(number, given.bitrate // 8, given.gop) for number in range(1, given.sources + 1)]
    origin = Origin(given.port, streams)
    print(f"http://127.0.0.1:{origin.port}/live/1.ts", flush=True)
    origin.run(time.monotonic() + given.seconds)


if __name__ == "__main__":
    main()
