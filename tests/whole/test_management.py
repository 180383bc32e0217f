"""Who may manage a server, what the others see of it, and the small print of its answers."""

import asyncio
import json
import signal
from typing import Any
from urllib.parse import quote

from tests.kit.behaviours import body, html, live, redirect, status
from tests.kit.checker import Checker
from tests.kit.origin import Origin, closed_port
from tests.kit.position_coded import PositionCoded
from tests.kit.reception import Reception
from tests.kit.server import Server
from tests.kit.viewer import Reply, connect, fetch

SOURCE = PositionCoded(gop=0.2)
TOKEN = "right-admin-token"
BEARER = {"Authorization": f"Bearer {TOKEN}"}

FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-Host": "localhost"},
    {"Forwarded": "for=127.0.0.1"},
    {"Via": "1.1 proxy"},
    {"Host": "evil.example"},
    {"Host": "127.0.0.1.evil.example"},
]


def entry(output_path: str, *source_urls: str) -> dict[str, Any]:
    return {"name": output_path, "output_path": output_path, "source_urls": list(source_urls)}


def said(reply: Reply) -> tuple[int, str]:
    """Status and error code."""
    return reply.status, reply.json()["error"]["code"]


def managing(relay_id: int, url: str) -> list[tuple[str, str, Any]]:
    """Every call that is management: method, path, content."""
    return [
        ("GET", "/api/relays", None),
        ("GET", f"/api/relays/{relay_id}", None),
        ("GET", "/api/streams/a/clients", None),
        ("POST", "/api/relays", entry("new", url)),
        ("PUT", f"/api/relays/{relay_id}", entry("b", url)),
        ("DELETE", f"/api/relays/{relay_id}", None),
        ("POST", "/api/streams/a/switch", None),
        ("POST", "/api/streams/a/stop", None),
    ]


