"""The API of relays: handlers called directly, on a real database and with the real address policy."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from fastrelay.catalog.relays import Relay, Relays
from fastrelay.catalog.store import Store
from fastrelay.config import RelayEntry, Sources
from fastrelay.endpoints.auth import Access
from fastrelay.endpoints.relays import RelayEndpoints
from fastrelay.errors import RequestError
from fastrelay.sources.addresses import AddressPolicy
from fastrelay.wire.request import Request
from fastrelay.wire.response import Response
from fastrelay.wire.router import Router
from fastrelay.wire.target import parse_target

NEWS = {"name": "News", "output_path": "news", "source_urls": ["http://a.example/1.ts", "https://b.example/2.m3u8"]}
DECLARED = RelayEntry(name="Declared", output_path="declared", source_urls=("file:///srv/a.ts",))


@dataclass
class Told:
    """What the streams were told, in order."""

    calls: list[tuple[str, Any]] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def sources_changed(self, relay: Relay) -> None:
        self.calls.append(("sources", relay.source_urls))

    async def end(self, stream_id: str, reason: str) -> None:
        await asyncio.sleep(0)
        self.calls.append(("end", stream_id))
        self.ended.set()


@dataclass
class Api:
    store: Store
    relays: Relays
    router: Router
    told: Told

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, Response | None]:
        """Status, body and answer; refusals as the protocol would render them."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = {"host": "localhost", **({"content-type": "application/json"} if raw else {})}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        route, params = self.router.resolve(method, parse_target(method, path))
        request = Request(method, path, path, {}, named, ("127.0.0.1", 4), ("127.0.0.1", 5), False, raw, params)
        try:
            answer = route.handler(request)
            answer = await answer if isinstance(answer, Awaitable) else answer
        except RequestError as error:
            return error.status, {"error": {"code": error.code, "message": error.message}}, None
        assert isinstance(answer, Response)
        return answer.status, json.loads(answer.body) if answer.body else None, answer


async def open_api(path: Path, token: str | None = None) -> Api:
    store = await Store.open(path)
    relays = await Relays.load(store, [DECLARED])
    policy = AddressPolicy(Sources().allow_networks)
    router, told = Router(), Told()
    RelayEndpoints(relays, told, Access(token), policy.check).register(router)
    return Api(store, relays, router, told)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    opened = await open_api(tmp_path / "fastrelay.db")
    yield opened
    await opened.store.close()


async def test_the_life_of_a_relay(api: Api, tmp_path: Path) -> None:
    status, made, answer = await api.ask("POST", "/api/relays", NEWS)
    assert status == 201
    assert made == {"id": made["id"], **NEWS}
    assert answer is not None
    where = dict(answer.headers)["Location"]
    assert where == f"/api/relays/{made['id']}"
    assert (await api.ask("GET", where))[:2] == (200, made)

    status, listed, _ = await api.ask("GET", "/api/relays")
    assert (status, listed["total"], listed["relays"][1]) == (200, 2, made)
    assert listed["relays"][0]["output_path"] == "declared"

    changed = {**made, "name": "New", "source_urls": ["udp://@239.1.1.1:5000"]}
    assert (await api.ask("PUT", where, changed))[:2] == (200, changed)
    again = await open_api(tmp_path / "fastrelay.db")
    assert (await again.ask("GET", where))[:2] == (200, changed)
    await again.store.close()

    assert (await api.ask("DELETE", where))[:2] == (204, None)
    assert (await api.ask("GET", where))[0] == 404
    assert api.told.calls == [("sources", ("udp://@239.1.1.1:5000",)), ("end", "news")]


async def test_streams_are_told_only_what_concerns_them(api: Api) -> None:
    _, made, _ = await api.ask("POST", "/api/relays", NEWS)
    where = f"/api/relays/{made['id']}"
    await api.ask("PUT", where, {**NEWS, "name": "Other"})
    assert api.told.calls == []
    await api.ask("PUT", where, {**NEWS, "output_path": "moved", "source_urls": ["http://c.example/"]})
    assert api.told.calls == [("end", "news")]


