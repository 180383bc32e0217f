"""Each behaviour of the origin, seen by a raw client."""

import asyncio
import gzip
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kit.behaviours import (
    Ending,
    LoopedFile,
    body,
    cut,
    folder,
    html,
    in_turn,
    live,
    one_at_a_time,
    redirect,
    silent,
    slow_head,
    status,
    trickle,
)  # fmt: skip
from tests.kit.origin import Origin, closed_port
from tests.kit.position_coded import PositionCoded, identity
from tests.kit.ts_packets import PACKET
from tests.kit.viewer import connect, fetch

SOURCE = PositionCoded(byte_rate=200_000)
DATA = SOURCE.packets(1000)


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin() as running:
        yield running


async def test_live_is_contiguous_and_keeps_its_rate(origin: Origin) -> None:
    received = bytearray()
    viewer = await connect(origin.route("/live", live(SOURCE)), sink=received.extend)
    start = time.monotonic()
    await viewer.received(100_000)
    assert 0.4 < time.monotonic() - start < 2
    viewer.close()
    numbers = [identity(bytes(received[at : at + PACKET])) for at in range(0, 100_000 - PACKET, PACKET)]
    known = next(index for index, number in enumerate(numbers) if number)
    first = (numbers[known] or (0, 0))[1] - known
    assert received[:100_000] == SOURCE.packets(600, first)[:100_000]
    await origin.wait_for(lambda o: o.open_now() == 0)


async def test_a_burst_comes_at_once(origin: Origin) -> None:
    viewer = await connect(origin.route("/live", live(SOURCE, burst=10)))
    start = time.monotonic()
    await viewer.received(1_900_000)
    assert time.monotonic() - start < 1
    viewer.close()


async def test_who_connects_again_comes_in_further_on(origin: Origin) -> None:
    url = origin.route("/live", live(SOURCE))
    firsts = []
    for _ in range(2):
        received = bytearray()
        viewer = await connect(url, sink=received.extend)
        await viewer.received(20_000)
        viewer.close()
        firsts.append(next(n[1] for at in range(0, 9400, PACKET) if (n := identity(bytes(received[at : at + PACKET])))))
    assert firsts[1] > firsts[0] + 50


async def test_a_misaligned_and_chunked_stream(origin: Origin) -> None:
    received = bytearray()
    viewer = await connect(origin.route("/live", live(SOURCE, misaligned=100, chunked=True)), sink=received.extend)
    await viewer.received(5000)
    viewer.close()
    assert viewer.headers["transfer-encoding"] == "chunked"
    size, _, rest = bytes(received).partition(b"\r\n")
    assert int(size, 16) % PACKET == 88 and rest[88] == 0x47


async def test_a_looped_file_goes_round(tmp_path: Path) -> None:
    file = tmp_path / "clip.ts"
    file.write_bytes(DATA)
    feed = LoopedFile(file, seconds=0.94)
    assert feed.byte_rate == 200_000
    assert feed.packets(3, 999) == DATA[-PACKET:] + DATA[: 2 * PACKET]


async def test_a_whole_body_its_ranges_and_a_kept_connection(origin: Origin) -> None:
    url = origin.route("/file", body(DATA))
    reply = await fetch(url)
    assert (reply.status, reply.body, reply.headers["content-length"]) == (200, DATA, str(len(DATA)))
    part = await fetch(url, headers={"Range": "bytes=188-375"})
    assert (part.status, part.body) == (206, DATA[188:376])
    viewer = await connect(url)
    await viewer.received(len(DATA))
    assert viewer.headers["connection"] == "keep-alive" and viewer.closed is None
    viewer.close()


async def test_gzip_html_status_and_redirect(origin: Origin) -> None:
    packed = await fetch(origin.route("/gz", body(b"#EXTM3U\n", gzipped=True)))
    assert packed.headers["content-encoding"] == "gzip" and gzip.decompress(packed.body) == b"#EXTM3U\n"
    page = await fetch(origin.route("/html", html()))
    assert page.status == 200 and page.headers["content-type"] == "text/html" and b"<html>" in page.body
    assert (await fetch(origin.route("/gone", status(410)))).status == 410
    moved = await fetch(origin.route("/loop", redirect("/loop")))
    assert (moved.status, moved.headers["location"]) == (302, "/loop")
    assert (await fetch(origin.url("/unknown"))).status == 404


async def test_chunked_body_ends_in_order(origin: Origin) -> None:
    reply = await fetch(origin.route("/chunked", body(b"abc", chunked=True)))
    assert (reply.headers["transfer-encoding"], reply.body) == ("chunked", b"abc")


