"""`GET /stream/{path}` and `GET /api/proxy/channel/{id}`: continuous MPEG-TS. `path` is a relay's, or a channel's
stream id."""

from fastrelay.catalog.channels import STREAM_PREFIX
from fastrelay.endpoints.directory import Directory
from fastrelay.endpoints.viewers import ViewerAccess
from fastrelay.streams.seat import Seat
from fastrelay.streams.stream import Stream
from fastrelay.wire.request import Request
from fastrelay.wire.response import Takeover
from fastrelay.wire.router import Answering, Router

HEADERS = (("Cache-Control", "no-store"), ("Accept-Ranges", "none"))


class LiveEndpoint:
    """Lets viewers into streams. HEAD gets the head and no more: it never starts a pull."""

    def __init__(self, directory: Directory, access: ViewerAccess, start_timeout: float) -> None:
        self._directory = directory
        self._access = access
        self._start_timeout = start_timeout

    def register(self, router: Router) -> None:
        router.add("GET", "/stream/{path}", self._access.guard(self.watch))
        router.add("GET", "/api/proxy/channel/{id}", self._access.guard(self.watch_channel))

    def watch(self, request: Request) -> Answering:
        """200 and the stream; raises RequestError 404, 502, 503 or 504 as the contract says."""
        # Output paths have no dots, so the suffix that players like to see cannot hide a relay of that name.
        path = request.params["path"].removesuffix(".ts")
        stream = self._directory.at(path)
        if stream is None:
            return self._watch_channel(path, request)
        # Thousands may come at once to a stream that runs: they are let in without a task for each.
        return _let_in(stream, request) or self._serve(stream, request)

    async def watch_channel(self, request: Request) -> Takeover:
        """The same for a channel of a list."""
        return await self._watch_channel(f"{STREAM_PREFIX}{request.params['id']}", request)

    async def _watch_channel(self, path: str, request: Request) -> Takeover:
        stream = await self._directory.channel_at(path, watched=request.method != "HEAD")
        return _let_in(stream, request) or await self._serve(stream, request)

    async def _serve(self, stream: Stream, request: Request) -> Takeover:
        seat = _enter(stream, request)
        try:
            await seat.ready(self._start_timeout)
        except BaseException:
            seat.leave()
            raise
        return Takeover(seat.attach, seat.leave, headers=HEADERS, logged_at_end=True)


def _let_in(stream: Stream, request: Request) -> Takeover | None:
    """The answer that needs no waiting; None while the stream cannot be joined."""
    if request.method == "HEAD":
        return Takeover(lambda outlet, head: _enter(stream, request).attach(outlet, head), headers=HEADERS)
    if not stream.joinable:
        return None
    seat = _enter(stream, request)
    return Takeover(seat.attach, seat.leave, headers=HEADERS, logged_at_end=True)


def _enter(stream: Stream, request: Request) -> Seat:
    return stream.enter(*request.who)
