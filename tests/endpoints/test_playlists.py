"""The API of lists and channels: handlers called directly, on a real database."""

import json
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fastrelay.catalog.channels import Channels
from fastrelay.catalog.playlists import Playlists
from fastrelay.catalog.relays import Relays
from fastrelay.catalog.stage import Order, Staged, stage
from fastrelay.catalog.store import Store
from fastrelay.config import PlaylistEntry, Sources
from fastrelay.endpoints.auth import Access
from fastrelay.endpoints.channels import ChannelEndpoints, output_path_of
from fastrelay.endpoints.playlists import PlaylistEndpoints
from fastrelay.endpoints.upload import MemoryUpload
from fastrelay.errors import ConnectError, RequestError
from fastrelay.sources.addresses import AddressPolicy
from fastrelay.wire.request import Request
from fastrelay.wire.response import Response
from fastrelay.wire.router import Router
from fastrelay.wire.target import parse_target

LIST = '#EXTM3U\n#EXTINF:-1 tvg-id="n" tvg-logo="http://l/x" a="1" a="2",News\nhttp://a.example/1.ts\n'


@dataclass
class Api:
    router: Router
    peer: str = "127.0.0.1"

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        target = parse_target(method, path)
        route, params = self.router.resolve(method, target)
        raw = b"" if body is None else json.dumps(body).encode()
        headers = {"host": "localhost", **({"content-type": "application/json"} if raw else {})}
        request = Request(
            method, path, target.path, target.query, headers, (self.peer, 4), ("127.0.0.1", 5), False, raw, params
        )
        try:
            if raw and route.receive is not None:
                request.body, upload = b"", route.receive(request, NoFlow())
                assert isinstance(upload, MemoryUpload)
                upload.write(raw)
                request.upload = upload
            answer = route.handler(request)
            answer = await answer if isinstance(answer, Awaitable) else answer
        except RequestError as error:
            return error.status, {"error": {"code": error.code, "message": error.message}}
        assert isinstance(answer, Response)
        return answer.status, json.loads(answer.body) if answer.body else None


class NoFlow:
    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    store = await Store.open(tmp_path / "fastrelay.db")

    async def stage_here(order: Order) -> Staged:
        return stage(order)

    async def fetch(url: str, path: Path) -> str:
        raise ConnectError("http://p.example/get.php?password=***: no connection")

    async def imported() -> None: ...

    async def end_gone(reason: str) -> None: ...

    playlists = Playlists(store, tmp_path / "incoming", fetch, imported, stage_here)
    await playlists.declare([PlaylistEntry(name="declared", url="http://d.example/")])
    access, policy, router = Access(None), AddressPolicy(Sources().allow_networks), Router()
    relays = await Relays.load(store, [])
    PlaylistEndpoints(playlists, end_gone, access, policy.check).register(router)
    ChannelEndpoints(Channels(store), relays, access, policy.check).register(router)
    yield Api(router)
    await playlists.stop()
    await store.close()


async def test_everything_is_management(api: Api) -> None:
    api.peer = "10.0.0.1"
    for method, path in (
        ("GET", "/api/playlists"), ("POST", "/api/playlists"), ("GET", "/api/playlists/1"),
        ("DELETE", "/api/playlists/1"), ("POST", "/api/playlists/1/refresh"), ("GET", "/api/channels"),
        ("GET", "/api/channels/1"), ("POST", "/api/channels/1/relay"),
    ):  # fmt: skip
        assert (await api.ask(method, path))[0] == 403, path
        assert method != "POST" or (await api.ask(method, path, {}))[0] == 403, path


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], ""),
        ({}, "name"),
        ({"name": "x"}, "url"),
        ({"name": "x", "url": "http://a.example/", "content": "#EXTM3U"}, "url"),
        ({"name": 1, "content": ""}, "name"),
        ({"name": " ", "content": ""}, "name"),
        ({"name": "x", "contents": ""}, "contents"),
        ({"name": "x", "url": "file:///etc/passwd"}, "url"),
        ({"name": "x", "url": "udp://@239.1.1.1:5000"}, "url"),
        ({"name": "x", "url": "http://169.254.169.254/"}, "url"),
        ({"name": "x", "url": "http://127.0.0.1/"}, "url"),
    ],
)
async def test_what_is_wrong_with_a_body_is_said_exactly(api: Api, body: Any, field: str) -> None:
    status, answer = await api.ask("POST", "/api/playlists", body)
    assert (status, answer["error"]["code"], answer["error"]["field"]) == (422, "invalid", field)


