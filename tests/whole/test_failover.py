"""Every way a source can fail, with two and three sources: viewers stay, and the outage is as short as it can be."""

import asyncio
from typing import Literal

import pytest

from tests.kit.behaviours import Darkened, cut, html, in_turn, live, redirect, silent, slow_head, status
from tests.kit.checker import Checker
from tests.kit.origin import Behaviour, Origin, closed_port
from tests.kit.position_coded import PositionCoded
from tests.kit.server import Status
from tests.kit.viewer import connect
from tests.whole.relay import PATH, relay

FIRST = PositionCoded(source_id=1)
SECOND = PositionCoded(source_id=2, program=7, pmt_pid=0x300, video_pid=0x310, audio_pid=0x311, gop=0.4)
QUICK = {
    "connect_timeout": "1s",
    "first_byte_timeout": "700ms",
    "stall_timeout": "1500ms",
    "ready_timeout": "2s",
    "retry_backoff": "100ms to 300ms",
}
LONG = 15
"""Seconds that no machine stands still."""

BROKEN: dict[str, tuple[Behaviour, str]] = {
    "end of the body": (cut(live(FIRST), seconds=2), "eof"),
    "end of a chunked body": (cut(live(FIRST, chunked=True), seconds=2), "eof"),
    "reset": (cut(live(FIRST), seconds=2, then="reset"), "eof"),
    "silence": (cut(live(FIRST), seconds=2, then="stall"), "stall"),
}
"""A source that delivers for two seconds and then fails, and the word the status has for it."""

USELESS: dict[str, tuple[Behaviour, str]] = {
    "web page": (html(), "format"),
    "not found": (status(404), "status"),
    "server error": (status(500), "status"),
    "redirect loop": (redirect("/bad"), "status"),
    "slow headers": (slow_head(), "stall"),
    "says nothing": (silent(), "stall"),
    "empty body": (cut(live(FIRST), size=0), "format"),
    "half a packet": (cut(live(FIRST), size=100, then="reset"), ""),
}
"""A source that never delivers a picture."""


def switches(status: Status) -> list[str]:
    return [event["detail"] for event in status["events"] if event["event"] == "switched"]


def failures(status: Status) -> list[str]:
    return [event["detail"] for event in status["events"] if event["event"] == "source failed"]


@pytest.mark.parametrize("fault", BROKEN)
async def test_a_source_that_breaks_is_followed_by_the_next(fault: str) -> None:
    behaviour, reason = BROKEN[fault]
    patience = QUICK if reason == "stall" else {**QUICK, "stall_timeout": f"{2 * LONG}s"}
    async with (
        Origin() as origin,
        relay(origin.route("/a", behaviour), origin.route("/b", live(SECOND)), failover=patience) as server,
    ):
        viewer = await connect(server.url(PATH), Checker(FIRST, SECOND))
        await viewer.wait_for(lambda viewer: viewer.checker is not None and len(viewer.checker.switches) == 1)
        await viewer.received(viewer.total + 300_000)
        viewer.verify(switches=1)
        found = await server.status("a")
        assert (found["source_index"], found["switches"], found["clients"]) == (1, 1, 1)
        (detail,) = switches(found)
        assert reason in detail
        # Who ends is followed at once, who stalls after a second and a half. A wait for a timeout would be longer.
        assert viewer.largest_gap < LONG
        assert (origin.requests("/a"), origin.requests("/b")) == (1, 1)


@pytest.mark.parametrize(
    ("how", "why"), [("null", "nothing of its program comes any more"), ("scrambled", "its program is scrambled now")]
)
async def test_a_source_that_goes_on_without_its_program_is_followed_by_the_next(
    how: Literal["null", "scrambled"], why: str
) -> None:
    """As one that has never been ready: bytes alone are no picture."""
    async with (
        Origin() as origin,
        relay(
            origin.route("/a", live(Darkened(FIRST, 2.0, how))), origin.route("/b", live(SECOND)), failover=QUICK
        ) as server,
    ):
        viewer = await connect(server.url(PATH))
        found = await server.wait_status("a", lambda status: status["switches"] == 1)
        (detail,) = switches(found)
        assert why in detail
        await viewer.received(viewer.total + 300_000)
        assert (origin.requests("/a"), origin.requests("/b"), origin.open_now()) == (1, 1, 1)


