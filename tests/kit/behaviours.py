"""What an origin does with a request: a table of manners, good and bad. Some wrap others.

origin.route("/a", live(source))
origin.route("/b", cut(live(source, burst=10), seconds=3, then="reset"))
origin.route("/c", one_at_a_time(live(source)))
"""

import asyncio
import gzip
import time
from pathlib import Path
from typing import Literal, Protocol

from tests.kit.origin import Behaviour, Connection, Exchange
from tests.kit.position_coded import PositionCoded
from tests.kit.ts_packets import PACKET, header, pid_of

TICK = 0.02
"""Seconds between two writes of a live stream."""
EPOCH = time.monotonic() - 100
"""All live streams run by one clock, in its hundredth second now: whoever connects again comes in further on."""

TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".ts": "video/mp2t",
    ".mp4": "video/mp4",
    ".m4s": "video/iso.segment",
}

_NULL = header(0x1FFF, 0) + b"\xff" * (PACKET - 4)

Ending = Literal["eof", "reset", "stall"]


class Feed(Protocol):
    """An endless transport stream; a PositionCoded is one, a LoopedFile another."""

    byte_rate: int

    def packets(self, count: int, start: int = 0) -> bytes: ...


class LoopedFile:
    """A clip over and over, at its own rate (times and counters jump where it begins again)."""

    def __init__(self, path: Path, seconds: float) -> None:
        data = path.read_bytes()
        self._count = len(data) // PACKET
        self._data = data[: self._count * PACKET]
        self.byte_rate = int(len(self._data) / seconds)

    def packets(self, count: int, start: int = 0) -> bytes:
        first = start % self._count
        repeated = self._data * ((first + count) // self._count + 1)
        return repeated[first * PACKET : (first + count) * PACKET]


class Darkened:
    """A feed that is itself for `seconds`, and from then on null packets, or scrambled: bytes come all the same."""

    def __init__(self, feed: PositionCoded, seconds: float, how: Literal["null", "scrambled"]) -> None:
        self.byte_rate = feed.byte_rate
        self._feed = feed
        self._how = how
        self._light = int(seconds * feed.byte_rate) // PACKET
        self._dark_from: int | None = None

    def packets(self, count: int, start: int = 0) -> bytes:
        if self._dark_from is None:
            self._dark_from = start + self._light
        light = max(0, min(count, self._dark_from - start))
        return self._feed.packets(light, start) + self._dark(count - light, start + light)

    def _dark(self, count: int, start: int) -> bytes:
        if self._how == "null":
            return _NULL * count
        data = bytearray(self._feed.packets(count, start))
        for at in range(0, len(data), PACKET):
            if pid_of(data[at : at + PACKET]) in self._feed.pids[2:]:
                data[at + 3] |= 0xC0
        return bytes(data)


def live(
    feed: Feed, *, burst: float = 0.0, chunked: bool = False, misaligned: int = 0, content_type: str = "video/mp2t"
) -> Behaviour:
    """Live from where the feed is now; with the last `burst` seconds of it at once.

    `misaligned`: so many bytes of the first packet are missing.
    """

    async def behave(exchange: Exchange) -> None:
        encoding = (("Transfer-Encoding", "chunked"),) if chunked else ()
        await exchange.head(200, ("Content-Type", content_type), *encoding)
        at = int((time.monotonic() - EPOCH - burst) * feed.byte_rate) // PACKET
        skip = misaligned
        while True:
            now = int((time.monotonic() - EPOCH) * feed.byte_rate) // PACKET
            data = feed.packets(min(now - at, 2000), at)[skip:]
            if data:
                await exchange.send(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
                skip = 0
            at = min(now, at + 2000)
            if at == now:
                await asyncio.sleep(TICK)

    return behave


def body(data: bytes, content_type: str = "video/mp2t", *, gzipped: bool = False, chunked: bool = False) -> Behaviour:
    """A whole body with its Content-Length (or chunked); byte ranges are served, the connection is kept."""

    async def behave(exchange: Exchange) -> None:
        status, part, fields = _ranged(exchange, data)
        if gzipped:
            part = gzip.compress(part)
            fields = (*fields, ("Content-Encoding", "gzip"))
        length = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(part)))
        await exchange.head(status, ("Content-Type", content_type), length, *fields, keep_alive=True)
        if exchange.method != "HEAD":
            for at in range(0, len(part), 65_536):
                piece = part[at : at + 65_536]
                await exchange.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            if chunked:
                await exchange.send(b"0\r\n\r\n")

    return behave


