"""`/api/proxy/channel/{id}/hls`: a channel's own HLS, its playlists rewritten to this server."""

import re
import secrets
from collections.abc import AsyncGenerator
from dataclasses import replace

from fastrelay.endpoints.any_origin import add_for_any_origin
from fastrelay.endpoints.base_url import base_url
from fastrelay.endpoints.directory import Directory
from fastrelay.endpoints.part import not_there, part
from fastrelay.endpoints.sessions import query_of, session_of
from fastrelay.endpoints.viewers import ViewerAccess
from fastrelay.errors import RequestError, SourceError, StallError, StatusError
from fastrelay.hls.m3u8_model import Span
from fastrelay.hls.names import Role
from fastrelay.hls.rewrite import Position
from fastrelay.passthrough.channel import Channel
from fastrelay.passthrough.fetch import Fetch
from fastrelay.passthrough.media_types import media_type
from fastrelay.passthrough.no_source import NoSourceError
from fastrelay.passthrough.playlist import Version
from fastrelay.passthrough.table import Entry
from fastrelay.streams.failures import RETRY_AFTER
from fastrelay.streams.hls_answers import CORS, PLAYLIST_TYPE
from fastrelay.streams.hls_sessions import Session
from fastrelay.wire.conditional import ByteRange, is_current, parse_range, takes_gzip
from fastrelay.wire.request import Request
from fastrelay.wire.response import Headers, Response, Streamed
from fastrelay.wire.router import Answer, Router

_NUMBER = re.compile(r"[0-9]{1,15}")
_NO_STORE: Headers = (("Cache-Control", "no-store"), ("Vary", "Accept-Encoding"), *CORS)
# A name never names other bytes while this process lives; after a restart all names are new.
_KEPT: Headers = (("Cache-Control", "public, max-age=600, immutable"), ("Accept-Ranges", "bytes"), *CORS)
_KEY: Headers = (("Cache-Control", "no-store"), ("Accept-Ranges", "bytes"), *CORS)
_NOSNIFF: Headers = (("X-Content-Type-Options", "nosniff"),)
_ALL_PARTS = 1 << 30


class PassthroughEndpoints:
    """HEAD is answered at once and asks no source for anything."""

    def __init__(self, directory: Directory, access: ViewerAccess, public_url: str | None) -> None:
        self._directory = directory
        self._access = access
        self._public_url = public_url

    def register(self, router: Router) -> None:
        for name, handler in (("", self.root), ("/{name}", self.named)):
            add_for_any_origin(router, f"/api/proxy/channel/{{id}}/hls{name}", self._access.guard(handler))

    async def root(self, request: Request) -> Response:
        """The playlist that the channel's source is: a master playlist with a session of its own for each viewer, or a
        media playlist. Raises RequestError 404, 409, 502, 503 (no connection is free), 504."""
        if request.method == "HEAD":
            await self._directory.channel(request.params["id"])
            return Response(200, b"", PLAYLIST_TYPE, _NO_STORE, measured=False)
        channel = await self._directory.passthrough(request.params["id"])
        with channel.asking(request.who):
            try:
                version = await channel.root(_wanted(request))
            except NoSourceError as error:
                raise self._no_source(error, request) from None
            key = session_of(request)
            if version.rewritten.master:
                key = key or secrets.token_urlsafe(12)
            return await _playlist(channel, version, request, key, "hls/")

    async def named(self, request: Request) -> Answer:
        """What a playlist named. Raises RequestError: 404 also for what is not listed any more; 502, 504."""
        channel = self._directory.passed_through(request.params["id"])
        entry = channel.find(request.params["name"]) if channel is not None else None
        if channel is None or entry is None:
            raise RequestError(404, "name_not_found", "No playlist of this channel names that (any more).")
        if request.method == "HEAD":
            return Response(200, b"", media_type("", entry.name), CORS, measured=False)
        with channel.asking(request.who):
            try:
                if entry.mention.role is Role.PLAYLIST:
                    version = await channel.playlist(entry, _wanted(request))
                    return await _playlist(channel, version, request, session_of(request), "")
                return await _resource(channel, entry, request)
            except SourceError as error:
                raise _failure(error) from None

    def _no_source(self, error: NoSourceError, request: Request) -> RequestError:
        if error.limited:
            return RequestError(503, "account_limit", f"No connection is free. {error}", RETRY_AFTER)
        if error.other:
            direct = f"{base_url(request, self._public_url)}{request.path.removesuffix('/hls')}"
            return RequestError(
                409, "source_not_hls", f"The channel's source is not HLS; it is relayed as MPEG-TS at {direct}"
            )
        if error.slow:
            return RequestError(504, "source_timeout", f"No source answered in time. {error}")
        return RequestError(502, "no_source_works", f"No source works. {error}")


