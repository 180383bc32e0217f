"""`/api/playlists`: M3U lists, imported from a URL, from JSON or from the file itself. Management only."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fastrelay.catalog.playlists import (
    OPTIONS,
    ConfiguredPlaylistError,
    Playlist,
    Playlists,
    UnknownPlaylistError,
    UploadedPlaylistError,
)
from fastrelay.catalog.stage import StageError
from fastrelay.catalog.store import to_the_end
from fastrelay.config.relay_fields import check_name
from fastrelay.config.settings import PLAYLIST
from fastrelay.config.tree import Tree
from fastrelay.endpoints.auth import Access, media_type
from fastrelay.endpoints.directory import parse_id
from fastrelay.endpoints.management import GONE, answer, answer_invalid
from fastrelay.endpoints.relay_body import CheckAddress, InvalidFieldError, check_source_url, json_body, kind_of
from fastrelay.endpoints.upload import FileUpload, MemoryUpload
from fastrelay.errors import ConfigError, RequestError, SourceError, StorageError
from fastrelay.streams.status import timestamp
from fastrelay.wire.request import Flow, Request, Upload
from fastrelay.wire.response import Response
from fastrelay.wire.router import Router
from fastrelay.wire.source_url import parse_source_url

UPLOAD_MAX = 64 << 20
"""Bytes of an uploaded list."""
_JSON_MAX = 8 << 20  # bytes: reading JSON holds the loop, 8 MiB for some 10 ms
_UPLOADED = "uploaded"
"""The name of a list that was uploaded without one."""

# None of these can a foreign web page send without asking first (Fetch standard, CORS-safelisted request headers).
LIST_TYPES = frozenset(
    {
        *("application/gzip", "application/octet-stream", "application/vnd.apple.mpegurl", "application/x-gzip"),
        *("application/x-mpegurl", "audio/mpegurl", "audio/x-mpegurl"),
    }
)
_WISHES = ("max_connections", *OPTIONS)
_IN_QUERY = ("max_connections", "merge")
"""What can be said about a list whose file is the body."""
_COUNTS = ("added", "updated", "unchanged", "removed", "rejected")


class PlaylistEndpoints:
    """`end_gone` ends, for the reason it is told, who watches channels that went with their list. `check_address` is
    asked at once about an IP address that stands in a list's URL."""

    def __init__(
        self,
        playlists: Playlists,
        end_gone: Callable[[str], Awaitable[None]],
        access: Access,
        check_address: CheckAddress,
    ) -> None:
        self._playlists = playlists
        self._end_gone = end_gone
        self._access = access
        self._check_address = check_address

    def register(self, router: Router) -> None:
        router.add("GET", "/api/playlists", self.all)
        router.add("POST", "/api/playlists", self.create, body_limit=UPLOAD_MAX, receive=self.receive)
        router.add("GET", "/api/playlists/{id}", self.one)
        router.add("DELETE", "/api/playlists/{id}", self.delete)
        router.add("POST", "/api/playlists/{id}/refresh", self.refresh)

    async def all(self, request: Request) -> Response:
        self._access.require_admin(request)
        with _refusals():
            playlists = [_shown(playlist) for playlist in await self._playlists.all()]
        return answer({"total": len(playlists), "playlists": playlists})

    async def one(self, request: Request) -> Response:
        self._access.require_admin(request)
        with _refusals():
            return answer(_shown(await self._playlists.get(parse_id(request.params["id"]))))

    def receive(self, request: Request, flow: Flow) -> Upload:
        """JSON into memory, anything else into a file. Raises RequestError before anything is read."""
        self._access.require_admin(request, LIST_TYPES)
        if media_type(request) == "application/json":
            return MemoryUpload(_JSON_MAX)
        return FileUpload(flow, self._playlists.new_file())

    async def create(self, request: Request) -> Response:
        """201 with Location for a new list, 200 for one that is there; both when it is imported."""
        upload = request.upload
        try:
            self._access.require_admin(request, LIST_TYPES)
            with _refusals():
                known = {playlist.name for playlist in await self._playlists.all()}
                playlist = await self._import(request, upload)
        except InvalidFieldError as error:
            return answer_invalid(error)
        finally:
            if upload is not None:
                upload.discard()
        if playlist.name in known:
            return answer(_shown(playlist))
        return answer(_shown(playlist), 201, (("Location", f"/api/playlists/{playlist.id}"),))

    async def delete(self, request: Request) -> Response:
        """204, when its channels are gone and their viewers are ended."""
        self._access.require_admin(request)
        with _refusals():
            await to_the_end(self._delete(parse_id(request.params["id"])))
        return GONE

    async def refresh(self, request: Request) -> Response:
        """200, when it is imported anew."""
        self._access.require_admin(request)
        with _refusals():
            return answer(_shown(await self._playlists.refresh(parse_id(request.params["id"]))))

    async def _delete(self, playlist_id: int) -> None:
        await self._playlists.delete(playlist_id)
        await self._end_gone("the channel's list was deleted")

    async def _import(self, request: Request, upload: Upload | None) -> Playlist:
        if isinstance(upload, FileUpload):
            name = _checked_name(request.query.get("name", _UPLOADED))
            wishes = _wishes({key: request.query[key] for key in _IN_QUERY if key in request.query})
            await upload.written()
            return await self._playlists.import_file(name, upload.path, wishes)
        if upload is None and media_type(request) in LIST_TYPES:
            raise StageError("the file is empty")
        request.body = bytes(upload.data) if isinstance(upload, MemoryUpload) else b""
        fields = _fields(json_body(request))
        name = _checked_name(fields["name"])
        wishes = _wishes({key: fields[key] for key in _WISHES if key in fields})
        if "url" in fields:
            self._check_url(fields["url"])
            return await self._playlists.import_url(name, fields["url"], wishes)
        path = self._playlists.new_file()
        try:
            await asyncio.to_thread(path.write_text, fields["content"], "utf-8", "replace", "")
            return await self._playlists.import_file(name, path, wishes)
        finally:
            path.unlink(missing_ok=True)

    def _check_url(self, url: str) -> None:
        try:
            check_source_url(url, self._check_address)
            if parse_source_url(url).scheme not in ("http", "https"):
                raise ValueError("expected http:// or https://")
        except ValueError as error:
            raise InvalidFieldError("url", str(error)) from None