def _ranged(exchange: Exchange, data: bytes) -> tuple[int, bytes, tuple[tuple[str, str], ...]]:
    unit, _, wanted = exchange.headers.get("range", "").partition("=")
    if unit != "bytes":
        return 200, data, ()
    first, _, last = wanted.partition("-")
    start, end = int(first), min(int(last) + 1 if last else len(data), len(data))
    return 206, data[start:end], (("Content-Range", f"bytes {start}-{end - 1}/{len(data)}"),)


def folder(path: Path) -> Behaviour:
    """Files below the route, as they are; route it on a path that ends with a slash."""

    async def behave(exchange: Exchange) -> None:
        file = path / exchange.path.rsplit("/", 1)[1]
        if not file.is_file():
            await status(404)(exchange)
        else:
            await body(file.read_bytes(), TYPES.get(file.suffix, "application/octet-stream"))(exchange)

    return behave


def html() -> Behaviour:
    """A portal's page with status 200, where a stream should be."""
    return body(b"<!DOCTYPE html><html><body>Please log in to watch.</body></html>", "text/html")


def status(code: int, *fields: tuple[str, str], text: bytes = b"no") -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await exchange.head(code, ("Content-Length", str(len(text))), *fields, keep_alive=True)
        await exchange.send(text)

    return behave


def redirect(to: str, code: int = 302) -> Behaviour:
    """To another URL or path; to its own path it is a loop."""
    return status(code, ("Location", to))


def slow_head(interval: float = 0.1) -> Behaviour:
    """A response head that grows by one field each `interval` seconds and never ends."""

    async def behave(exchange: Exchange) -> None:
        await exchange.connection.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            await exchange.connection.write(b"X-Wait: longer\r\n")
            await asyncio.sleep(interval)

    return behave


def silent() -> Behaviour:
    """Accepts and says nothing, until the peer leaves."""

    async def behave(exchange: Exchange) -> None:
        await asyncio.Event().wait()

    return behave


def trickle(data: bytes, rate: float, content_type: str = "video/mp2t") -> Behaviour:
    """`rate` bytes per second, one by one or nearly."""

    async def behave(exchange: Exchange) -> None:
        await exchange.head(200, ("Content-Type", content_type))
        step = max(1, round(rate * TICK))
        for at in range(0, len(data), step):
            await exchange.send(data[at : at + step])
            await asyncio.sleep(step / rate)

    return behave


class _Cut(Exchange):
    """An exchange that ends after so many bytes of its body."""

    def __init__(self, inner: Exchange, size: int) -> None:
        super().__init__(inner.connection, inner.method, inner.target, inner.headers)
        self._left = size

    async def send(self, data: bytes) -> None:
        await super().send(data[: self._left])
        self._left -= len(data)
        if self._left <= 0:
            raise _CutOff


class _CutOff(Exception):  # noqa: N818 - it is a signal, not an error
    pass


def cut(inner: Behaviour, *, size: int | None = None, seconds: float | None = None, then: Ending = "eof") -> Behaviour:
    """Like `inner`, but after `size` bytes of body or after `seconds`: EOF, a reset, or silence (socket open)."""

    async def behave(exchange: Exchange) -> None:
        shortened = exchange if size is None else _Cut(exchange, size)
        try:
            async with asyncio.timeout(seconds):
                await inner(shortened)
        except (_CutOff, TimeoutError):
            exchange.keep_alive = False
            await _end(exchange, then)

    return behave


async def _end(exchange: Exchange, how: Ending) -> None:
    if how == "stall":
        await asyncio.Event().wait()
    if how == "reset":
        exchange.reset()


def one_at_a_time(inner: Behaviour, code: int = 503) -> Behaviour:
    """A provider's limit of one connection: a second request while the first is open is turned away."""
    holder: list[Connection] = []

    async def behave(exchange: Exchange) -> None:
        if holder:
            return await status(code)(exchange)
        holder.append(exchange.connection)
        try:
            await inner(exchange)
        finally:
            holder.clear()
        return None

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """The first request meets the first, the next the second …, and all others the last."""
    waiting = list(behaviours)

    async def behave(exchange: Exchange) -> None:
        await (waiting.pop(0) if len(waiting) > 1 else waiting[0])(exchange)

    return behave
