"""`/stream/{path}/hls`: master playlist, media playlist and segments, as prepared by the stream of a relay, or of a
channel by its stream id."""

import re
import secrets
import weakref
from collections.abc import Coroutine
from typing import Any

from fastrelay.endpoints.any_origin import add_for_any_origin
from fastrelay.endpoints.directory import Directory
from fastrelay.endpoints.part import part
from fastrelay.endpoints.sessions import query_of, session_of
from fastrelay.endpoints.viewers import ViewerAccess, carried
from fastrelay.errors import RequestError
from fastrelay.streams.hls_answers import CORS, PLAYLIST_TYPE, Playlist
from fastrelay.streams.hls_output import HlsOutput
from fastrelay.streams.hls_sessions import Session
from fastrelay.streams.seat import Visit
from fastrelay.streams.stream import Stream
from fastrelay.wire.conditional import is_current, takes_gzip
from fastrelay.wire.request import Again, Request
from fastrelay.wire.response import Response
from fastrelay.wire.router import Answering, Handler, Router

_NAME = re.compile(r"[1-9][0-9]{0,18}")
_MASTER = (("Cache-Control", "no-store"), *CORS)
_UNKNOWN_YET = Response(200, b"", PLAYLIST_TYPE, (("Cache-Control", "no-cache"), *CORS), measured=False)


class HlsEndpoints:
    """Players may add query parameters of their own (`_HLS_msn` and the like); they change nothing."""

    def __init__(self, directory: Directory, access: ViewerAccess, start_timeout: float) -> None:
        self._directory = directory
        self._access = access
        self._start_timeout = start_timeout

    def register(self, router: Router) -> None:
        handlers: dict[str, Handler] = {
            "": self.master_below,
            "/master.m3u8": self.master,
            "/playlist.m3u8": self.playlist,
            "/segment_{n}.ts": self.segment,
        }
        for name, handler in handlers.items():
            add_for_any_origin(router, f"/stream/{{path}}/hls{name}", self._access.guard(handler))

    async def master_below(self, request: Request) -> Response:
        """The form without a file name: what it names lies one step further down."""
        return await self._master(request, "hls/")

    async def master(self, request: Request) -> Response:
        return await self._master(request, "")

    async def _master(self, request: Request, prefix: str) -> Response:
        """A new session, and the playlist that leads to it, when there is something to measure."""
        path, watched = request.params["path"], request.method != "HEAD"
        stream = self._directory.at(path) or await self._directory.channel_at(path, watched=watched)
        if request.method == "HEAD":
            return Response(200, b"", PLAYLIST_TYPE, _MASTER, measured=False)
        session = secrets.token_urlsafe(12)
        visit = self._enter(stream, request, session, came=True)
        await visit.ready(self._start_timeout)
        body = visit.output.master(f"{prefix}playlist.m3u8?{query_of(session, request)}")
        return Response(200, body, PLAYLIST_TYPE, _MASTER)

    def playlist(self, request: Request) -> Answering:
        """The media playlist; on a cold stream when its first segments are whole."""
        path = request.params["path"]
        stream = self._directory.at(path)
        if stream is None:
            return self._list_channel(path, request)
        return self._list(stream, request)

    async def _list_channel(self, path: str, request: Request) -> Response:
        answer = self._list(await self._directory.channel_at(path, watched=request.method != "HEAD"), request)
        return answer if isinstance(answer, Response) else await answer

    def _list(self, stream: Stream, request: Request) -> Response | Coroutine[Any, Any, Response]:
        if request.method == "HEAD":
            running = stream.run.hls if stream.run is not None else None
            return _head_of_playlist(running, request)
        key = _viewer_of(request)
        finished = stream.finished
        left = finished.sessions.find(key, request.peer[0]) if finished is not None else None
        if finished is not None and left is not None:
            finished.touch(left)
            return _playlist(finished, request, left)
        visit = self._enter(stream, request, key, came="session" not in request.query)
        if not visit.is_ready:
            return self._first_playlist(visit, request)
        # Nearly always: and then without a task for it, and next time without all of the above.
        if "expires" not in request.query:
            request.again = _poll(visit, request)
        return _playlist(visit.output, request, visit.session)

    async def _first_playlist(self, visit: Visit, request: Request) -> Response:
        await visit.ready(self._start_timeout)
        return _playlist(visit.output, request, visit.session)

    def segment(self, request: Request) -> Response:
        """404 for what was never cut, and for what was listed so long ago that nobody can still ask for it."""
        stream = self._directory.at(request.params["path"])
        number = request.params["n"]
        running = stream.run.hls if stream is not None and stream.run is not None else None
        finished = stream.finished if stream is not None else None
        for output in (running, finished):
            found = output.segments.get(int(number)) if output and _NAME.fullmatch(number) else None
            if output and found:
                answer = part(found, request)
                if request.method != "HEAD":
                    output.count(*request.who, len(answer.body))
                    if answer is found and "expires" not in request.query:
                        request.for_all = _fetch(output, int(number), request)
                return answer
        raise RequestError(404, "segment_not_found", f"There is no segment {number[:20]} (any more).")

    def _enter(self, stream: Stream, request: Request, key: str, *, came: bool) -> Visit:
        return stream.visit(key, *request.who, came=came)


