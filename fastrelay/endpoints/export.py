"""`GET /playlist.m3u`: all relays and channels as a list that IPTV players take, with URLs of this server."""

import asyncio
from collections.abc import AsyncIterator, Callable

from fastrelay.catalog.channels import Channels, Place
from fastrelay.catalog.m3u import Entry, write_entry, write_header
from fastrelay.catalog.relays import Relays
from fastrelay.endpoints.base_url import base_url
from fastrelay.endpoints.viewers import ViewerAccess
from fastrelay.errors import RequestError
from fastrelay.wire.request import Request
from fastrelay.wire.response import Outlet, Response, Takeover
from fastrelay.wire.router import Answer, Router

CONTENT_TYPE = "audio/x-mpegurl; charset=utf-8"
PIECE = 2000
"""Channels read at a time: some 20 ms of the storage thread."""
WHOLE_MAX = 10_000
"""Channels up to which the list is one answer; a longer one is sent as it is read, so that it never is in memory."""

_HEADERS = (("Cache-Control", "no-store"),)
_BEHIND = {"ts": "", "hls": "/hls"}


class ExportEndpoint:
    """`public_url` is `server.public_url`; without one, URLs begin as the request's did. `write_timeout`: seconds."""

    def __init__(
        self, relays: Relays, channels: Channels, access: ViewerAccess, public_url: str | None, write_timeout: float
    ) -> None:
        self._relays = relays
        self._channels = channels
        self._access = access
        self._public_url = public_url
        self._write_timeout = write_timeout

    def register(self, router: Router) -> None:
        router.add("GET", "/playlist.m3u", self._access.guard(self.playlist))

    async def playlist(self, request: Request) -> Answer:
        """200. `type` is ts or hls; `group` leaves only channels of that group."""
        if request.query.get("type", "ts") not in _BEHIND:
            raise RequestError(422, "invalid", "type: expected ts or hls")
        if request.method == "HEAD":
            return Response(200, b"", CONTENT_TYPE, _HEADERS)
        pieces = self._pieces(request)
        first = [piece async for piece in _up_to(pieces, WHOLE_MAX // PIECE)]
        rest = await anext(pieces, None)
        if rest is None:
            return Response(200, b"".join(first), CONTENT_TYPE, _HEADERS)
        sending = _Sending([*first, rest], pieces, self._write_timeout)
        return Takeover(sending.attach, content_type=CONTENT_TYPE, headers=_HEADERS)

    async def _pieces(self, request: Request) -> AsyncIterator[bytes]:
        base = base_url(request, self._public_url)
        group = request.query.get("group")
        behind = _BEHIND[request.query.get("type", "ts")]
        head = write_header(await self._channels.header())
        yield (head + ("" if group else self._relay_entries(request, base, behind))).encode()
        before = f"{base}/api/proxy/channel/"
        behind += _query(self._access.query_below(request, "/api/proxy/channel"))
        place: Place | None = Place()
        while place is not None:
            text, place = await self._channels.export(place, group, PIECE, before, behind)
            if text:
                yield text.encode()

    def _relay_entries(self, request: Request, base: str, behind: str) -> str:
        behind += _query(self._access.query_below(request, "/stream"))
        lines = []
        for relay in self._relays.all():
            attributes = (("tvg-id", relay.output_path), ("tvg-name", relay.name.replace('"', "'")))
            lines.append(write_entry(Entry(0, relay.name, "", attributes=attributes)))
            lines.append(f"{base}/stream/{relay.output_path}{behind}\n")
        return "".join(lines)


class _Sending:
    """Sends a long list on a connection of its own, no faster than its reader reads."""

    def __init__(self, ready: list[bytes], rest: AsyncIterator[bytes], write_timeout: float) -> None:
        self._ready = ready
        self._rest = rest
        self._timeout = write_timeout

    def attach(self, outlet: Outlet, head: bytes) -> Callable[[], None]:
        task = asyncio.get_running_loop().create_task(self._send(outlet, head))

        def left() -> None:
            task.cancel()

        return left

    async def _send(self, outlet: Outlet, head: bytes) -> None:
        try:
            for piece in (head, *self._ready):
                await self._write(outlet, piece)
            self._ready = []
            async for piece in self._rest:
                await self._write(outlet, piece)
        except BaseException as error:
            # Without a length only a reset tells the reader that this is not the end.
            outlet.reset()
            if not isinstance(error, OSError | TimeoutError):
                raise
        else:
            outlet.finish()

    async def _write(self, outlet: Outlet, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            taken = outlet.send(view)
            view = view[taken:]
            if view and not taken:
                await self._writable(outlet)

    async def _writable(self, outlet: Outlet) -> None:
        writable = asyncio.Event()
        outlet.watch(writable.set)
        try:
            async with asyncio.timeout(self._timeout):
                await writable.wait()
        finally:
            outlet.unwatch()


async def _up_to(pieces: AsyncIterator[bytes], count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        piece = await anext(pieces, None)
        if piece is None:
            return
        yield piece


def _query(query: str) -> str:
    return f"?{query}" if query else ""