async def test_a_folder(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "a.m3u8").write_text("#EXTM3U\n")
    origin.route("/f/", folder(tmp_path))
    reply = await fetch(origin.url("/f/a.m3u8"))
    assert (reply.status, reply.headers["content-type"]) == (200, "application/vnd.apple.mpegurl")
    assert (await fetch(origin.url("/f/b.m3u8"))).status == 404


@pytest.mark.parametrize(("then", "closed"), [("eof", "eof"), ("reset", "reset"), ("stall", None)])
async def test_cut_after_bytes(origin: Origin, then: Ending, closed: str | None) -> None:
    viewer = await connect(origin.route("/cut", cut(body(DATA), size=70_000, then=then)))
    await viewer.head()
    if closed:
        assert await viewer.ended() == closed
    else:
        await viewer.received(70_000)
        await asyncio.sleep(0.1)
        assert viewer.closed is None
    assert viewer.total <= 70_000
    assert viewer.total == 70_000 or then == "reset"
    viewer.close()


async def test_cut_after_seconds(origin: Origin) -> None:
    start = time.monotonic()
    viewer = await connect(origin.route("/cut", cut(live(SOURCE), seconds=0.3)))
    assert await viewer.ended() == "eof"
    assert time.monotonic() - start > 0.29 and viewer.total > 20_000


async def test_slow_head_and_silence(origin: Origin) -> None:
    slow = await connect(origin.route("/slow", slow_head(0.01)))
    mute = await connect(origin.route("/mute", silent()))
    await origin.wait_for(lambda o: o.open_now("/slow") == o.open_now("/mute") == 1)
    await asyncio.sleep(0.1)
    assert (slow.status, slow.closed, mute.status, mute.closed) == (0, None, 0, None)
    slow.close()
    mute.close()
    await origin.wait_for(lambda o: o.open_now() == 0)


async def test_trickle(origin: Origin) -> None:
    viewer = await connect(origin.route("/t", trickle(DATA[:500], rate=1000)))
    assert await viewer.ended() == "eof"
    assert viewer.total == 500
    assert viewer.reception.last_at is not None and viewer.reception.first_at is not None
    assert viewer.reception.last_at - viewer.reception.first_at > 0.4


async def test_one_connection_at_a_time(origin: Origin) -> None:
    url = origin.route("/one", one_at_a_time(live(SOURCE)))
    first = await connect(url)
    assert await first.head() == 200
    assert (await fetch(url)).status == 503
    first.close()
    await origin.wait_for(lambda o: o.open_now("/one") == 0)
    second = await connect(url)
    assert await second.head() == 200
    second.close()
    assert (origin.requests("/one"), origin.most_at_once("/one")) == (3, 2)


async def test_behaviours_in_turn(origin: Origin) -> None:
    url = origin.route("/turn", in_turn(status(500), body(b"x")))
    assert [(await fetch(url)).status for _ in range(3)] == [500, 200, 200]


async def test_connections_of_a_path_are_reset_finished_or_stalled_at_run_time(origin: Origin) -> None:
    urls = [origin.route(path, live(SOURCE)) for path in ("/a", "/b", "/c")]
    a, b, c = [await connect(url) for url in urls]
    for viewer in (a, b, c):
        await viewer.received(10_000)
    origin.reset("/a")
    origin.finish("/b")
    origin.stall("/c")
    assert (await a.ended(), await b.ended()) == ("reset", "eof")
    await asyncio.sleep(0.2)
    silent_at = c.total
    await asyncio.sleep(0.2)
    assert c.total == silent_at and c.closed is None and c.largest_gap >= 0.2
    origin.resume("/c")
    await c.received(silent_at + 50_000)
    assert (origin.open_now(), origin.ledger.connections_ever) == (1, 3)
    c.close()


async def test_waiting_in_vain_says_what_was_seen(origin: Origin) -> None:
    with pytest.raises(AssertionError, match="0 connections now"):
        await origin.wait_for(lambda o: o.open_now() == 1, within=0.05)


async def test_a_fault_in_a_behaviour_is_raised() -> None:
    async def broken(exchange: object) -> None:
        raise ValueError("broken")

    with pytest.raises(ExceptionGroup, match="behaviours"):
        async with Origin() as origin:
            viewer = await connect(origin.route("/", broken))
            await viewer.ended()


def test_a_closed_port_refuses() -> None:
    with closed_port() as port, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=2)