@pytest.mark.parametrize(("method", "body"), [("DELETE", None), ("PUT", {**NEWS, "output_path": "moved"})])
async def test_a_client_that_hangs_up_does_not_leave_the_old_stream_running(api: Api, method: str, body: Any) -> None:
    _, made, _ = await api.ask("POST", "/api/relays", NEWS)
    asking = asyncio.create_task(api.ask(method, f"/api/relays/{made['id']}", body))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.wait_for(api.told.ended.wait(), 30)
    assert api.told.calls == [("end", "news")]
    assert api.relays.by_path("news") is None


async def test_conflicts(api: Api) -> None:
    await api.ask("POST", "/api/relays", NEWS)
    _, second, _ = await api.ask("POST", "/api/relays", {**NEWS, "output_path": "sport"})
    for method, path, body in (
        ("POST", "/api/relays", NEWS),
        ("POST", "/api/relays", {**NEWS, "output_path": "declared"}),
        ("PUT", f"/api/relays/{second['id']}", NEWS),
    ):
        status, answer, _ = await api.ask(method, path, body)
        assert (status, answer["error"]["code"]) == (409, "path_taken")
        assert body["output_path"] in answer["error"]["message"]
    assert (await api.ask("GET", "/api/relays"))[1]["total"] == 3


async def test_relays_of_the_file_are_not_changed(api: Api) -> None:
    declared = api.relays.by_path("declared")
    assert declared is not None
    for method, body in (("PUT", NEWS), ("DELETE", None)):
        status, answer, _ = await api.ask(method, f"/api/relays/{declared.id}", body)
        assert (status, answer["error"]["code"]) == (409, "relay_configured")
        assert "'declared' is declared in the configuration file" in answer["error"]["message"]
    assert api.relays.by_path("declared") is declared
    assert api.told.calls == []


@pytest.mark.parametrize("relay_id", ["7", "0", "01", "-1", "x", "1.0", "\u0661", "9" * 19, "9" * 5000, "1e0"])
async def test_unknown_ids(api: Api, relay_id: str) -> None:
    for method, body in (("GET", None), ("PUT", NEWS), ("DELETE", None)):
        status, answer, _ = await api.ask(method, f"/api/relays/{quote(relay_id)}", body)
        assert (status, answer["error"]["code"]) == (404, "relay_not_found")


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in NEWS.items() if key != name}


def sources(*urls: Any) -> dict[str, Any]:
    return {**NEWS, "source_urls": list(urls)}


OK = "http://a.example/"

