"""`/watch/{id}` in Chromium."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fastrelay.demo import clip_path
from tests.browser.test_dashboard import CLIP, MOVES
from tests.kit.behaviours import live, status
from tests.kit.browser import Browser, Tab
from tests.kit.origin import Origin
from tests.kit.server import Server

SHORT = {"hls": {"segment_duration": "1s"}}
SAYS = "await page.locator('.message', { hasText: text }).waitFor({ timeout: 40000 })"
FIGURE = """
const value = page.locator('.figures div', { hasText: name }).locator('dd');
await page.waitForFunction((element) => /[a-z]/.test(element.textContent), await value.elementHandle());
return await value.innerText();
"""
STAND_IN = """
await page.route('**/vendor/' + file, (route) => route.fulfill({ contentType: 'text/javascript', body }));
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def watching(
    browser: Browser, config: dict[str, Any], path: str, **options: Any
) -> AsyncIterator[tuple[Server, Tab]]:
    async with Server({**SHORT, **config}) as server, browser.tab(**options) as tab:
        await tab.run("await page.goto(url)", url=server.url(path))
        yield server, tab


def demo() -> dict[str, Any]:
    return {"relays": [{"name": "Demo", "output_path": "demo", "source_urls": [f"file://{clip_path()}"]}]}


async def test_hls_plays_and_mpeg_ts_where_it_is_chosen(browser: Browser) -> None:
    async with watching(browser, demo(), "/watch/demo") as (server, tab):
        (before, at), (after, later) = await tab.run(MOVES)
        assert later > at
        assert before != after
        assert await tab.run(FIGURE, name="Player") == "hls.js"
        assert (await tab.run(FIGURE, name="Behind live")).endswith(" s")
        assert (await tab.run(FIGURE, name="Buffer")).endswith(" s")
        assert (await tab.run(FIGURE, name="Bitrate")).endswith("bit/s")
        assert await tab.run("return await page.evaluate(() => document.querySelector('video').muted)")
        await tab.run("await page.getByRole('button', { name: 'Unmute' }).click()")
        assert not await tab.run("return await page.evaluate(() => document.querySelector('video').muted)")
        assert not await tab.run("return await page.getByRole('button', { name: 'Unmute' }).isVisible()")

        await tab.run("await page.getByRole('button', { name: 'MPEG-TS' }).click()")
        await server.wait_status("demo", lambda status: status["clients_ts"] == 1)
        await tab.run(MOVES)
        assert await tab.run(FIGURE, name="Player") == "mpegts.js"
        await tab.run("await page.goto('about:blank')")
        await server.wait_status("demo", lambda status: status["clients_ts"] == 0)


async def test_it_says_why_a_stream_cannot_start_and_starts_when_it_can(browser: Browser) -> None:
    async with Origin() as origin:
        url = origin.route("/live", status(404))
        relay = {"name": "A", "output_path": "a", "source_urls": [url]}
        async with watching(browser, {"relays": [relay]}, "/watch/a", expected=("502 (Bad Gateway)",)) as (_, tab):
            await tab.run(SAYS, text="No source works")
            origin.route("/live", live(CLIP, burst=4))
            await tab.run(MOVES)
            assert not await tab.run("return await page.locator('.message').isVisible()")


async def test_a_picture_that_stands_still_is_started_anew(browser: Browser) -> None:
    async with watching(browser, demo(), "/watch/demo") as (_, tab):
        await tab.run(MOVES)
        # Segments that never come, and no error either.
        await tab.run("await page.route('**/segment_*', () => {})")
        await tab.run(SAYS, text="The picture stands still. Trying again …")
        await tab.run("await page.unroute('**/segment_*')")
        await tab.run(MOVES)


async def test_an_unknown_stream_is_called_so(browser: Browser) -> None:
    async with watching(browser, {}, "/watch/nothing", expected=("404 (Not Found)",)) as (_, tab):
        await tab.run(SAYS, text="There is no relay at 'nothing'")


async def test_a_channel_plays_also_where_its_source_is_no_hls(browser: Browser) -> None:
    async with Origin() as origin:
        url = origin.route("/live", live(CLIP, burst=4))
        # What the server says to the first try is the browser's to show in its console.
        async with watching(browser, {}, "/livez", expected=("409 (Conflict)",)) as (server, tab):
            content = f"#EXTM3U\n#EXTINF:-1,One\n{url}\n"
            assert (await server.post("/api/playlists", {"name": "x", "content": content})).status == 201
            (channel,) = (await server.get("/api/channels")).json()["channels"]
            await tab.run("await page.goto(url)", url=server.url(f"/watch/channel:{channel['id']}"))
            await tab.run(MOVES)
            assert await tab.run(FIGURE, name="Player") == "mpegts.js"