@pytest.mark.parametrize("fault", USELESS)
async def test_a_source_that_never_delivers_costs_the_viewer_a_wait_and_no_more(fault: str) -> None:
    behaviour, reason = USELESS[fault]
    async with (
        Origin() as origin,
        relay(origin.route("/bad", behaviour), origin.route("/b", live(SECOND)), failover=QUICK) as server,
    ):
        viewer = await connect(server.url(PATH), Checker(SECOND))
        await viewer.received(200_000)
        viewer.verify(switches=0)
        found = await server.status("a")
        assert (found["source_index"], found["switches"]) == (1, 0)
        (failure,) = failures(found)
        assert reason in failure


async def test_a_refused_connection_goes_to_the_next_at_once() -> None:
    with closed_port() as port:
        async with (
            Origin() as origin,
            relay(f"http://127.0.0.1:{port}/a", origin.route("/b", live(SECOND))) as server,
        ):
            viewer = await connect(server.url(PATH), Checker(SECOND))
            await viewer.received(200_000)
            viewer.verify(switches=0)
            assert "connect" in failures(await server.status("a"))[0]


async def test_one_failure_uses_up_one_source_of_three() -> None:
    third = PositionCoded(source_id=3)
    async with (
        Origin() as origin,
        relay(
            origin.route("/a", cut(live(FIRST), seconds=2, then="reset")),
            origin.route("/b", live(SECOND)),
            origin.route("/c", live(third)),
        ) as server,
    ):
        viewer = await connect(server.url(PATH), Checker(FIRST, SECOND, third))
        await server.wait_status("a", lambda status: status["switches"] == 1)
        await viewer.received(viewer.total + 300_000)
        assert origin.requests("/c") == 0
        origin.reset("/b")
        await server.wait_status("a", lambda status: status["switches"] == 2)
        await viewer.received(viewer.total + 300_000)
        viewer.verify(switches=2)
        assert [origin.requests(path) for path in ("/a", "/b", "/c")] == [1, 1, 1]
        assert origin.open_now() == 1


async def test_without_any_working_source_the_viewer_hears_why_as_soon_as_all_have_failed() -> None:
    # With this patience, whoever does not hear it at once hears nothing before the test gives up.
    patience = {"streams": {"start_timeout": "300s"}, "failover": {"retry_backoff": "300s to 300s", "give_up": "300s"}}
    async with (
        Origin() as origin,
        relay(origin.route("/a", html()), origin.route("/b", status(404)), **patience) as server,
    ):
        reply = await server.get(PATH)
        assert reply.status == 502
        error = reply.json()["error"]
        assert error["code"] == "no_source_works"
        assert "web page" in error["message"]
        assert "404" in error["message"]
        # Nobody is left to dial for.
        await server.wait_status("a", lambda status: status["state"] == "idle")
        assert (origin.requests("/a"), origin.requests("/b"), origin.open_now()) == (1, 1, 0)


async def test_a_stream_that_does_not_start_in_time_is_a_504() -> None:
    slow = {**QUICK, "first_byte_timeout": "20s"}
    async with (
        Origin() as origin,
        relay(origin.route("/a", silent()), failover=slow, streams={"start_timeout": "500ms"}) as server,
    ):
        reply = await server.get(PATH)
        assert (reply.status, reply.json()["error"]["code"]) == (504, "start_timeout")
        await origin.wait_for(lambda origin: origin.open_now() == 0)