def _fields(body: Any) -> dict[str, Any]:
    """`name` and one of `url` and `content`, all text; `_WISHES` are not looked at yet."""
    if not isinstance(body, dict):
        raise InvalidFieldError("", f"expected an object with name and url, or name and content, got {kind_of(body)}")
    for field, value in body.items():
        if field in _WISHES:
            continue
        if field not in ("name", "url", "content"):
            raise InvalidFieldError(
                field[:100], f"there is no such field, expected name, url or content, {', '.join(_WISHES)}"
            )
        if not isinstance(value, str):
            raise InvalidFieldError(field, f"expected text, got {kind_of(value)}")
    if "name" not in body:
        raise InvalidFieldError("name", "expected, but it is not there")
    if ("url" in body) == ("content" in body):
        raise InvalidFieldError("url", "expected either url or content")
    return body


def _wishes(given: dict[str, Any]) -> dict[str, Any]:
    """The values of these settings, as they could stand in the configuration too."""
    try:
        return {key: PLAYLIST[key](key, _tree(key, value)) for key, value in given.items()}
    except ConfigError as error:
        raise InvalidFieldError(error.path, error.expected) from None


def _tree(path: str, value: Any) -> Tree:
    """JSON as the configuration would have it, where numbers are still text."""
    if isinstance(value, list):
        return [_tree(f"{path}[{number}]", each) for number, each in enumerate(value)]
    if isinstance(value, bool | dict):
        raise InvalidFieldError(path, f"did not expect {kind_of(value)}")
    return value if value is None or isinstance(value, str) else str(value)


def _checked_name(name: str) -> str:
    try:
        check_name(name)
    except ValueError as error:
        raise InvalidFieldError("name", str(error)) from None
    return name


@contextmanager
def _refusals() -> Iterator[None]:
    """The catalogue's refusals as answers."""
    try:
        yield
    except UnknownPlaylistError as error:
        raise RequestError(404, "playlist_not_found", str(error)) from None
    except ConfiguredPlaylistError as error:
        raise RequestError(409, "playlist_configured", str(error)) from None
    except UploadedPlaylistError as error:
        raise RequestError(409, "playlist_uploaded", str(error)) from None
    except StageError as error:
        raise RequestError(422, "invalid_list", f"nothing was changed: {error}") from None
    except SourceError as error:
        raise RequestError(502, "list_unavailable", f"nothing was changed: {error}") from None
    except StorageError as error:
        raise RequestError(503, "storage_unavailable", f"nothing was changed: {error}") from error


def _shown(playlist: Playlist) -> dict[str, Any]:
    result = playlist.result
    imported = playlist.imported
    return {
        "id": playlist.id,
        "name": playlist.name,
        "url": playlist.url,
        "origin": playlist.origin,
        "channels": sum(result.get(key, 0) for key in ("added", "updated", "unchanged")),
        "imported_at": timestamp(imported) if imported else None,
        "failure": playlist.failure,
        **{key: getattr(playlist.entry, key) for key in _WISHES},
        **{key: result.get(key, 0) for key in _COUNTS},
        "rejections": result.get("rejections", []),
    }