def _failure(error: SourceError) -> RequestError:
    """What one playlist or resource failed for."""
    if isinstance(error, StatusError) and getattr(error, "status", 0) in (404, 410):
        return RequestError(404, "source_not_found", f"The source does not have it. {error}")
    if isinstance(error, StallError):
        return RequestError(504, "source_timeout", str(error))
    return RequestError(502, "source_failed", f"{error.reason}: {error}")


def _wanted(request: Request) -> Position | None:
    """The segment, and part of it, that a low-latency player wants to wait for (RFC 8216bis §6.2.5.2)."""
    segment, part = request.query.get("_HLS_msn", ""), request.query.get("_HLS_part", "")
    if not _NUMBER.fullmatch(segment):
        return None
    return int(segment), int(part) if _NUMBER.fullmatch(part) else _ALL_PARTS


async def _playlist(channel: Channel, version: Version, request: Request, key: str, prefix: str) -> Response:
    session = channel.visit(key, *request.who) if key else channel.viewer(*request.who)
    master = version.rewritten.master
    query = query_of(key if master else "", request)
    compressed = takes_gzip(request.headers.get("accept-encoding", ""))
    body, coding = await version.body(prefix, query, compressed)
    channel.sent(session, len(body))
    return Response(200, body, PLAYLIST_TYPE, (*_NO_STORE, *((("Content-Encoding", coding),) if coding else ())))


async def _resource(channel: Channel, entry: Entry, request: Request) -> Answer:
    etag = f'"{entry.name}"'
    headers = (*(_KEY if entry.mention.role is Role.KEY else _KEPT), ("ETag", etag))
    session = channel.viewer(*request.who)
    if is_current(request.headers.get("if-none-match"), etag):
        return Response(304, b"", "", headers)
    asked = parse_range(request.headers.get("range", ""))
    if request.headers.get("if-range", etag) != etag:
        asked = None
    span = _listed(entry, asked)
    fetch = channel.fetch(entry, span)
    await fetch.begun()
    headers = (*headers, *_NOSNIFF)
    answer: Response | Streamed
    if span is not None and asked is not None:
        answer = await _range_of_span(fetch, span, asked, entry, headers)
    elif fetch.body is not None:
        answer = part(Response(200, fetch.body, media_type(fetch.content_type, entry.name), headers), request)
    else:
        answer = await _as_it_comes(fetch, asked, entry, headers)
    if isinstance(answer, Streamed):
        return replace(answer, pieces=_counted(channel, session, answer.pieces))
    channel.sent(session, len(answer.body))
    return answer


def _listed(entry: Entry, asked: ByteRange | None) -> Span | None:
    """The listed byte range in which the asked one begins; None where the resource is wanted, or listed, as a whole."""
    if asked is None or asked.first is None:
        return None
    around = [span for span in entry.spans if span[0] <= asked.first < span[0] + span[1]]
    if asked.last is not None:
        around = [span for span in around if asked.last < span[0] + span[1]]
    return min(around, key=lambda span: span[1], default=None)


async def _range_of_span(
    fetch: Fetch, span: Span, asked: ByteRange, entry: Entry, headers: Headers
) -> Response | Streamed:
    """A range within a listed one. One without an end is answered to the end of that."""
    if fetch.length is None:
        await fetch.whole()
    first, length = asked.first or 0, fetch.length or 0
    found = ByteRange(first - span[0], None if asked.last is None else asked.last - span[0]).within(length)
    if found is None:
        raise not_there(fetch.total or span[0] + length)
    start, end = found
    total = "*" if fetch.total is None else str(fetch.total)
    headers = (*headers, ("Content-Range", f"bytes {span[0] + start}-{span[0] + end - 1}/{total}"))
    content_type = media_type(fetch.content_type, entry.name)
    if fetch.body is not None:
        return Response(206, fetch.body[start:end], content_type, headers)
    return Streamed(fetch.follow(start, end), end - start, 206, content_type, headers)


async def _as_it_comes(fetch: Fetch, asked: ByteRange | None, entry: Entry, headers: Headers) -> Response | Streamed:
    """A resource that is still being fetched, or a range of it."""
    content_type = media_type(fetch.content_type, entry.name)
    if asked is None:
        return Streamed(fetch.follow(), fetch.length, 200, content_type, headers)
    if fetch.length is None:
        await fetch.whole()
    size = fetch.length or 0
    found = asked.within(size)
    if found is None:
        raise not_there(size)
    start, end = found
    headers = (*headers, ("Content-Range", f"bytes {start}-{end - 1}/{size}"))
    return Streamed(fetch.follow(start, end), end - start, 206, content_type, headers)


async def _counted(
    channel: Channel, session: Session, pieces: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """The pieces, each counted when it is taken; who is being answered has not left."""
    session.waiting += 1
    try:
        async for piece in pieces:
            channel.sent(session, len(piece))
            yield piece
    finally:
        session.waiting -= 1
        await pieces.aclose()
