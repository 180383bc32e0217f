import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.kit.behaviours import body, cut, live
from tests.kit.checker import Checker
from tests.kit.healthy import HealthyViewer
from tests.kit.origin import Exchange, Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.test_checker import psi
from tests.kit.ts_packets import PACKET
from tests.kit.viewer import connect, join_many, stalled, trickling

SOURCE = PositionCoded(byte_rate=200_000)
KEY = SOURCE.media_start(25)
JOINED = psi(SOURCE, KEY, 0) + SOURCE.packets(40_000, KEY)


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin() as running:
        yield running


class Joined:
    """The source as a relay would send it to one viewer: from a key frame on, with PSI in front."""

    byte_rate = SOURCE.byte_rate

    def __init__(self) -> None:
        self._base: int | None = None

    def packets(self, count: int, start: int = 0) -> bytes:
        if self._base is None:
            self._base = start
        return JOINED[(start - self._base) * PACKET : (start - self._base + count) * PACKET]


async def test_a_checked_viewer(origin: Origin) -> None:
    viewer = await connect(origin.route("/", body(JOINED)), Checker(SOURCE))
    assert await viewer.head() == 200
    await viewer.received(len(JOINED))
    viewer.close()
    viewer.verify(least=len(JOINED), switches=0)
    assert viewer.closed == "local"


async def test_waiting_for_more_than_comes_fails_at_the_end(origin: Origin) -> None:
    viewer = await connect(origin.route("/", cut(body(JOINED), size=1000)))
    with pytest.raises(AssertionError, match=r"1000 bytes, closed: eof"):
        await viewer.received(1001)


async def test_a_stalled_viewer_holds_the_sender_up_and_can_be_woken(origin: Origin) -> None:
    viewer = await stalled(origin.route("/", body(JOINED)), Checker(SOURCE))
    await origin.wait_for(lambda o: o.open_now("/") == 1)
    await asyncio.sleep(0.1)
    assert (viewer.total, origin.open_now("/")) == (0, 1)
    viewer.set_rate(None)
    await viewer.received(len(JOINED))
    viewer.verify(least=len(JOINED))
    viewer.close()


async def test_a_dropped_stalled_viewer_still_gets_what_the_kernel_holds(origin: Origin) -> None:
    viewer = await stalled(origin.route("/", body(JOINED)), Checker(SOURCE))
    await origin.wait_for(lambda o: o.open_now("/") == 1)
    await asyncio.sleep(0.1)
    origin.reset("/")
    await origin.wait_for(lambda o: o.open_now("/") == 0)
    viewer.set_rate(None)
    assert await viewer.ended() == "reset"
    viewer.verify(least=10_000)


async def test_a_trickling_viewer_keeps_its_rate(origin: Origin) -> None:
    began = time.monotonic()
    viewer = await trickling(origin.route("/", body(JOINED)), 40_000, Checker(SOURCE))
    await viewer.received(20_000)
    assert viewer.total <= 5_000 + 40_000 * (time.monotonic() - began)
    viewer.close()
    viewer.verify()


async def test_five_hundred_viewers(origin: Origin) -> None:
    viewers = await join_many(origin.route("/", body(JOINED[:100_000])), 500, lambda: Checker(SOURCE))
    await asyncio.gather(*(viewer.received(100_000, within=20) for viewer in viewers))
    for viewer in viewers:
        viewer.close()
        viewer.verify(least=99_000)
    assert origin.most_at_once("/") <= origin.ledger.connections_ever == 500
    await origin.wait_for(lambda o: o.open_now() == 0)


async def test_the_healthy_viewer_is_content(origin: Origin) -> None:
    with HealthyViewer(origin.route("/", live(Joined())), SOURCE, max_gap=20) as healthy:
        async with asyncio.timeout(40):
            while healthy.reception.total <= 20_000:  # noqa: ASYNC110  # it has a thread of its own
                await asyncio.sleep(0.02)


async def test_the_healthy_viewer_sees_a_gap_a_wrong_byte_and_an_end(origin: Origin) -> None:
    url = origin.route("/", live(Joined()))
    with pytest.raises(AssertionError, match="a gap of"), HealthyViewer(url, SOURCE):
        origin.stall("/")
        await asyncio.sleep(0.4)
    origin.resume("/")

    async def wrong(exchange: Exchange) -> None:
        await exchange.head(200)
        await exchange.send(JOINED[:50_000] + b"\0" + JOINED[50_001:])
        await asyncio.Event().wait()

    with pytest.raises(AssertionError, match="at byte"), HealthyViewer(origin.route("/wrong", wrong), SOURCE):
        await asyncio.sleep(0.1)
    url = origin.route("/end", cut(live(Joined()), size=30_000))
    with pytest.raises(AssertionError, match="was closed: eof"), HealthyViewer(url, SOURCE):
        await origin.wait_for(lambda o: o.open_now("/end") == 0)
        await asyncio.sleep(0.1)
