"""`/stream/{path}/hls`: master playlist, media playlist and segments, as prepared by the stream."""

import re
import secrets
from dataclasses import replace

from fastrelay.endpoints.directory import Directory
from fastrelay.endpoints.viewers import ViewerAccess, carried
from fastrelay.errors import RequestError
from fastrelay.streams.hls_output import CORS, PLAYLIST_TYPE, HlsOutput
from fastrelay.streams.stream import Stream, Visit
from fastrelay.wire.request import Request
from fastrelay.wire.response import Response
from fastrelay.wire.router import Router

_SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class HlsEndpoints:
    """Players may add query parameters of their own (`_HLS_msn` and the like); they change nothing."""

    def __init__(self, directory: Directory, access: ViewerAccess, start_timeout: float) -> None:
        self._directory = directory
        self._access = access
        self._start_timeout = start_timeout

    def register(self, router: Router) -> None:
        guard = self._access.guard
        router.add("GET", "/stream/{path}/hls", guard(self.master_below))
        router.add("GET", "/stream/{path}/hls/master.m3u8", guard(self.master))
        router.add("GET", "/stream/{path}/hls/playlist.m3u8", guard(self.playlist))
        router.add("GET", "/stream/{path}/hls/segment_{n}.ts", guard(self.segment))

    async def master_below(self, request: Request) -> Response:
        """The form without a file name: what it names lies one step further down."""
        return await self._master(request, "hls/")

    async def master(self, request: Request) -> Response:
        return await self._master(request, "")

    async def _master(self, request: Request, prefix: str) -> Response:
        """A new session, and the playlist that leads to it, when there is something to measure."""
        stream = self._directory.open(request.params["path"])
        headers = (("Cache-Control", "no-store"), *CORS)
        if request.method == "HEAD":
            return Response(200, b"", PLAYLIST_TYPE, headers)
        session = secrets.token_urlsafe(12)
        visit = await self._enter(stream, request, session, came=True)
        query = "&".join(part for part in (f"session={session}", carried(request)) if part)
        body = visit.output.master(f"{prefix}playlist.m3u8?{query}")
        return Response(200, body, PLAYLIST_TYPE, headers)

    async def playlist(self, request: Request) -> Response:
        """The media playlist; on a cold stream when its first segment is whole."""
        stream = self._directory.open(request.params["path"])
        if request.method == "HEAD":
            return Response(200, b"", PLAYLIST_TYPE, CORS)
        key = _session_of(request)
        finished = stream.finished
        if finished is not None and key in finished.sessions:
            finished.touch(finished.sessions[key])
            return _playlist(finished, request, key)
        visit = await self._enter(stream, request, key, came="session" not in request.query)
        return _playlist(visit.output, request, key)

    def segment(self, request: Request) -> Response:
        """404 for what was never cut, and for what was listed so long ago that nobody can still ask for it."""
        stream = self._directory.open(request.params["path"])
        number = request.params["n"]
        running = stream.run.hls if stream.run is not None else None
        for output in (running, stream.finished):
            found = output.segments.get(int(number)) if output and number.isdecimal() and len(number) < 20 else None
            if output and found:
                answer = _part(found, request)
                output.count(request.peer[0], request.headers.get("user-agent", ""), len(answer.body))
                return answer
        raise RequestError(404, "segment_not_found", f"There is no segment {number} (any more).", CORS)

    async def _enter(self, stream: Stream, request: Request, key: str, *, came: bool) -> Visit:
        visit = stream.visit(key, request.peer[0], request.headers.get("user-agent", ""), came=came)
        await visit.ready(self._start_timeout)
        return visit


def _session_of(request: Request) -> str:
    """The key of the viewer: given by his master playlist, else by where he comes from and what he plays with."""
    given = request.query.get("session", "")
    if _SESSION.fullmatch(given):
        return given
    return f"{request.peer[0]} {request.headers.get('user-agent', '')}"


def _playlist(output: HlsOutput, request: Request, key: str) -> Response:
    if request.headers.get("if-none-match") == output.etag:
        return Response(304, b"", "", (("ETag", output.etag), *CORS))
    coding = "gzip" if "gzip" in request.headers.get("accept-encoding", "") else "identity"
    answer = output.playlist[coding]
    if query := carried(request):
        answer = _with_query(output.playlist["identity"], query)
    session = output.sessions.get(key)
    output.delivered += len(answer.body)
    if session is not None:
        session.sent += len(answer.body)
    return answer


def _with_query(playlist: Response, query: str) -> Response:
    """The playlist for one who was let in by his query: what it names has to let him in as well."""
    return replace(playlist, body=playlist.body.replace(b".ts\n", f".ts?{query}\n".encode()))


def _part(whole: Response, request: Request) -> Response:
    """The whole segment, or the one range asked for (RFC 9110 §14); several ranges get the whole."""
    etag = dict(whole.headers)["ETag"]
    if request.headers.get("if-none-match") == etag:
        return Response(304, b"", "", whole.headers)
    found = _RANGE.fullmatch(request.headers.get("range", ""))
    if found is None or found.groups() == ("", "") or request.headers.get("if-range", etag) != etag:
        return whole
    size = len(whole.body)
    first, last = found.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last) + 1, size) if first and last else size
    if start >= size or start >= end:
        raise RequestError(
            416,
            "range_not_satisfiable",
            f"The segment has {size} bytes.",
            (("Content-Range", f"bytes */{size}"), *CORS),
        )
    headers = (*whole.headers, ("Content-Range", f"bytes {start}-{end - 1}/{size}"))
    return replace(whole, status=206, body=whole.body[start:end], headers=headers)
