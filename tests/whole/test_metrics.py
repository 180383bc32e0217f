"""`/metrics` of a real server: what it counts, what it never tells, and names by Prometheus' rules."""

import asyncio
import json
import re
import shutil
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.kit.behaviours import live
from tests.kit.hls_origin import HlsChannel, coded_segments
from tests.kit.origin import Origin, closed_port
from tests.kit.position_coded import PositionCoded
from tests.kit.server import POLL, Server
from tests.kit.viewer import connect, stalled
from tests.whole.relay import PATH, relay

SOURCE = PositionCoded(gop=0.2)
OTHER = PositionCoded(source_id=2, gop=0.2, program=7, pmt_pid=0x300, video_pid=0x310, audio_pid=0x311)
DASHBOARD = Path(__file__).parents[2] / "config" / "grafana-dashboard.json"

Samples = dict[str, float]


async def scrape(server: Server) -> Samples:
    """Every sample by its name and labels, as it is written."""
    reply = await server.get("/metrics")
    assert reply.status == 200 and reply.headers["content-type"].startswith("text/plain")
    lines = (line for line in reply.body.decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def until(server: Server, name: str, value: float) -> Samples:
    """The first scrape in which the sample has reached the value."""
    end = time.monotonic() + 40
    while (found := await scrape(server)).get(name, 0.0) < value:
        assert time.monotonic() < end, f"{name} {found.get(name)}"
        await asyncio.sleep(POLL)
    return found


async def test_what_happens_is_counted() -> None:
    limits = {"ring_size": "512KiB", "ring_max": "512KiB"}
    async with Origin() as origin:
        first, second = origin.route("/first", live(SOURCE)), origin.route("/second", live(OTHER))
        with closed_port() as port:
            async with relay(f"http://127.0.0.1:{port}/", first, second, streams=limits, hls=HLS) as server:
                one, two = [await connect(server.url(PATH)) for _ in range(2)]
                await asyncio.gather(one.received(50_000), two.received(50_000))
                assert (await server.get(f"{PATH}/hls")).status == 200
                assert (await server.get("/nothing")).status == 404
                found = await scrape(server)
                assert (
                    found['fastrelay_viewers{kind="ts"}']
                    == found['fastrelay_stream_viewers{kind="ts",stream="a"}']
                    == 2
                )
                assert (
                    found['fastrelay_viewers{kind="hls"}']
                    == found['fastrelay_stream_viewers{kind="hls",stream="a"}']
                    == 1
                )
                assert found['fastrelay_streams{state="active"}'] == 1
                assert found['fastrelay_source_failures_total{reason="connect"}'] == 1
                assert found['fastrelay_http_answers_total{code="404"}'] == 1
                assert found['fastrelay_stream_ring_bytes{stream="a"}'] == found["fastrelay_ring_bytes"] == 512 << 10
                assert found["fastrelay_segment_bytes"] > 0
                assert found["fastrelay_delivered_bytes_total"] >= 100_000
                assert found["fastrelay_received_bytes_total"] >= 50_000
                assert found['fastrelay_first_byte_seconds_count{kind="ts"}'] == 2
                assert found['fastrelay_first_byte_seconds_count{kind="hls"}'] == 1
                assert found["fastrelay_join_lag_seconds_count"] == 2
                assert found["fastrelay_loop_lag_seconds_count"] > 0
                assert found["fastrelay_connections"] == 3
                assert found["process_open_fds"] > 5 and found["process_resident_memory_bytes"] > 1 << 20

                slow = await stalled(server.url(PATH))
                await until(server, 'fastrelay_viewer_drops_total{reason="slow"}', 1)
                await server.post("/api/streams/a/switch")
                found = await until(server, 'fastrelay_source_switches_total{reason="asked"}', 1)
                assert (
                    found["fastrelay_outage_seconds_count"] == found['fastrelay_stream_switches_total{stream="a"}'] == 1
                )
                assert found['fastrelay_stream_drops_total{stream="a"}'] == 1
                origin.finish("/second")
                await until(server, 'fastrelay_source_switches_total{reason="eof"}', 1)
                for viewer in (one, two, slow):
                    viewer.close()


async def test_what_is_passed_through_is_counted_too() -> None:
    channel = HlsChannel(coded_segments(PositionCoded(gop=2), 2.0))
    async with Origin() as origin, Server({"hls": HLS, "streams": {"idle_timeout": "200ms"}}) as server:
        text = f"#EXTM3U\n#EXTINF:-1,A\n{channel.mount(origin, '/hls')}\n"
        assert (await server.post("/api/playlists", {"name": "x", "content": text})).status == 201
        playlist = (await server.get("/api/proxy/channel/1/hls")).body.decode()
        name = next(line for line in playlist.splitlines() if line and not line.startswith("#"))
        size = len((await server.get(f"/api/proxy/channel/1/{name}")).body)
        found = await scrape(server)
        assert found['fastrelay_viewers{kind="hls"}'] == found['fastrelay_viewers_joined_total{kind="hls"}'] == 1
        assert found['fastrelay_stream_viewers{kind="hls",stream="channel:1/hls"}'] == 1
        assert found["fastrelay_segment_bytes"] == 0, "that is what hls.memory_max bounds"
        assert found["fastrelay_passthrough_bytes"] >= size and found['fastrelay_streams{state="active"}'] == 1
        await server.wait_log("GET /api/proxy/channel/1/hls 200")
        await server.wait_log("(left)")
        await server.wait_log("stopped: idle")
        after = await scrape(server)
        series = 'fastrelay_stream_delivered_bytes_total{stream="channel:1/hls"}'
        assert after[series] >= found[series] >= size and after["fastrelay_passthrough_bytes"] == 0
        assert after["fastrelay_received_bytes_total"] >= size


async def test_head_of_a_passed_through_channel_takes_no_series() -> None:
    async with Server() as server:
        entries = "".join(f"#EXTINF:-1,{number}\nhttp://a.example/{number}\n" for number in range(3))
        assert (await server.post("/api/playlists", {"name": "x", "content": f"#EXTM3U\n{entries}"})).status == 201
        for channel, status in ((1, 200), (2, 200), (4, 404)):
            assert (await server.post(f"/api/proxy/channel/{channel}/hls", method="HEAD")).status == status
        assert not [name for name in await scrape(server) if 'stream="' in name]


HLS = {"segment_duration": "1s", "session_timeout": "1s"}


def counters(samples: Samples) -> Samples:
    return {name: value for name, value in samples.items() if re.match(r"fastrelay\w+_(total|count|bucket)\b", name)}


async def test_counters_never_fall_while_streams_come_and_go() -> None:
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE)), streams={"idle_timeout": "100ms"}) as server:
        before: Samples = {}
        for _ in range(3):
            viewer = await connect(server.url(PATH))
            await viewer.received(100_000)
            viewer.close()
            while (await server.status("a"))["state"] != "idle":
                now = counters(await scrape(server))
                assert {name for name, value in before.items() if now[name] < value} == set()
                before = now
        made = {"name": "B", "output_path": "b", "source_urls": [origin.url("/a")]}
        location = (await server.post("/api/relays", made)).headers["location"]
        viewer = await connect(server.url("/stream/b"))
        await viewer.received(100_000)
        before = counters(await scrape(server))
        await server.post(location, method="DELETE")
        now = counters(await scrape(server))
        assert {name for name, value in before.items() if now[name] < value} == set()
        assert now['fastrelay_stream_delivered_bytes_total{stream="b"}'] >= 100_000