INVALID = [
    ([NEWS], "", "expected an object with name, output_path, source_urls, got a list"),
    ("text", "", "got text"),
    (7, "", "got a number"),
    ({**NEWS, "enabled": True}, "enabled", "there is no such field"),
    ({**NEWS, "id": 1}, "id", "there is no such field"),
    ({**NEWS, "origin": "config"}, "origin", "there is no such field"),
    (without("name"), "name", "expected, but it is not there"),
    (without("output_path"), "output_path", "expected, but it is not there"),
    (without("source_urls"), "source_urls", "expected, but it is not there"),
    ({**NEWS, "name": None}, "name", "expected text, got null"),
    ({**NEWS, "name": " "}, "name", "1 to 200 characters"),
    ({**NEWS, "name": "x" * 201}, "name", "1 to 200 characters"),
    ({**NEWS, "name": "a\nb"}, "name", "without control characters"),
    ({**NEWS, "name": "a\u2028b"}, "name", "without control characters"),
    ({**NEWS, "output_path": 5}, "output_path", "expected text, got a number"),
    *(
        ({**NEWS, "output_path": path}, "output_path", "1 to 64 letters (a-z, A-Z), digits, '-' or '_'")
        for path in ("", "a/b", "a.ts", "a b", "..", "ä", "a%2fb", "channel:1", "x" * 65, "a\n", "a\x00")
    ),
    ({**NEWS, "source_urls": OK}, "source_urls", "expected a list of URLs, got text"),
    (sources(), "source_urls", "expected 1 to 16 URLs, got 0"),
    (sources(*[OK] * 17), "source_urls", "expected 1 to 16 URLs, got 17"),
    (sources(OK, None), "source_urls[1]", "expected a URL as text, got null"),
    (sources(OK, OK, ""), "source_urls[2]", "expected a URL"),
    (sources("gopher://a/"), "source_urls[0]", "'gopher' is not supported"),
    (sources("javascript:alert(1)"), "source_urls[0]", "not supported"),
    (sources("file:///etc/passwd"), "source_urls[0]", "only be declared in the server's configuration file"),
    (sources("exec:reboot"), "source_urls[0]", "only be declared in the server's configuration file"),
    (sources(OK + "|Host=evil"), "source_urls[0]", "the header Host cannot be set"),
    (sources(OK, "http://127.0.0.1/"), "source_urls[1]", "loopback addresses are allowed only if listed"),
    (sources("https://127.0.0.1:8443/"), "source_urls[0]", "loopback"),
    (sources("http://[::1]/"), "source_urls[0]", "loopback"),
    (sources("http://[::ffff:127.0.0.1]/"), "source_urls[0]", "loopback"),
    (sources("http://127.1/"), "source_urls[0]", "the address 127.0.0.1 is refused"),
    (sources("http://0x7f000001/"), "source_urls[0]", "the address 127.0.0.1 is refused"),
    (sources("http://2130706433/"), "source_urls[0]", "the address 127.0.0.1 is refused"),
    (sources("http://localhost:9000/"), "source_urls[0]", "the address 127.0.0.1 is refused"),
    (sources("http://a.LOCALHOST./"), "source_urls[0]", "the address 127.0.0.1 is refused"),
    (sources("http://169.254.169.254/latest/meta-data"), "source_urls[0]", "a metadata service"),
    (sources("http://[::ffff:169.254.169.254]/"), "source_urls[0]", "a metadata service"),
    (sources("http://[fe80::1%25eth0]/"), "source_urls[0]", "link-local"),
    (sources("http://0.0.0.0/"), "source_urls[0]", "unspecified"),
    (sources("http://239.1.1.1/"), "source_urls[0]", "multicast"),
    (sources("udp://@127.0.0.1:5000"), "source_urls[0]", "loopback"),
    (sources("rtp://@[::1]:5000"), "source_urls[0]", "loopback"),
]


@pytest.mark.parametrize(("body", "where", "message"), INVALID)
async def test_invalid(api: Api, body: Any, where: str, message: str) -> None:
    status, answer, _ = await api.ask("POST", "/api/relays", body)
    assert status == 422
    assert answer["error"]["code"] == "invalid"
    assert answer["error"]["field"] == where
    assert message in answer["error"]["message"]
    assert answer["error"]["message"].startswith(f"{where}: " if where else "expected")
    assert [relay.output_path for relay in api.relays.all()] == ["declared"]


@pytest.mark.parametrize(
    "url",
    [
        "http://93.184.216.34/live.ts",
        "http://10.1.2.3:8000/",
        "http://[fc00::1]/",
        "http://user:pass@tv.example/1.ts|User-Agent=Foo&Referer=http://bar/",
        "udp://@239.1.1.1:5000?iface=eth1",
        "udp://@:5000",
        "udp://@0.0.0.0:5000",
        "rtp://@[ff3e::1]:5000",
    ],
)
async def test_sources_are_kept_and_shown_whole(api: Api, url: str) -> None:
    status, answer, _ = await api.ask("POST", "/api/relays", sources(url))
    assert (status, answer["source_urls"]) == (201, [url])


async def test_no_mistake_repeats_a_credential(api: Api) -> None:
    for url in (
        "http://u:hunter2@127.0.0.1/",
        "http://u:hunter2@a:0/",
        "ftp://u:hunter2@a/",
        "hunter2",
        "http:hunter2",
    ):
        status, answer, _ = await api.ask("POST", "/api/relays", sources(url))
        assert status == 422
        assert "hunter2" not in json.dumps(answer)


