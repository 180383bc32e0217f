"""Where a source may lead: what `sources.allow_networks` does not list is never dialled, however it is spelt or hidden.

Origins count who connected: 127.0.0.1 is listed where a way leads over it, 127.0.0.2 never is.
"""

import asyncio
from typing import Any

from tests.kit.behaviours import TYPES, body, live, redirect
from tests.kit.checker import Checker
from tests.kit.origin import Behaviour, Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.server import Server
from tests.kit.viewer import Reply, connect

SOURCE = PositionCoded(gop=0.2)
LOOPBACK = "loopback addresses are allowed only if listed in sources.allow_networks"
METADATA = "it is a metadata service"
OWN = "it is this server's own listener"

QUICK = {"stall_timeout": "1s", "ready_timeout": "2s"}
FORBIDDEN = "127.0.0.2"

LITERALS = {
    "http://127.0.0.1:8000/a.ts": LOOPBACK,
    "https://127.0.0.1/a.ts": LOOPBACK,
    "http://user:word@127.0.0.1/a.ts": LOOPBACK,
    "http://127.255.255.254/a.ts": LOOPBACK,
    "http://127.1/a.ts": LOOPBACK,
    "http://2130706433/a.ts": LOOPBACK,
    "http://0x7f000001/a.ts": LOOPBACK,
    "http://0x7f.1/a.ts": LOOPBACK,
    "http://0177.0.0.1/a.ts": LOOPBACK,
    "http://017700000001/a.ts": LOOPBACK,
    "http://[::1]/a.ts": LOOPBACK,
    "http://[0:0:0:0:0:0:0:1]:8000/a.ts": LOOPBACK,
    "http://[::ffff:127.0.0.1]/a.ts": LOOPBACK,
    "http://[::ffff:7f00:1]/a.ts": LOOPBACK,
    "http://[64:ff9b::7f00:1]/a.ts": LOOPBACK,
    "http://[2002:7f00:1::]/a.ts": LOOPBACK,
    "http://localhost:8000/a.ts": LOOPBACK,
    "http://LOCALHOST./a.ts": LOOPBACK,
    "http://tv.localhost/a.ts": LOOPBACK,
    "udp://127.0.0.1:5000": LOOPBACK,
    "http://169.254.169.254/latest/meta-data/": METADATA,
    "http://2852039166/latest/meta-data/": METADATA,
    "http://0xa9fea9fe/latest/meta-data/": METADATA,
    "http://[::ffff:169.254.169.254]/latest/meta-data/": METADATA,
    "http://100.100.100.200/latest/meta-data/": METADATA,
    "http://[fd00:ec2::254]/latest/meta-data/": METADATA,
    "http://169.254.1.1/a.ts": "link-local addresses are never allowed",
    "http://[fe80::1]/a.ts": "link-local addresses are never allowed",
    "http://0.0.0.0:8000/a.ts": "unspecified addresses are never allowed",
    "http://0/a.ts": "unspecified addresses are never allowed",
    "http://[::]/a.ts": "unspecified addresses are never allowed",
    "http://239.1.1.1/a.ts": "multicast addresses are never allowed",
    "http://[ff02::1]/a.ts": "multicast addresses are never allowed",
    "http://255.255.255.255/a.ts": "broadcast addresses are never allowed",
}


def entry(output_path: str, url: str) -> dict[str, Any]:
    return {"name": output_path, "output_path": output_path, "source_urls": [url]}


async def expect_refused(server: Server, url: str, reason: str) -> None:
    """Over the API, at once."""
    reply = await server.post("/api/relays", entry("refused", url))
    assert reply.status == 422, (url, reply.body)
    error = reply.json()["error"]
    assert error["field"] == "source_urls[0]", url
    assert error["message"].endswith(f"is refused: {reason}"), (url, error)