async def test_it_is_readable_by_all_and_names_no_source() -> None:
    async with Origin() as origin:
        url = origin.route("/geheim1/geheim2/1.ts", live(SOURCE)).replace("http://", "http://geheim3:geheim4@")
        async with relay(url, f"{url}?token=geheim5", auth={"admin_token": "geheim6"}) as server:
            viewer = await connect(server.url(PATH))
            await viewer.received(50_000)
            text = (await server.get("/metrics")).body.decode()
            assert 'stream="a"' in text and "geheim" not in text and "127.0.0.1" not in text and "//" not in text


UNITS = ("bytes", "seconds", "ratio", "info")
WITHOUT_UNIT = re.compile(
    r"fastrelay_(stream_)?(connections|viewers(_joined)?|streams|drops|switches|lost_packets|continuity_errors"
    r"|http_answers|viewer_drops|source_(switches|failures)|segments_shortened)"
)
"""What is counted in pieces."""


async def test_names_follow_the_rules() -> None:
    """Those of `promtool check metrics`, and it says so itself where it is installed."""
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE))) as server:
        viewer = await connect(server.url(PATH))
        await viewer.received(50_000)
        text = (await server.get("/metrics")).body.decode()
    families = [family for family in text_string_to_metric_families(text) if family.name.startswith("fastrelay_")]
    assert len(families) > 30
    for family in families:
        assert re.fullmatch(r"[a-z][a-z0-9_]*[a-z]", family.name) and family.documentation.endswith("."), family.name
        assert not re.search(r"_(total|count|sum|bucket|gauge|counter|histogram|summary)$", family.name)
        assert family.name.endswith(UNITS) or WITHOUT_UNIT.fullmatch(family.name), family.name
        for sample in family.samples:
            assert (family.type == "counter") == sample.name.endswith("_total"), sample.name
            assert all(re.fullmatch(r"[a-z]+", label) for label in sample.labels)
    if promtool := shutil.which("promtool"):
        process = await asyncio.create_subprocess_exec(promtool, "check", "metrics", stdin=-1, stderr=-1)
        _, err = await process.communicate(text.encode())
        assert (process.returncode, err) == (0, b""), err.decode()


async def test_openmetrics_where_it_is_asked_for() -> None:
    async with Server() as server:
        reply = await server.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
        assert reply.headers["content-type"].startswith("application/openmetrics-text")
        assert reply.body.endswith(b"# EOF\n")


async def test_the_dashboard_names_only_metrics_that_exist() -> None:
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE))) as server:
        viewer = await connect(server.url(PATH))
        await viewer.received(50_000)
        await server.get("/livez")
        there = {name.partition("{")[0] for name in await scrape(server)}
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    assert len(queries) > 15
    named = {name for query in queries for name in re.findall(r"\b(?:fastrelay|process)_[a-z_]+", query)}
    assert named - there == set()
    everything = {name for name in there if name.startswith("fastrelay_") and not re.search(r"_(sum|count)$", name)}
    assert len(everything - named) < 8, "most of what there is should be seen"


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_it_can_only_be_read(method: str) -> None:
    async with Server() as server:
        assert (await server.post("/metrics", method=method)).status == 405