async def test_refusals(api: Api) -> None:
    async def code(method: str, path: str, body: Any = None) -> tuple[int, str]:
        status, answer = await api.ask(method, path, body)
        return status, answer["error"]["code"]

    assert await code("POST", "/api/playlists", {"name": "x", "content": "<html>"}) == (422, "invalid_list")
    assert await code("POST", "/api/playlists", {"name": "x", "url": "http://p.example/"}) == (502, "list_unavailable")
    assert await code("POST", "/api/playlists", {"name": "declared", "content": LIST}) == (409, "playlist_configured")
    assert await code("DELETE", "/api/playlists/1") == (409, "playlist_configured")
    for path in ("/api/playlists/2", "/api/playlists/x", "/api/playlists/01", "/api/playlists/99999999999999999999"):
        assert await code("GET", path) == (404, "playlist_not_found")
    status, made = await api.ask("POST", "/api/playlists", {"name": "x", "content": LIST})
    assert status == 201
    assert await code("POST", f"/api/playlists/{made['id']}/refresh") == (409, "playlist_uploaded")
    assert (await api.ask("POST", "/api/playlists", {"name": "x", "content": LIST}))[0] == 200


async def test_a_channel_and_its_relay(api: Api) -> None:
    await api.ask("POST", "/api/playlists", {"name": "x", "content": LIST + "#EXTINF:-1,Old\nrtmp://a.example/1\n"})
    assert await api.ask("GET", "/api/channels/1") == (200, {
        "id": 1, "name": "News", "group": "", "logo": "http://l/x", "playlist": "x",
        "attributes": {"tvg-id": "n", "tvg-logo": "http://l/x", "a": "1"}, "source_urls": ["http://a.example/1.ts"],
    })  # fmt: skip
    for query in ("limit=0", "limit=501", "limit=x", "offset=-1"):
        assert (await api.ask("GET", f"/api/channels?{query}"))[0] == 422
    paths = [(await api.ask("POST", "/api/channels/1/relay"))[1]["output_path"] for _ in range(3)]
    assert paths == ["news", "news-2", "news-3"]
    assert (await api.ask("POST", "/api/channels/1/relay", {"output_path": "news"}))[0] == 409
    status, relay = await api.ask("POST", "/api/channels/1/relay", {"output_path": "mine", "name": "Mine"})
    assert (status, relay["name"], relay["output_path"]) == (201, "Mine", "mine")
    assert (await api.ask("POST", "/api/channels/1/relay", {"output_path": "a/b"}))[1]["error"][
        "field"
    ] == "output_path"
    assert (await api.ask("POST", "/api/channels/1/relay", {"path": "a"}))[1]["error"]["field"] == "path"
    status, answer = await api.ask("POST", "/api/channels/2/relay")
    assert (status, answer["error"]["field"]) == (422, "source_urls")
    assert (await api.ask("POST", "/api/channels/3/relay"))[0] == 404


@pytest.mark.parametrize(
    ("name", "path"),
    [("Das Erste HD", "das-erste-hd"), ("Télé Ⓢ +1", "tele-s-1"), ("Россия", "channel"), ("x" * 99, "x" * 60)],
)
def test_output_paths_of_names(name: str, path: str) -> None:
    assert output_path_of(name) == path
