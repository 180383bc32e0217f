"""hls.js in Chromium plays `/stream/{path}/hls`, also across a switch to a source of another kind, and what is passed
through at `/api/proxy/channel/{id}/hls`."""

from pathlib import Path

import pytest

from fastrelay.demo import clip_path
from tests.kit.browser import MODULES, Browser, Tab
from tests.kit.clips import clip
from tests.kit.ladder import Ladder, ladder_files
from tests.kit.origin import Origin
from tests.kit.server import Server
from tests.whole.channel import PATH, channels

HLS_JS = MODULES / "hls.js/dist/hls.min.js"
STARVED_MAX = 1.0
"""Seconds for which the player may at most have nothing to play."""

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLAYER = """
// A page of the server's own origin that the server does not have.
const body = '<video muted></video>';
await page.route(base + '/player', (route) => route.fulfill({ contentType: 'text/html', body }));
await page.goto(base + '/player');
await page.addScriptTag({ path: script });
await page.evaluate((path) => {
  const video = document.querySelector('video');
  const seen = (window.seen = { video, fatal: [], sizes: [], starved: 0 });
  let fed = null;
  const buffered = () => [...Array(video.buffered.length).keys()].some(
    (at) => video.buffered.start(at) <= video.currentTime && video.buffered.end(at) > video.currentTime + 0.05);
  setInterval(() => {
    const now = performance.now() / 1000;
    if (fed === null ? !video.currentTime : !buffered()) seen.starved = Math.max(seen.starved, now - (fed ?? now));
    else fed = now;
  }, 50);
  video.onresize = () => seen.sizes.push(`${video.videoWidth}x${video.videoHeight}`);
  const hls = new Hls();
  hls.on(Hls.Events.ERROR, (name, data) => data.fatal && seen.fatal.push(data.details));
  hls.loadSource(path);
  hls.attachMedia(video);
  video.play();
}, path);
"""
PLAYS = "await page.waitForFunction((to) => seen.fatal.length || seen.video.currentTime > to, to, {timeout: 40000})"
SHOWS = "await page.waitForFunction((size) => seen.fatal.length || seen.sizes.includes(size), size, {timeout: 40000})"
SEEN = "return await page.evaluate(() => ({...seen, video: undefined, at: seen.video.currentTime}))"


async def _play(tab: Tab, server: Server, path: str = "/stream/a/hls") -> None:
    await tab.run(PLAYER, base=server.url(""), script=str(HLS_JS), path=path)


def _relay(*files: Path) -> Server:
    urls = [f"file://{file}" for file in files]
    return Server(
        {"relays": [{"name": "A", "output_path": "a", "source_urls": urls}], "hls": {"segment_duration": "1s"}}
    )


async def test_it_plays_the_demo_and_a_switch_to_another_size(browser: Browser) -> None:
    async with _relay(clip_path(), clip("h264_other")) as server, browser.tab() as tab:
        await _play(tab, server)
        await tab.run(PLAYS, to=3)
        assert (await tab.run(SEEN))["sizes"] == ["640x360"]
        assert (await server.status("a"))["clients_hls"] == 1

        assert (await server.post("/api/streams/a/switch")).status == 200
        await tab.run(SHOWS, size="480x270")
        switched_at = (await tab.run(SEEN))["at"]
        await tab.run(PLAYS, to=switched_at + 3)
        seen = await tab.run(SEEN)
        assert seen["fatal"] == []
        assert seen["sizes"] == ["640x360", "480x270"]
        assert seen["starved"] < STARVED_MAX


@pytest.mark.parametrize("kind", ["aes", "fmp4"])
async def test_it_plays_a_ladder_that_is_passed_through(browser: Browser, kind: str) -> None:
    ladder = Ladder(ladder_files(kind, 24))
    async with (
        Origin() as origin,
        channels((ladder.mount(origin, "/l"),), hls={"session_timeout": "30s"}) as server,
        browser.tab() as tab,
    ):
        await _play(tab, server, PATH)
        await tab.run(PLAYS, to=1)
        await tab.run(PLAYS, to=(await tab.run(SEEN))["at"] + 5)
        seen = await tab.run(SEEN)
        assert seen["fatal"] == []
        assert set(seen["sizes"]) == {"320x180"}
        assert seen["starved"] < STARVED_MAX
        assert (await server.status("channel:1/hls"))["clients_hls"] == 1
        assert origin.requests("/l/list_3.m3u8") >= 2, "the audio's playlist"
        assert ladder.polled_in_time()