async def test_an_address_in_the_url_is_refused_at_once() -> None:
    async with Server({"sources": {"allow_networks": ["10.0.0.0/8", "100.64.0.0/10", "fc00::/7"]}}) as server:
        for url, reason in LITERALS.items():
            await expect_refused(server, url, reason)
        private = "private addresses are allowed only if listed in sources.allow_networks"
        await expect_refused(server, "http://192.168.1.1/a.ts", private)
        relay = (await server.post("/api/relays", entry("kept", "http://10.1.2.3/a.ts"))).json()
        changed = {**relay, "source_urls": ["http://10.1.2.3/a.ts", "http://127.0.0.1/a.ts"]}
        reply = await server.post(f"/api/relays/{relay['id']}", changed, method="PUT")
        assert (reply.status, reply.json()["error"]["field"]) == (422, "source_urls[1]")
        assert (await server.get("/api/relays")).json()["relays"] == [relay]


async def test_what_is_never_allowed_is_refused_also_where_everything_is_listed() -> None:
    async with Origin() as origin, Server({"sources": {"allow_networks": ["0.0.0.0/0", "::/0"]}}) as server:
        for url, reason in LITERALS.items():
            if reason != LOOPBACK:
                await expect_refused(server, url, reason)
        made = await server.post("/api/relays", entry("a", origin.route("/a", live(SOURCE))))
        assert made.status == 201
        viewer = await connect(server.url("/stream/a"), Checker(SOURCE))
        await viewer.received(50_000)
        viewer.verify()


def playlist(*lines: str) -> Behaviour:
    text = "\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:2", "#EXT-X-MEDIA-SEQUENCE:1", *lines, ""])
    return body(text.encode(), TYPES[".m3u8"])