async def ask(server: Server, call: tuple[str, str, Any], headers: dict[str, str]) -> Reply:
    """One request with a Host of our choice, which the kit's own client has not."""
    method, path, content = call
    sent = b"" if content is None else json.dumps(content).encode()
    fields = {"Host": f"127.0.0.1:{server.port}", "Content-Type": "application/json", "Connection": "close", **headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    head = "\r\n".join([*lines, f"Content-Length: {len(sent)}", "", ""]).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(head + sent)
    parts: list[bytes] = []
    reception = Reception(parts.append)
    async with asyncio.timeout(30):
        reception.feed(await reader.read(), 0.0)
    writer.close()
    return Reply(reception.status, reception.headers, b"".join(parts))


async def test_without_a_token_no_stranger_manages_and_nothing_changes() -> None:
    async with Origin() as origin, Server() as server:
        url = origin.route("/a", live(SOURCE))
        relay = (await server.post("/api/relays", entry("a", url))).json()
        viewer = await connect(server.url("/stream/a"), Checker(SOURCE))
        await viewer.received(50_000)
        for headers in FOREIGN:
            for call in managing(relay["id"], url):
                reply = await ask(server, call, headers)
                assert said(reply) == (403, "forbidden"), (headers, call)
                assert "auth.admin_token" in reply.json()["error"]["message"]
                assert "access-control-allow-origin" not in reply.headers
        for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            reply = await server.post("/api/relays", entry("new", url), **{"Content-Type": content_type})
            assert said(reply) == (403, "forbidden")
        assert (await server.get("/api/relays")).json()["relays"] == [relay]
        await viewer.received(viewer.total + 100_000)
        viewer.verify(switches=0)
        for path in ("http://evil.example/api/relays", f"http://evil.example:{server.port}/api/relays"):
            assert said(await ask(server, ("GET", path, None), {})) == (403, "forbidden")
        assert (await server.get("/api/relays", Origin=server.url(""))).status == 200
        assert (await server.get("/api/streams/status", **FOREIGN[0])).status == 200


async def test_with_a_token_it_is_all_that_counts() -> None:
    async with Origin() as origin, Server({"auth": {"admin_token": TOKEN}}) as server:
        url = origin.route("/a", live(SOURCE))
        relay = (await server.post("/api/relays", entry("a", url), **BEARER)).json()
        viewer = await connect(server.url("/stream/a"), Checker(SOURCE))
        await viewer.received(50_000)
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
            for call in managing(relay["id"], url):
                reply = await ask(server, call, headers)
                assert said(reply) == (401, "unauthorized"), (headers, call)
                assert reply.headers["www-authenticate"].startswith("Bearer")
        assert (await server.get(f"/api/relays?token={TOKEN}")).status == 401
        await viewer.received(viewer.total + 100_000)
        viewer.verify(switches=0)
        for headers in FOREIGN:
            listed = await ask(server, ("GET", "/api/relays", None), {**headers, **BEARER})
            assert listed.json()["relays"] == [relay], headers
        statuses = [(await ask(server, call, BEARER)).status for call in managing(relay["id"], url)]
        assert statuses == [200, 200, 200, 201, 200, 204, 404, 404]


SECRETS = {
    "userinfo": ("http://userwort:passwort1@{}/userinfo.ts", ("userwort", "passwort1")),
    "query": ("http://{}/query.ts?token=geheim1&channel=5", ("geheim1",)),
    "xtream": ("http://{}/live/xuser77/xpass88/5.ts", ("xuser77", "xpass88")),
    "suffix": ("http://{}/suffix.ts|Authorization=Bearer%20geheim2&User-Agent=VLC", ("geheim2",)),
    "cookie": ("http://{}/cookie.ts|Cookie=sitzung%3Dgeheim3&X-Key=geheim4", ("geheim3", "geheim4")),
}


async def test_credentials_of_a_running_source_are_shown_to_the_admin_only() -> None:
    async with Origin() as origin:
        authority = origin.url("").removeprefix("http://")
        urls = {name: url.format(authority) for name, (url, _) in SECRETS.items()}
        origin.route("/", live(SOURCE))
        relays = [entry(name, url) for name, url in urls.items()]
        config = {"relays": relays, "auth": {"admin_token": TOKEN}, "log": {"level": "debug"}}
        async with Server(config) as server:
            viewers = [await connect(server.url(f"/stream/{name}"), Checker(SOURCE)) for name in urls]
            await asyncio.gather(*(viewer.received(50_000) for viewer in viewers))
            assert origin.ledger.headers["/suffix.ts"]["authorization"] == "Bearer geheim2"
            assert origin.ledger.headers["/cookie.ts"]["cookie"] == "sitzung=geheim3"
            assert origin.ledger.headers["/userinfo.ts"]["authorization"].startswith("Basic ")
            every = await server.get("/api/streams/status")
            whole = await server.get("/api/streams/status", **BEARER)
            assert every.json()["total_streams"] == len(urls)
            for stream in whole.json()["streams"]:
                assert stream["source_url"] == urls[stream["id"]]
            shown = every.body.decode()
            for name, (_, secrets) in SECRETS.items():
                one = await server.get(f"/api/streams/{name}/status")
                assert (await server.get(f"/api/streams/{name}/status", **BEARER)).json()["source_url"] == urls[name]
                for secret in secrets:
                    assert secret not in shown + one.body.decode() + server.log
            assert "channel=5" in shown and "User-Agent=VLC" in shown and "***" in shown
            wrong = await server.get("/api/streams/status", Authorization="Bearer wrong")
            assert "geheim" not in wrong.body.decode()


async def test_credentials_of_failing_sources_are_nowhere() -> None:
    """Neither in the log, at any level, nor in the answer to who watches, nor in the status."""
    secrets = [f"geheim{number}x" for number in range(20)]
    left = iter(secrets)
    async with Origin() as origin, Origin("127.0.0.2") as forbidden:
        authority = origin.url("").removeprefix("http://")

        def secret_url(path: str, behaviour: Any) -> str:
            origin.route(path, behaviour)
            return f"http://{next(left)}:{next(left)}@{authority}{path}?token={next(left)}|X-Token={next(left)}"

        there = f"http://{next(left)}@{authority}/gone?sig={next(left)}"
        refused = f"{forbidden.url('/')}?password={next(left)}"
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nseg.ts?auth={next(left)}\n"
        origin.route("/gone", status(403, text=b"no"))
        origin.route("/seg.ts", html())
        with closed_port() as closed:
            relays = [
                entry("page", secret_url("/page", html())),
                entry("redirect", origin.route("/redirect", redirect(there))),
                entry("refused", origin.route("/refused", redirect(refused))),
                entry("playlist", secret_url("/playlist", body(playlist.encode(), "application/vnd.apple.mpegurl"))),
                entry("closed", f"http://{next(left)}@127.0.0.1:{closed}/live/u{next(left)}/p{next(left)}/1.ts"),
                entry("unknown", f"http://{authority}/x/{quote('http://b/?key=')}{next(left)}"),
            ]
            config = {
                "relays": relays,
                "log": {"level": "debug"},
                "failover": {"stall_timeout": "1s", "ready_timeout": "2s"},
                "sources": {"allow_networks": ["127.0.0.1/32"]},
            }
            async with Server(config) as server:
                paths = [relay["output_path"] for relay in relays]
                replies = await asyncio.gather(*(server.get(f"/stream/{path}") for path in paths))
                assert [said(reply) for reply in replies] == [(502, "no_source_works")] * len(paths)
                answers = [reply.body for reply in replies]
                answers += [(await server.get(f"/api/streams/{path}/status")).body for path in paths]
                await server.stop()
                assert server.log.count("source failed") >= len(paths)
                for secret in secrets:
                    assert secret not in server.log
                    assert secret.encode() not in b"".join(answers)


async def test_clients_stop_and_switch() -> None:
    async with Origin() as origin, Server({"relays": [entry("a", origin.route("/a", live(SOURCE)))]}) as server:
        assert (await server.get("/api/streams/a/clients")).json() == {"total": 0, "clients": []}
        assert said(await server.post("/api/streams/a/switch")) == (409, "not_running")
        assert (await server.post("/api/streams/a/stop")).json()["state"] == "idle"
        first = await connect(server.url("/stream/a"), Checker(SOURCE), headers={"User-Agent": "VLC/3.0.20"})
        second = await connect(server.url("/stream/a"), Checker(SOURCE))
        await asyncio.gather(first.received(100_000), second.received(50_000))
        listed = (await server.get("/api/streams/a/clients")).json()
        assert listed["total"] == 2
        one, two = listed["clients"]
        assert one["id"] != two["id"]
        assert (one["kind"], one["address"], one["user_agent"]) == ("ts", "127.0.0.1", "VLC/3.0.20")
        assert one["since"].endswith("Z") and one["bytes"] >= 100_000
        assert one["lag_bytes"] >= 0 and one["lag_seconds"] >= 0
        switched = await server.post("/api/streams/a/switch")
        assert switched.status == 200
        await first.wait_for(lambda viewer: viewer.checker is not None and len(viewer.checker.switches) == 1)
        assert origin.requests("/a") == 2
        stopped = await server.post("/api/streams/a/stop")
        assert (stopped.status, stopped.json()["active"]) == (200, False)
        for viewer in (first, second):
            assert await viewer.ended() == "eof"
            viewer.verify(switches=1)
        assert (await server.get("/api/streams/a/clients")).json()["total"] == 0
        for path in ("status", "clients"):
            assert said(await server.get(f"/api/streams/none/{path}")) == (404, "relay_not_found")
        for path in ("stop", "switch"):
            assert said(await server.post(f"/api/streams/none/{path}")) == (404, "relay_not_found")


async def test_a_trailing_slash_is_answered_308_to_the_form_without() -> None:
    async with Server({"relays": [entry("a", "http://tv.example.com/a.ts")]}) as server:
        for path in ("/stream/a", "/api/relays", "/api/streams/status", "/api/streams/a/status", "/livez"):
            reply = await server.get(f"{path}/")
            assert (reply.status, reply.headers["location"]) == (308, path)
            assert (await server.get(f"{path}/?a=b&c")).headers["location"] == f"{path}?a=b&c"
        assert "location" not in (await server.get("//evil.example/")).headers
        assert (await server.post("/api/relays/", {})).status == 308
        assert (await server.status("a"))["state"] == "idle"


async def test_head_is_get_without_a_body() -> None:
    async with Server({"relays": [entry("a", "http://tv.example.com/a.ts")]}) as server:
        for path in ("/livez", "/readyz", "/api/relays", "/api/streams/status", "/api/streams/a/status", "/nothing"):
            got, head = await server.get(path), await fetch(server.url(path), method="HEAD")
            assert (head.status, head.body) == (got.status, b"")
            assert {**head.headers, "date": ""} == {**got.headers, "date": ""}
            assert got.headers["x-content-type-options"] == "nosniff"
            assert path == "/nothing" or got.headers["cache-control"] == "no-store"
            assert int(got.headers["content-length"]) == len(got.body)
        live_head = await fetch(server.url("/stream/a"), method="HEAD")
        assert (live_head.status, live_head.body, live_head.headers["content-type"]) == (200, b"", "video/mp2t")
        assert "content-length" not in live_head.headers
        assert (await fetch(server.url("/stream/none"), method="HEAD")).status == 404
        assert (await server.status("a"))["state"] == "idle"


async def test_it_lives_and_is_ready_until_it_drains() -> None:
    async with Server() as server:
        assert (await server.get("/livez")).json() == {"status": "alive"}
        ready = await server.get("/readyz")
        assert (ready.status, ready.json()) == (200, {"status": "ready"})
        assert ready.headers["cache-control"] == "no-store"
        # Who has begun to ask when the drain begins is still answered, and told.
        half_asked = {path: await half_request(server, path) for path in ("/livez", "/readyz")}
        server.signal(signal.SIGTERM)
        await server.wait_log("stopping")
        answers = {path: await finish_request(*streams) for path, streams in half_asked.items()}
        assert answers["/livez"].startswith("HTTP/1.1 200 ")
        assert answers["/readyz"].startswith("HTTP/1.1 503 ") and '"draining"' in answers["/readyz"]
        assert "connection: close" in answers["/readyz"].lower()


async def half_request(server: Server, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A request behind a whole one: with the answer to that, the server has the half as well."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET {path} HTTP/1.1\r\n".encode())
    async with asyncio.timeout(30):
        await reader.readuntil(b"}")
    return reader, writer


async def finish_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    writer.write(b"Host: localhost\r\n\r\n")
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    return answer.decode()
