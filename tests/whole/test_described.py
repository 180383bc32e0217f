"""`/openapi.json` against the router, and against what a real server answers: complete, and true."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from openapi_spec_validator import validate

from fastrelay.app import App
from fastrelay.config import load
from tests.kit.behaviours import body, live, status
from tests.kit.hls_origin import HlsChannel, coded_segments
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.server import Server
from tests.kit.viewer import Reply, Viewer, connect, fetch

SOURCE = PositionCoded(gop=1.0)
Document = dict[str, Any]


class Api:
    """A server, asked in the terms of its own description: what it answers has to be described."""

    def __init__(self, server: Server, document: Document) -> None:
        self.server = server
        self.document = document
        self.asked: set[tuple[str, str]] = set()
        """Method and path template of every request that went well."""

    async def ask(self, method: str, path: str, content: Any = None, media_type: str = "application/json") -> Reply:
        template, operation = self._operation(method, path)
        data = content if isinstance(content, bytes) else b"" if content is None else json.dumps(content).encode()
        if data:
            shape = operation["requestBody"]["content"][media_type]
            if "schema" in shape:
                self._check(content, shape["schema"])
        reply = await fetch(self.server.url(path), method=method, body=data, headers={"Content-Type": media_type})
        self._check_answer(f"{method} {template}", operation, reply.status, reply.headers, reply.body)
        if reply.status < 400:
            self.asked.add((method, template))
        return reply

    async def refused(self, method: str, path: str, code: int, content: Any = None) -> None:
        """A request that its description may refuse in this way, and does. Its body may be none that is described."""
        template, operation = self._operation(method, path)
        reply = await self.server.post(path, content, method=method)
        assert reply.status == code, reply.body
        self._check_answer(f"{method} {template}", operation, reply.status, reply.headers, reply.body)

    async def watch(self, path: str) -> Viewer:
        template, operation = self._operation("GET", path)
        viewer = await connect(self.server.url(path))
        assert await viewer.head() == 200
        self._check_answer(f"GET {template}", operation, 200, viewer.headers, b"")
        self.asked.add(("GET", template))
        return viewer

    def _operation(self, method: str, path: str) -> tuple[str, Document]:
        asked = urlsplit(path).path
        found = [
            (template, methods[method.lower()])
            for template, methods in self.document["paths"].items()
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template).replace(".", r"\."), asked)
        ]
        assert found, f"{method} {path} is not described"
        return min(found, key=lambda each: each[0].count("{"))

    def _check_answer(self, name: str, operation: Document, code: int, headers: dict[str, str], text: bytes) -> None:
        assert str(code) in operation["responses"], f"{name}: {code} is not described: {text[:300]!r}"
        described = operation["responses"][str(code)]
        kind = headers.get("content-type", "").partition(";")[0]
        if "content" not in described:
            assert not text and not kind, name
            return
        shape = described["content"].get(kind)
        assert shape is not None or "application/octet-stream" in described["content"], f"{name}: {kind}"
        if shape and "schema" in shape:
            self._check(json.loads(text), shape["schema"])
        assert set(described.get("headers", {})) <= {name.title() for name in headers}

    def _check(self, value: Any, schema: Document) -> None:
        whole = {**schema, "components": self.document["components"]}
        Draft202012Validator(whole, format_checker=FormatChecker()).validate(value)


@pytest.fixture
async def document() -> AsyncIterator[Document]:
    async with Server() as server:
        reply = await server.get("/openapi.json")
        assert reply.headers["content-type"] == "application/json"
        again = await server.get("/openapi.json", **{"If-None-Match": reply.headers["etag"]})
        assert (again.status, again.body) == (304, b"")
        yield reply.json()


def test_it_is_openapi(document: Document) -> None:
    validate(document)
    ids = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))


async def test_it_describes_every_route_and_nothing_else(document: Document, tmp_path: Path) -> None:
    app = await App.open(load("", {"FASTRELAY_DATA_DIR": str(tmp_path)}))
    await app._store.close()
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == set(app.routes)


async def test_what_a_server_answers_is_what_is_described(document: Document) -> None:
    channel = HlsChannel(coded_segments(PositionCoded(gop=2), 2.0))
    async with Origin() as origin:
        url, hls = origin.route("/a", live(SOURCE, burst=3)), channel.mount(origin, "/hls")
        async with Server({"hls": {"segment_duration": "1s"}}) as server:
            api = Api(server, document)
            await relays(api, url)
            listed = origin.route("/list.m3u", body(b"#EXTM3U\n#EXTINF:-1,Three\nhttp://h/\n", "audio/x-mpegurl"))
            await channels(api, url, hls, listed)
            origin.route("/list.m3u", status(404))
            await api.refused("POST", "/api/playlists/2/refresh", 502)
            await streams(api)
            for path in ("/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/", "/watch/a", "/favicon.ico"):
                assert (await api.ask("GET", path)).status == 200
            page = (await api.ask("GET", "/watch/a")).body.decode()
            asset = re.search(r'"(/web/[a-z._-]+)"', page)
            assert asset is not None
            await api.ask("GET", asset[1])
            await api.refused("GET", "/web/nothing.js", 404)
            (await api.watch("/api/events")).close()
            for path in (path for path, methods in document["paths"].items() if "options" in methods):
                assert (await api.ask("OPTIONS", re.sub(r"\{\w+\}", "1", path))).status == 204
            everything = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
            # Those files are there only where npm was when the package was made.
            assert everything - api.asked <= {("GET", "/web/vendor/{name}")}


async def relays(api: Api, url: str) -> None:
    new = {"name": "A", "output_path": "a", "source_urls": [url]}
    made = await api.ask("POST", "/api/relays", new)
    assert made.status == 201
    at = made.headers["location"]
    await api.ask("GET", at)
    await api.ask("PUT", at, {**made.json(), "name": "B"})
    assert (await api.ask("GET", "/api/relays")).json()["total"] == 1
    await api.refused("POST", "/api/relays", 409, new)
    await api.refused("POST", "/api/relays", 422, {**new, "source_urls": ["ftp://h/"]})
    await api.refused("POST", "/api/relays", 400, b"{")
    with pytest.raises(ValidationError):
        await api.ask("POST", "/api/relays", {**new, "id": 3})
    await api.refused("POST", "/api/relays", 422, {**new, "id": 3})
    await api.refused("GET", "/api/relays/99", 404)
    await api.refused("PUT", "/api/relays/99", 404, new)
    other = await api.ask("POST", "/api/relays", {**new, "output_path": "other"})
    assert (await api.ask("DELETE", other.headers["location"])).status == 204
    await api.refused("DELETE", other.headers["location"], 404)


async def channels(api: Api, url: str, hls: str, listed: str) -> None:
    text = (
        f'#EXTM3U\n#EXTINF:-1 tvg-logo="http://h/l.png" group-title="G",One\n{url}\n#EXTINF:-1,Two\n{hls}\nnonsense\n'
    )
    made = await api.ask("POST", "/api/playlists", {"name": "list", "content": text, "refresh": None})
    assert made.status == 201 and made.json()["rejected"] == 1
    at = made.headers["location"]
    await api.ask("GET", at)
    assert (await api.ask("POST", "/api/playlists?name=list", text.encode(), "audio/x-mpegurl")).status == 200
    await api.ask("GET", "/api/playlists")
    await api.refused("POST", "/api/playlists", 422, {"name": "x"})
    empty = await api.ask("POST", "/api/playlists?name=list", b"", "audio/x-mpegurl")
    assert (empty.status, empty.json()["error"]["code"]) == (422, "invalid_list")
    await api.refused("POST", at + "/refresh", 409)
    await api.refused("GET", "/api/playlists/99", 404)
    for path in ("/api/channels", "/api/channels?search=one&group=G&offset=0&limit=5", "/api/channels/groups"):
        await api.ask("GET", path)
    assert (await api.ask("GET", "/api/channels?ids=1,99")).json()["total"] == 1
    for path in ("/api/channels?search=%01", "/api/channels/%01", "/api/streams/%7f/status", "/web/%1b"):
        await api.refused("GET", path, 400)
    for query in ("limit=x", "ids=", "ids=1,x", f"ids={','.join(['1'] * 501)}"):
        await api.refused("GET", f"/api/channels?{query}", 422)
    await api.ask("GET", "/api/channels/1")
    await api.refused("GET", "/api/channels/99", 404)
    assert (await api.ask("POST", "/api/channels/1/relay", {"name": "R", "output_path": "r"})).status == 201
    await api.refused("POST", "/api/channels/1/relay", 409, {"output_path": "r"})
    for kind in ("ts", "hls"):
        await api.ask("GET", f"/playlist.m3u?type={kind}")
    await api.refused("GET", "/playlist.m3u?type=x", 422)
    (await api.watch("/api/proxy/channel/1")).close()
    await api.refused("GET", "/api/proxy/channel/99", 404)
    await api.refused("GET", "/api/proxy/channel/1/hls", 409)
    passed = await api.ask("GET", "/api/proxy/channel/2/hls")
    assert passed.status == 200
    uri = next(line for line in passed.body.decode().splitlines() if line and not line.startswith("#"))
    await api.ask("GET", f"/api/proxy/channel/2/{uri}")
    await api.refused("GET", "/api/proxy/channel/2/hls/nothing.ts", 404)
    await api.ask("GET", "/api/streams/channel:2/hls/status")
    await api.ask("GET", "/api/streams/channel:2/hls/clients")
    await api.ask("POST", "/api/streams/channel:2/hls/switch")
    await api.ask("POST", "/api/streams/channel:2/hls/stop")
    made = await api.ask("POST", "/api/playlists", {"name": "by url", "url": listed})
    assert made.headers["location"] == "/api/playlists/2"
    assert (await api.ask("POST", "/api/playlists/2/refresh")).json()["unchanged"] == 1
    assert (await api.ask("DELETE", at)).status == 204


async def streams(api: Api) -> None:
    viewer = await api.watch("/stream/a")
    await viewer.received(50_000)
    for path in ("/stream/a/hls", "/stream/a/hls/master.m3u8"):
        master = await api.ask("GET", path)
    uri = master.body.decode().splitlines()[-1]
    playlist = (await api.ask("GET", f"/stream/a/hls/{uri}")).body.decode()
    segment = next(line for line in playlist.splitlines() if line.startswith("segment_"))
    assert (await api.ask("GET", f"/stream/a/hls/{segment}")).status == 200
    await api.refused("GET", "/stream/a/hls/segment_1.ts", 404)
    await api.refused("GET", "/stream/none", 404)
    await api.refused("GET", "/stream/none/hls", 404)
    running = (await api.ask("GET", "/api/streams/status")).json()
    assert running["streams"][0]["events"]
    clients = (await api.ask("GET", "/api/streams/a/clients")).json()
    assert {client["kind"] for client in clients["clients"]} == {"ts", "hls"}
    await api.ask("GET", "/api/streams/a/status")
    await api.refused("GET", "/api/streams/none/status", 404)
    await api.ask("POST", "/api/streams/a/switch")
    await api.ask("POST", "/api/streams/a/stop")
    await api.refused("POST", "/api/streams/a/switch", 409)


async def test_who_may_ask_is_described(document: Document) -> None:
    """Without a token everything but the open operations is refused as described, and those are not."""
    auth = {"admin_token": "a", "stream_token": "s"}
    relay = {"name": "A", "output_path": "a", "source_urls": ["http://127.0.0.1:1/"]}
    async with Server({"auth": auth, "relays": [relay]}) as server:
        for path, methods in document["paths"].items():
            there = re.sub(r"\{path\}", "a", re.sub(r"\{(id|n)\}", "1", path)).replace("{name}", "x")
            for method, operation in methods.items():
                viewer = await connect(server.url(there), method=method.upper(), headers={"Connection": "close"})
                code = await viewer.head()
                viewer.close()
                assert (code == 401) == bool(operation["security"]), f"{method} {path}: {code}"
                assert str(code) in operation["responses"], f"{method} {path}: {code}"


async def test_the_page_is_whole_by_itself(document: Document) -> None:
    async with Server() as server:
        reply = await server.get("/docs")
    page, policy = reply.body.decode(), reply.headers["content-security-policy"]
    assert "<script" not in page and "unsafe" not in policy and policy.startswith("default-src 'none'")
    assert all(link.startswith(("#", "/")) for link in re.findall(r'(?:href|src)="([^"]*)"', page))
    assert not re.search(r"\son[a-z]+=|style=", page)
    anchors = set(re.findall(r'id="([^"]+)"', page))
    assert {link[1:] for link in re.findall(r'href="(#[^"]+)"', page)} <= anchors
    for path, methods in document["paths"].items():
        assert f"<code>{path}</code>" in page and {each["operationId"] for each in methods.values()} <= anchors
    assert {f"schema-{name}" for name in document["components"]["schemas"]} <= anchors