def master(uri: str) -> Behaviour:
    return body(f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=4000000\n{uri}\n".encode(), TYPES[".m3u8"])


def ways(allowed: Origin, port: int) -> dict[str, str]:
    """Every way to 127.0.0.2:`port` that we know: as the source itself, and over an origin that is allowed."""
    spellings = {
        "plain": FORBIDDEN,
        "short": "127.2",
        "decimal": "2130706434",
        "hexadecimal": "0x7f000002",
        "octal": "0177.0.0.2",
        "mapped": "[::ffff:127.0.0.2]",
        "mapped-hexadecimal": "[::ffff:7f00:2]",
        "compatible": "[::127.0.0.2]",
        "wide-digits": "127.0.0.\N{FULLWIDTH DIGIT TWO}",
    }
    found = {}
    for name, host in spellings.items():
        url = f"http://{host}:{port}/a.ts"
        found[name] = url
        found[f"{name}-with-user"] = f"http://user:word@{host}:{port}/a.ts"
        if url.isascii():
            found[f"redirect-{name}"] = allowed.route(f"/{name}", redirect(url))
    target = f"//{FORBIDDEN}:{port}/a.ts"
    key = f'#EXT-X-KEY:METHOD=AES-128,URI="http:{target}"'
    allowed.route("/good.ts", body(SOURCE.take(2.0)))
    routes = {
        "redirect-relative": redirect(target),
        "redirect-twice": redirect("/plain"),
        "redirect-308": redirect(f"http:{target}", 308),
        "segment": playlist("#EXTINF:2,", f"http:{target}"),
        "segment-relative": playlist("#EXTINF:2,", target),
        "segment-redirected": playlist("#EXTINF:2,", "/plain"),
        "key": playlist(key, "#EXTINF:2,", "good.ts"),
        "key-redirected": playlist('#EXT-X-KEY:METHOD=AES-128,URI="/plain"', "#EXTINF:2,", "good.ts"),
        "variant": master(f"http:{target}"),
        "variant-redirected": master("/plain"),
        "segment-wide-digits": playlist("#EXTINF:2,", f"http://127.0.0.\N{FULLWIDTH DIGIT TWO}:{port}/a.ts"),
        "redirect-percent": redirect(f"http://127.0.0.%32:{port}/a.ts"),
    }
    return found | {name: allowed.route(f"/{name}", behaviour) for name, behaviour in routes.items()}


# These spellings are no hosts to the HTTP client, which then asks nobody where they lead.
UNREADABLE = {
    **dict.fromkeys(("short", "decimal", "octal"), "the host is not a valid name or address"),
    "percent": "cannot be resolved",
}


async def watch_all(server: Server, names: list[str]) -> dict[str, Reply]:
    replies = await asyncio.gather(*(server.get(f"/stream/{name}") for name in names))
    return dict(zip(names, replies, strict=True))


def expect_reason(name: str, reply: Reply, reason: str) -> None:
    assert reply.status == 502, (name, reply.status, reply.body)
    error = reply.json()["error"]
    assert error["code"] == "no_source_works"
    assert reason in error["message"], (name, error["message"])


async def test_no_way_leads_to_an_address_that_is_not_allowed() -> None:
    async with Origin() as allowed, Origin(FORBIDDEN) as forbidden:
        forbidden.route("/a.ts", live(SOURCE))
        found = ways(allowed, forbidden.port)
        relays = [entry(name, url) for name, url in found.items()]
        config = {"relays": relays, "failover": QUICK, "sources": {"allow_networks": ["127.0.0.1/32"]}}
        async with Server(config) as server:
            for name, reply in (await watch_all(server, list(found))).items():
                expect_reason(name, reply, UNREADABLE.get(name.removeprefix("redirect-").partition("-")[0], LOOPBACK))
            assert forbidden.ledger.connections_ever == 0
        # The ways themselves are good: where the address is listed, they arrive.
        async with Server({**config, "sources": {"allow_networks": ["127.0.0.0/8"]}}) as server:
            for name in ("plain", "mapped", "redirect-twice", "redirect-hexadecimal"):
                viewer = await connect(server.url(f"/stream/{name}"), Checker(SOURCE))
                await viewer.received(50_000)
                viewer.verify()
                viewer.close()
        assert forbidden.requests("/a.ts") == 4


async def test_a_name_that_leads_to_loopback_is_refused_when_it_is_dialled() -> None:
    async with Origin() as origin:
        origin.route("/a.ts", live(SOURCE))
        url = f"http://localhost:{origin.port}/a.ts"
        config = {"relays": [entry("a", url)], "sources": {"allow_networks": ["10.0.0.0/8"]}}
        async with Server(config) as server:
            expect_reason("a", await server.get("/stream/a"), LOOPBACK)
            assert origin.ledger.connections_ever == 0
            status = await server.status("a")
            assert any(LOOPBACK in event["detail"] for event in status["events"])


async def test_a_redirect_or_playlist_leads_to_no_other_scheme() -> None:
    async with Origin() as origin, Server({"failover": QUICK}) as server:
        origin.route("/good.ts", body(SOURCE.take(2.0)))
        file = server.folder / "secret.ts"
        file.write_bytes(SOURCE.take(2.0))
        targets = {"file": f"file://{file}", "exec": f"exec:cat {file}", "udp": "udp://@239.1.1.1:5000"}
        for name, target in targets.items():
            for kind, behaviour in (
                ("redirect", redirect(target)),
                ("segment", playlist("#EXTINF:2,", target)),
                ("variant", master(target)),
                ("key", playlist(f'#EXT-X-KEY:METHOD=AES-128,URI="{target}"', "#EXTINF:2,", "/good.ts")),
            ):
                url = origin.route(f"/{kind}-{name}", behaviour)
                assert (await server.post("/api/relays", entry(f"{kind}-{name}", url))).status == 201
        relays = (await server.get("/api/relays")).json()["relays"]
        for name, reply in (await watch_all(server, [relay["output_path"] for relay in relays])).items():
            expect_reason(name, reply, f"the scheme '{name.partition('-')[2]}' is not allowed here")


async def test_the_server_does_not_relay_itself() -> None:
    async with Origin() as origin, Server() as server:
        own = server.url("/stream/a")
        for host in ("127.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "localhost"):
            await expect_refused(server, own.replace("127.0.0.1", host), OWN)
        await server.post("/api/relays", entry("a", origin.route("/a", redirect(own))))
        await server.post("/api/relays", entry("b", origin.route("/b", playlist("#EXTINF:2,", own))))
        for name, reply in (await watch_all(server, ["a", "b"])).items():
            expect_reason(name, reply, OWN)
        # Another port of the same address is another server.
        await server.post("/api/relays", entry("c", origin.route("/c", live(SOURCE))))
        viewer = await connect(server.url("/stream/c"), Checker(SOURCE))
        await viewer.received(50_000)
        viewer.verify()