@pytest.mark.parametrize("url", ["ftp://a/", "a.ts"])
async def test_only_schemes_that_the_api_takes_are_offered(api: Api, url: str) -> None:
    _, answer, _ = await api.ask("POST", "/api/relays", sources(url))
    assert answer["error"]["message"].endswith("one of http://, https://, udp://, rtp://")


async def test_the_id_in_a_put_must_be_its_own(api: Api) -> None:
    _, made, _ = await api.ask("POST", "/api/relays", NEWS)
    status, answer, _ = await api.ask("PUT", f"/api/relays/{made['id']}", {**NEWS, "id": made["id"] + 1})
    assert (status, answer["error"]["field"]) == (422, "id")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", "line 1, column 1"),
        (b"{", "line 1, column 2"),
        (b'{"name":\n "News",\n}', "line 2, column 8"),
        (b'{"name": NaN}', "line 1, column 10"),
        (b'{"name": "\xff"}', "line 1, column"),
        (b'{"name": "\\ud800"}', "line 1, column"),
        (b"[" * 100_000, "line 1, column"),
    ],
)
async def test_bad_json(api: Api, body: bytes, where: str) -> None:
    status, answer, _ = await api.ask("POST", "/api/relays", body, content_type="application/json")
    assert (status, answer["error"]["code"]) == (400, "invalid_json")
    assert where in answer["error"]["message"]


async def test_the_type_of_the_body(tmp_path: Path) -> None:
    api = await open_api(tmp_path / "fastrelay.db", token="t")
    raw = json.dumps(NEWS).encode()
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""):
        named = {"content_type": content_type, "authorization": "Bearer t"}
        status, answer, _ = await api.ask("POST", "/api/relays", raw, **named)
        assert (status, answer["error"]["code"]) == (415, "unsupported_media_type")
    named = {"content_type": "application/json; charset=utf-8", "authorization": "Bearer t"}
    assert (await api.ask("POST", "/api/relays", raw, **named))[0] == 201
    await api.store.close()


CALLS = [
    ("GET", "/api/relays", None),
    ("POST", "/api/relays", NEWS),
    ("GET", "/api/relays/1", None),
    ("PUT", "/api/relays/1", NEWS),
    ("DELETE", "/api/relays/1", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
async def test_every_call_is_management(api: Api, method: str, path: str, body: Any) -> None:
    status, answer, _ = await api.ask(method, path, body, origin="http://evil.example")
    assert (status, answer["error"]["code"]) == (403, "forbidden")
    assert [relay.output_path for relay in api.relays.all()] == ["declared"]


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
async def test_every_call_asks_for_the_token(tmp_path: Path, method: str, path: str, body: Any) -> None:
    api = await open_api(tmp_path / "fastrelay.db", token="t")
    assert (await api.ask(method, path, body))[0] == 401
    await api.store.close()


async def test_a_locked_database_refuses_the_change_and_lists_on(api: Api) -> None:
    other = sqlite3.connect(api.store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    asking = asyncio.create_task(api.ask("POST", "/api/relays", NEWS))
    await asyncio.sleep(0)
    assert (await api.ask("GET", "/api/relays"))[1]["total"] == 1
    status, answer, _ = await asking
    assert (status, answer["error"]["code"]) == (503, "storage_unavailable")
    assert "nothing was changed" in answer["error"]["message"]
    assert "locked by another process" in answer["error"]["message"]
    other.execute("ROLLBACK")
    other.close()
    assert (await api.ask("POST", "/api/relays", NEWS))[0] == 201


async def test_a_full_database_refuses_the_change_and_lists_on(api: Api) -> None:
    (pages,) = await api.store.read(lambda db: db.execute("PRAGMA page_count").fetchone())
    await api.store.read(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    long = [f"http://a.example/{'x' * 8000}" for _ in range(16)]
    status, answer, _ = await api.ask("POST", "/api/relays", sources(*long))
    assert (status, answer["error"]["code"]) == (503, "storage_unavailable")
    assert "the disk is full" in answer["error"]["message"]
    assert (await api.ask("GET", "/api/relays"))[1]["total"] == 1