async def test_viewers_outlive_a_time_without_any_source_and_see_it_come_back() -> None:
    """Both sources die; after some refused dials the first one serves again."""
    async with (
        Origin() as origin,
        relay(
            origin.route("/a", in_turn(cut(live(FIRST), seconds=2), status(503), status(503), live(FIRST))),
            failover=QUICK,
        ) as server,
    ):
        viewer = await connect(server.url(PATH), Checker(FIRST))
        await server.wait_status("a", lambda status: status["switches"] == 1)
        await viewer.received(viewer.total + 300_000)
        viewer.verify(switches=1)
        assert origin.requests("/a") == 4


async def test_when_all_sources_have_failed_for_long_enough_the_viewers_are_ended() -> None:
    async with (
        Origin() as origin,
        relay(
            origin.route("/a", in_turn(cut(live(FIRST), seconds=2), status(503))),
            failover={**QUICK, "give_up": "1s"},
        ) as server,
    ):
        viewer = await connect(server.url(PATH), Checker(FIRST))
        assert await viewer.ended() == "eof"
        viewer.verify(switches=0)
        found = await server.wait_status("a", lambda status: status["state"] == "idle")
        assert found["events"][-1]["detail"] == "gave up"


async def test_nobody_dials_for_an_empty_stream() -> None:
    """The source fails while the idle timer runs: there is nobody to fail over for."""
    async with (
        Origin() as origin,
        relay(
            origin.route("/a", live(FIRST)), origin.route("/b", live(SECOND)), streams={"idle_timeout": "20s"}
        ) as server,
    ):
        viewer = await connect(server.url(PATH), Checker(FIRST))
        await viewer.received(100_000)
        viewer.close()
        await server.wait_status("a", lambda status: status["state"] == "stopping")
        origin.reset("/a")
        await server.wait_status("a", lambda status: status["state"] == "idle")
        assert origin.requests("/b") == 0


async def test_the_operator_switches_and_the_viewer_goes_on() -> None:
    async with (
        Origin() as origin,
        relay(origin.route("/a", live(FIRST)), origin.route("/b", live(SECOND))) as server,
    ):
        viewer = await connect(server.url(PATH), Checker(FIRST, SECOND))
        await viewer.received(300_000)
        for times in (1, 2, 3):
            reply = await server.post("/api/streams/a/switch")
            assert reply.status == 200
            await server.wait_status("a", lambda status, times=times: status["switches"] == times)  # type: ignore[misc]
            await viewer.received(viewer.total + 300_000)
        viewer.verify(switches=3)
        assert (await server.status("a"))["source_index"] == 1
        await origin.wait_for(lambda origin: origin.open_now() == 1)


async def test_a_stall_shorter_than_the_timeout_is_no_failure() -> None:
    async with (
        Origin() as origin,
        relay(origin.route("/a", live(FIRST)), origin.route("/b", live(SECOND))) as server,
    ):
        viewer = await connect(server.url(PATH), Checker(FIRST))
        await viewer.received(300_000)
        origin.stall("/a")
        await asyncio.sleep(1)
        origin.resume("/a")
        await viewer.received(viewer.total + 300_000)
        viewer.verify(switches=0)
        assert origin.requests("/b") == 0


async def test_viewers_who_join_after_a_switch_start_cleanly() -> None:
    async with (
        Origin() as origin,
        relay(origin.route("/a", live(FIRST)), origin.route("/b", live(SECOND))) as server,
    ):
        first = await connect(server.url(PATH), Checker(FIRST, SECOND))
        await first.received(300_000)
        await server.post("/api/streams/a/switch")
        joined = []
        for _ in range(10):
            viewer = await connect(server.url(PATH), Checker(FIRST, SECOND))
            joined.append(viewer)
            await first.received(first.total + 60_000)
        await asyncio.gather(*(viewer.received(700_000) for viewer in (*joined, first)))
        for viewer in (*joined, first):
            viewer.verify()
