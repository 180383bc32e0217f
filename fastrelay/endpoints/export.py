"""`GET /playlist.m3u`: all relays and channels as a list that IPTV players take, with URLs of this server."""

from collections.abc import AsyncGenerator, AsyncIterator

from fastrelay.catalog.channels import STREAM_PREFIX, Around, Channels, Place
from fastrelay.catalog.m3u import Entry, write_entry, write_header
from fastrelay.catalog.relays import Relays
from fastrelay.endpoints.base_url import base_url
from fastrelay.endpoints.management import answer_invalid
from fastrelay.endpoints.relay_body import InvalidFieldError
from fastrelay.endpoints.viewers import ViewerAccess
from fastrelay.wire.request import Request
from fastrelay.wire.response import Response, Streamed
from fastrelay.wire.router import Answer, Router

CONTENT_TYPE = "audio/x-mpegurl; charset=utf-8"
PIECE = 2000
"""Channels read at a time: some 20 ms of the storage thread."""
WHOLE_MAX = 10_000
"""Channels up to which the list is one answer; a longer one is sent as it is read, so that it never is in memory."""

_HEADERS = (("Cache-Control", "no-store"),)
_BEHIND = {"ts": "", "hls": "/hls"}


class ExportEndpoint:
    """`public_url` is `server.public_url`; without one, URLs begin as the request's did."""

    def __init__(self, relays: Relays, channels: Channels, access: ViewerAccess, public_url: str | None) -> None:
        self._relays = relays
        self._channels = channels
        self._access = access
        self._public_url = public_url

    def register(self, router: Router) -> None:
        router.add("GET", "/playlist.m3u", self._access.guard(self.playlist))

    async def playlist(self, request: Request) -> Answer:
        """200. `type` is ts or hls; `group` leaves only channels of that group."""
        if request.query.get("type", "ts") not in _BEHIND:
            return answer_invalid(InvalidFieldError("type", "expected ts or hls"))
        if request.method == "HEAD":
            return Response(200, b"", CONTENT_TYPE, _HEADERS, measured=False)
        pieces = self._pieces(request)
        first = [piece async for piece in _up_to(pieces, WHOLE_MAX // PIECE)]
        rest = await anext(pieces, None)
        if rest is None:
            return Response(200, b"".join(first), CONTENT_TYPE, _HEADERS)
        return Streamed(_in_turn([*first, rest], pieces), None, 200, CONTENT_TYPE, _HEADERS)

    async def _pieces(self, request: Request) -> AsyncGenerator[bytes, None]:
        base = base_url(request, self._public_url)
        group = request.query.get("group")
        behind = _BEHIND[request.query.get("type", "ts")]
        head = write_header(await self._channels.header())
        yield (head + ("" if group else self._relay_entries(request, base, behind))).encode()
        passed = Around(f"{base}/api/proxy/channel/", behind + self._query(request, "/api/proxy/channel"))
        # There is HLS to pass through only where the source is HLS. Of any other channel it is cut here.
        cut = Around(f"{base}/stream/{STREAM_PREFIX}", behind + self._query(request, "/stream"))
        place: Place | None = Place()
        while place is not None:
            text, place = await self._channels.export(place, group, PIECE, passed, cut if behind else passed)
            if text:
                yield text.encode()

    def _relay_entries(self, request: Request, base: str, behind: str) -> str:
        behind += self._query(request, "/stream")
        lines = []
        for relay in self._relays.all():
            attributes = (("tvg-id", relay.output_path), ("tvg-name", relay.name.replace('"', "'")))
            lines.append(write_entry(Entry(0, relay.name, "", attributes=attributes)))
            lines.append(f"{base}/stream/{relay.output_path}{behind}\n")
        return "".join(lines)

    def _query(self, request: Request, below: str) -> str:
        query = self._access.query_below(request, below)
        return f"?{query}" if query else ""


async def _in_turn(first: list[bytes], rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    try:
        while first:
            yield first.pop(0)
        async for piece in rest:
            yield piece
    finally:
        await rest.aclose()


async def _up_to(pieces: AsyncIterator[bytes], count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        piece = await anext(pieces, None)
        if piece is None:
            return
        yield piece