def _viewer_of(request: Request) -> str:
    """The key of the viewer: given by his master playlist, else by where he comes from and what he plays with."""
    return session_of(request) or " ".join(request.who)


def _poll(visit: Visit, request: Request) -> Again:
    """How the viewer's next request for the same is answered, while he stays and the stream runs. Thousands a second
    come this way: it looks at nothing that cannot have changed."""
    output, session = visit.output, visit.session
    playlist: Playlist | None = None
    answer: Response | None = None
    size = 0

    def again(_address: str) -> Response | None:
        nonlocal playlist, answer, size
        if playlist is not output.playlist:
            playlist = output.playlist
            answer = _as_asked(playlist, request) if playlist is not None else None
            size = len(answer.body) if answer is not None else 0
        if answer is None or session.over:
            return None
        output.touch(session)
        output.delivered += size
        session.sent += size
        return answer

    return again


def _fetch(output: HlsOutput, number: int, request: Request) -> Again:
    """How the same is answered to all who ask for it as this request does, while the segment can be fetched."""
    agent = request.who[1]
    # What is answered to all may be remembered for longer than the stream runs, which has a ring.
    there = weakref.ref(output)

    def again(address: str) -> Response | None:
        output = there()
        whole = output.segments.get(number) if output is not None else None
        if output is not None and whole is not None:
            output.count(address, agent, len(whole.body))
        return whole

    return again


def _playlist(output: HlsOutput, request: Request, session: Session) -> Response:
    answer = _rendered(output, request)
    output.delivered += len(answer.body)
    session.sent += len(answer.body)
    return answer


def _rendered(output: HlsOutput, request: Request) -> Response:
    """The playlist, or word that the client has it. Raises RequestError 503 where the stream has just ended."""
    if output.playlist is None:
        raise RequestError(503, "stream_stopped", "The stream ended.", (("Retry-After", "1"),))
    return _as_asked(output.playlist, request)


def _as_asked(playlist: Playlist, request: Request) -> Response:
    headers = request.headers
    rendering = playlist.rendering(carried(request), takes_gzip(headers.get("accept-encoding", "")))
    unchanged = is_current(headers.get("if-none-match"), rendering.etag)
    return rendering.unchanged if unchanged else rendering.whole


def _head_of_playlist(output: HlsOutput | None, request: Request) -> Response:
    """Nothing is started or counted for it, so there may be nothing to tell about."""
    return _rendered(output, request) if output is not None and output.ready else _UNKNOWN_YET