@pytest.mark.parametrize("player", ["hls.js", "native HLS"])
async def test_where_no_mpeg_ts_plays_a_channel_is_cut_into_hls(browser: Browser, player: str) -> None:
    """As on phones; older ones have a player for HLS of their own, and no other."""
    async with Origin() as origin:
        url = origin.route("/live", live(CLIP, burst=8))
        async with watching(browser, {}, "/livez", expected=("409 (Conflict)",)) as (server, tab):
            content = f"#EXTM3U\n#EXTINF:-1,One\n{url}\n"
            assert (await server.post("/api/playlists", {"name": "x", "content": content})).status == 201
            await tab.run(STAND_IN, file="mpegts.js", body="window.mpegts = { isSupported: () => false };")
            if player != "hls.js":
                await tab.run(STAND_IN, file="hls.js", body="export default { isSupported: () => false };")
            await tab.run("await page.goto(url)", url=server.url("/watch/channel:1"))
            await tab.run(MOVES)
            assert await tab.run(FIGURE, name="Player") == player


async def test_a_channel_whose_source_is_hls_is_passed_through(browser: Browser) -> None:
    async with Server({**SHORT, **demo()}) as provider, watching(browser, {}, "/livez") as (server, tab):
        content = f"#EXTM3U\n#EXTINF:-1,One\n{provider.url('/stream/demo/hls')}\n"
        assert (await server.post("/api/playlists", {"name": "x", "content": content})).status == 201
        (channel,) = (await server.get("/api/channels")).json()["channels"]
        await tab.run("await page.goto(url)", url=server.url(f"/watch/channel:{channel['id']}"))
        await tab.run(MOVES)
        assert await tab.run(FIGURE, name="Player") == "hls.js"
        # What is passed through is on the dashboard as well.
        await tab.run("await page.goto(url)", url=server.url("/"))
        await tab.run("await page.locator('.card h2', { hasText: 'One' }).waitFor()")


async def test_a_stream_token_in_the_page_s_address_is_carried_on(browser: Browser) -> None:
    config = {**demo(), "auth": {"stream_token": "seen-only-by-me"}}
    async with watching(browser, config, "/watch/demo", expected=("401 (Unauthorized)",)) as (server, tab):
        await tab.run(SAYS, text="needs a token")
        await tab.run("await page.getByRole('button', { name: 'MPEG-TS' }).click()")
        await tab.run("await page.getByText(/token=… behind its address.$/).waitFor()")
        await tab.run("await page.goto(url)", url=server.url("/watch/demo?token=seen-only-by-me"))
        await tab.run(MOVES)
        await tab.run("await page.getByRole('button', { name: 'Addresses' }).click()")
        shown = await tab.run("return await page.getByLabel('HLS', { exact: true }).inputValue()")
        assert shown == server.url("/stream/demo/hls?token=seen-only-by-me")


async def test_who_has_signed_in_may_watch(browser: Browser) -> None:
    config = {**demo(), "auth": {"stream_token": "seen-only-by-me", "admin_token": "for-the-operator"}}
    async with watching(browser, config, "/livez") as (server, tab):
        signed = "await page.evaluate(() => sessionStorage.setItem('fastrelay.admin_token', 'for-the-operator'))"
        await tab.run(signed)
        await tab.run("await page.goto(url)", url=server.url("/watch/demo"))
        await tab.run(MOVES)
        await tab.run("await page.getByRole('button', { name: 'MPEG-TS' }).click()")
        await server.wait_status("demo", lambda status: status["clients_ts"] == 1)
        await tab.run(MOVES)


async def test_the_embedded_view_plays_in_a_frame_and_the_page_does_not(browser: Browser) -> None:
    framing = """
    const body = '<iframe src="/watch/demo?embed" width="640"></iframe><iframe src="/watch/demo"></iframe>';
    await page.route('**/outer', (route) => route.fulfill({ contentType: 'text/html', body }));
    await page.goto(url);
    const frame = page.frames().find((each) => each.url().endsWith('?embed'));
    await frame.waitForFunction(() => document.querySelector('video')?.currentTime > 0.5, null, { timeout: 40000 });
    return [await frame.evaluate(() => getComputedStyle(document.querySelector('.top')).display), page.frames().length];
    """
    async with watching(browser, demo(), "/livez", expected=("frame-ancestors",)) as (server, tab):
        shown, frames = await tab.run(framing, url=server.url("/outer"))
        assert (shown, frames) == ("none", 3)
        blocked = "return page.frames().find((each) => each.url() && !/embed|outer/.test(each.url())).url()"
        assert "watch" not in await tab.run(blocked)
