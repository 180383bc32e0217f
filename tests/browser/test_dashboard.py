"""The dashboard in Chromium, in front of a running server. Every tab fails its test when it complains or asks another
host (see tests/kit/browser.py)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fastrelay.demo import clip_path
from tests.kit.behaviours import LoopedFile, live
from tests.kit.browser import MODULES, Browser, Tab
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.server import Server
from tests.kit.viewer import connect

CLIP = LoopedFile(clip_path(), 8)
QUICK = {"streams": {"idle_timeout": "1s"}, "hls": {"segment_duration": "1s", "session_timeout": "2s"}}
JSQR = MODULES / "jsqr/dist/jsQR.js"
HOSTILE = "<img src=x onerror=alert(1)>"

OPEN = "await page.goto(url); await page.waitForFunction(() => connection.dataset.state === 'live')"
ADD = """
await page.getByRole('link', { name: 'Relays' }).click();
await page.getByRole('button', { name: 'Add relay' }).click();
await page.getByRole('textbox', { name: 'Name' }).fill(name);
await page.getByRole('textbox', { name: 'Sources' }).fill(sources);
await page.getByRole('button', { name: 'Add', exact: true }).click();
await page.getByRole('listitem').filter({ hasText: name }).waitFor();
"""
PLAY = "await page.locator('section:visible').getByRole('button', { name: 'Play' }).first().click()"
MOVES = """
await page.waitForFunction(() => document.querySelector('video').currentTime > 1, null, { timeout: 40000 });
const grab = () => page.evaluate(() => {
  const video = document.querySelector('video');
  const canvas = Object.assign(document.createElement('canvas'), { width: 160, height: 90 });
  canvas.getContext('2d').drawImage(video, 0, 0, 160, 90);
  return [canvas.toDataURL(), video.currentTime];
});
const first = await grab();
await page.waitForFunction((before) => document.querySelector('video').currentTime > before + 0.5, first[1]);
return [first, await grab()];
"""
VIEWERS = "await page.locator('[data-stream=moving] dd', { hasText: text }).first().waitFor()"
DROP = """
const data = await page.evaluateHandle(([name, text]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([text], name));
  return transfer;
}, [name, text]);
await page.dispatchEvent('.drop', 'dragover', { dataTransfer: data });
await page.dispatchEvent('.drop', 'drop', { dataTransfer: data });
"""
TEXT = "return await page.locator(selector).first().innerText()"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def dashboard(
    browser: Browser, config: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[tuple[Server, Tab]]:
    """A server, and the dashboard of it in a tab."""
    async with Server(config) as server, browser.tab(**options) as tab:
        await tab.run(OPEN, url=server.url("/"))
        yield server, tab


async def test_a_relay_is_added_and_watched_in_two_tabs_over_one_upstream(browser: Browser) -> None:
    async with Origin() as origin, Server(QUICK) as server, browser.tab() as watcher:
        url = origin.route("/live", live(CLIP, burst=4))
        await watcher.run(OPEN, url=server.url("/"))
        assert "Nothing runs" in await watcher.run(TEXT, selector="#streams-empty")
        async with browser.tab() as tab:
            await tab.run(OPEN, url=server.url("/"))
            await tab.run(ADD, name="Moving", sources=url)
            await tab.run(PLAY)
            (before, at), (after, later) = await tab.run(MOVES)
            assert later > at
            assert before != after
            await watcher.run(VIEWERS, text="0 TS · 1 HLS")
            async with browser.tab() as second:
                await second.run(OPEN, url=server.url("/#relays"))
                await second.run(PLAY)
                await second.run(MOVES)
                await watcher.run(VIEWERS, text="0 TS · 2 HLS")
                assert origin.requests("/live") == 1
        await watcher.run(VIEWERS, text="0 TS · 0 HLS")
        await watcher.run("await page.locator('[data-stream=moving] .badge', { hasText: 'idle' }).waitFor()")
        events = await watcher.run(TEXT, selector="[data-stream=moving] .events")
        assert "stopped" in events
        await origin.wait_for(lambda origin: origin.open_now() == 0)
        assert origin.requests("/live") == 1


async def test_a_list_is_imported_by_dropping_its_file_and_its_names_are_text(browser: Browser) -> None:
    entries = [(f"Channel {number}", f"Group {number % 3}") for number in range(120)]
    entries.insert(0, (HOSTILE, "<b>bold</b>"))
    text = "#EXTM3U\n" + "".join(
        f'#EXTINF:-1 group-title="{group}",{name}\nhttp://x.example/{at}.ts\n'
        for at, (name, group) in enumerate(entries)
    )
    async with dashboard(browser) as (_, tab):
        await tab.run("await page.goto(url + '#playlists')", url=(await tab.run("return page.url()")))
        await tab.run(DROP, name="mine.m3u", text=text)
        await tab.run("await page.getByText('mine: 121 added').waitFor()")
        await tab.run("await page.getByRole('link', { name: 'Channels' }).click()")
        await tab.run("await page.getByText('121 channels', { exact: true }).waitFor()")
        first = "#channels-list li"
        assert await tab.run(TEXT, selector=f"{first} b") == HOSTILE
        assert await tab.run("return await page.locator('#channels-list img, #channels-list .about b').count()") == 0
        await tab.run("await page.getByRole('button', { name: 'Next' }).click()")
        await tab.run("await page.getByText(/^51.100 of 121$/).waitFor()")
        assert await tab.run(TEXT, selector=f"{first} b") == "Channel 49"
        await tab.run("await page.getByLabel('Group').selectOption('Group 1')")
        await tab.run("await page.getByText('40 channels').waitFor()")
        await tab.run("await page.getByLabel('Search channels').fill('nel 11')")
        await tab.run("await page.getByText('3 channels').waitFor()")
        await tab.run("await page.getByRole('button', { name: 'Make relay' }).first().click()")
        await tab.run("await page.getByText('is at /stream/channel-').waitFor()")
        await tab.run("await page.getByLabel('Group').selectOption({ index: 1 })")
        await tab.run("await page.getByLabel('Search channels').fill('ONERROR')")
        await tab.run("await page.getByText('1 channel', { exact: true }).waitFor()")
        await tab.run("await page.getByRole('button', { name: 'Make relay' }).first().click()")
        await tab.run("await page.getByRole('link', { name: 'Relays' }).click()")
        await tab.run("await page.locator('#relays-list b', { hasText: name }).waitFor()", name=HOSTILE)
        assert await tab.run("return await page.locator('#relays-list img').count()") == 0


async def test_the_token_is_asked_for_when_needed_and_stays_in_the_tab(browser: Browser) -> None:
    config = {"auth": {"admin_token": "right"}}
    # A refusal is no fault of the page, but the browser's console shows it.
    async with dashboard(browser, config, expected=("401 (Unauthorized)",)) as (_, tab):
        assert await tab.run("return await page.locator('dialog').count()") == 0
        await tab.run("await page.getByRole('link', { name: 'Playlists' }).click()")
        use = "await page.getByLabel('auth.admin_token').fill(token); await page.keyboard.press('Enter')"
        await tab.run(use, token="wrong")
        await tab.run("await page.getByText('not the right token').waitFor()")
        await tab.run(use, token="right")
        await tab.run("await page.getByText('No lists yet').waitFor()")
        kept = "return await page.evaluate(() => [Object.values(sessionStorage), localStorage.length, document.cookie])"
        assert await tab.run(kept) == [["right"], 0, ""]
        await tab.run("await page.getByRole('link', { name: 'Relays' }).click()")
        await tab.run("await page.getByText('No relays yet').waitFor()")
        assert await tab.run("return await page.locator('dialog').count()") == 0


async def test_who_has_no_token_is_told_what_it_takes_and_asks_for_nothing_in_vain(browser: Browser) -> None:
    async with dashboard(browser, {"auth": {"admin_token": "right"}}) as (server, tab):
        # Nothing that was refused: that would be an error in the console, and this tab expects none.
        await tab.run("await page.getByText('Nothing runs').waitFor()")
    async with dashboard(browser, {"auth": {"admin_token": "right"}}, expected=("401 (Unauthorized)",)) as (
        server,
        tab,
    ):
        await tab.run("await page.getByRole('link', { name: 'Relays' }).click()")
        await tab.run("await page.getByLabel('auth.admin_token').waitFor(); await page.keyboard.press('Escape')")
        await tab.run("await page.getByText('with its admin token only').waitFor()")
        assert not await tab.run("return await page.getByRole('button', { name: 'Add relay' }).isVisible()")
        await tab.run("await page.getByRole('button', { name: 'Give the token' }).click()")
        await tab.run("await page.getByLabel('auth.admin_token').fill('right'); await page.keyboard.press('Enter')")
        await tab.run("await page.getByText('No relays yet').waitFor()")
        await tab.run("await page.goto(url)", url=server.url("/#live"))
        await tab.run("await page.getByRole('button', { name: 'Signed in' }).click()")
        await tab.run("await page.getByRole('button', { name: 'Forget it' }).click()")
        await tab.run("await page.getByRole('button', { name: 'Token' }).waitFor()")
        assert await tab.run("return await page.evaluate(() => sessionStorage.length)") == 0


async def test_what_cannot_be_shown_is_said_in_its_place_and_comes_by_itself(browser: Browser) -> None:
    async with dashboard(browser, expected=("net::ERR_FAILED",)) as (_, tab):
        await tab.run("await page.route('**/api/relays', (route) => route.abort())")
        await tab.run("await page.getByRole('link', { name: 'Relays' }).click()")
        await tab.run("await page.getByText('The server cannot be reached.').waitFor()")
        await tab.run("await page.unroute('**/api/relays'); await page.getByText('No relays yet').waitFor()")
        assert not await tab.run("return await page.getByText('cannot be reached').isVisible()")


async def test_why_an_import_failed_stays_to_be_read(browser: Browser) -> None:
    async with dashboard(browser, expected=("422 (Unprocessable",)) as (_, tab):
        await tab.run("await page.getByRole('link', { name: 'Playlists' }).click()")
        await tab.run("await page.getByLabel('Name').fill('mine')")
        await tab.run("await page.getByLabel('Address').fill('file:///etc/passwd'); await page.keyboard.press('Enter')")
        await tab.run("await page.locator('.told.error', { hasText: /^mine: url: / }).waitFor()")
        await tab.run(DROP, name="good.m3u", text="#EXTM3U\n#EXTINF:-1,One\nhttp://x.example/1.ts\n")
        await tab.run("await page.locator('.told:not(.error)', { hasText: 'good: 1 added' }).waitFor()")


async def test_the_keyboard_skips_to_the_content_of_the_view_that_is_shown(browser: Browser) -> None:
    async with dashboard(browser) as (_, tab):
        await tab.run("await page.getByRole('link', { name: 'Relays' }).click()")
        await tab.run("await page.getByText('No relays yet').waitFor()")
        await tab.run("await page.locator('.skip').focus(); await page.keyboard.press('Enter')")
        shown = "return await page.evaluate(() => [document.activeElement.id, location.hash, document.title])"
        assert await tab.run(shown) == ["view", "#relays", "relays · fastrelay"]
        assert await tab.run("return await page.locator('#relays').isVisible()")


async def test_a_wrong_field_is_named_where_it_is(browser: Browser) -> None:
    async with dashboard(browser, expected=("422 (Unprocessable", "409 (Conflict")) as (server, tab):
        await tab.run(ADD, name="One", sources="http://x.example/1.ts")
        await tab.run("await page.getByRole('button', { name: 'Add relay' }).click()")
        await tab.run("await page.getByRole('textbox', { name: 'Name' }).fill('One')")
        await tab.run("await page.getByRole('textbox', { name: 'Sources' }).fill('file:///etc/passwd')")
        await tab.run("await page.keyboard.press('Tab'); await page.keyboard.press('Enter')")
        await tab.run("await page.locator('#relay-sources-error', { hasText: 'source_urls[0]' }).waitFor()")
        await tab.run("await page.getByRole('textbox', { name: 'Sources' }).fill('http://x.example/2.ts')")
        await tab.run("await page.keyboard.press('Tab'); await page.keyboard.press('Enter')")
        await tab.run("await page.locator('#relay-path-error', { hasText: 'one' }).waitFor()")
        await tab.run("await page.keyboard.press('Escape')")
        await tab.run("await page.locator('dialog').waitFor({ state: 'detached' })")
        assert (await server.get("/api/relays")).json()["total"] == 1
        await tab.run("await page.getByRole('button', { name: 'Delete' }).click()")
        await tab.run("await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()")
        await tab.run("await page.getByText('No relays yet').waitFor()")


MANY = 12
ASKED = "return await page.evaluate(() => performance.getEntriesByType('resource').map((each) => each.name))"


async def test_many_streams_of_a_long_list_cost_few_requests_and_few_rows(browser: Browser) -> None:
    async with Origin() as origin, Server(QUICK) as server, browser.tab() as tab:
        feed = live(PositionCoded(byte_rate=40_000), burst=2)
        urls = [origin.route(f"/{number}", feed) for number in range(MANY)]
        urls += [f"http://127.0.0.1:9/{number}.ts" for number in range(MANY, 10_000)]
        text = "#EXTM3U\n" + "".join(f"#EXTINF:-1,Channel {at}\n{url}\n" for at, url in enumerate(urls))
        assert (await server.post("/api/playlists", {"name": "long", "content": text})).status == 201
        viewers = [await connect(server.url(f"/api/proxy/channel/{at + 1}")) for at in range(MANY)]
        for viewer in viewers:
            await viewer.received(1000)
        await tab.run("await page.goto(url)", url=server.url("/"))
        await tab.run("await page.waitForFunction((count) => count === [...document.querySelectorAll('.card h2')]"
                      ".filter((title) => /^Channel /.test(title.textContent)).length, count)", count=MANY)  # fmt: skip
        asked = [url.removeprefix(server.url("")) for url in await tab.run(ASKED)]
        assert sum(url.startswith("/api/channels") for url in asked) == 1, asked
        assert not [url for url in asked if "hls" in url or "mpegts" in url], "players come when something is played"
        await tab.run("await page.getByRole('link', { name: 'Channels' }).click()")
        await tab.run("await page.getByText('10,000 channels', { exact: true }).waitFor()")
        assert await tab.run("return await page.locator('#channels-list li').count()") == 50
        for viewer in viewers:
            viewer.close()


# Tiles that are wider than their place, or their text than they are.
CRAMPED = """() => {
  const { right } = document.getElementById('totals').getBoundingClientRect();
  return [...document.querySelectorAll('#totals > div')].filter((tile) => {
    tile.querySelector('dd').textContent = '888.8 Mbit/s';
    return tile.scrollWidth > tile.clientWidth || tile.getBoundingClientRect().right > right + 1;
  }).length;
}"""
PHONE = {"viewport": {"width": 360, "height": 700}, "isMobile": True, "hasTouch": True}


@pytest.mark.parametrize(
    "options", [PHONE, {**PHONE, "colorScheme": "dark", "reducedMotion": "reduce"}], ids=["light", "dark"]
)
async def test_it_fits_a_phone_in_light_and_in_dark(browser: Browser, options: dict[str, Any]) -> None:
    relays = [{"name": "A name of some length " * 4, "output_path": "a" * 60, "source_urls": [f"file://{clip_path()}"]}]
    async with dashboard(browser, {**QUICK, "relays": relays}, **options) as (server, tab):
        await tab.run("await page.goto(url)", url=server.url("/#relays"))
        await tab.run(PLAY)
        await tab.run(MOVES)
        await tab.run("await page.getByRole('button', { name: 'Close' }).click()")
        wide = "return await page.evaluate(() => document.documentElement.scrollWidth - screen.width)"
        for view in ("live", "relays", "channels", "playlists"):
            show = "await page.goto(url); await page.locator('#' + view).waitFor()"
            await tab.run(show, url=server.url(f"/#{view}"), view=view)
            assert await tab.run(wide) <= 0, view
        await tab.run("await page.goto(url)", url=server.url("/docs"))
        await tab.run(
            "await page.evaluate(() => document.querySelectorAll('details').forEach((each) => (each.open = true)))"
        )
        assert await tab.run(wide) <= 0
        await tab.run("await page.goto(url)", url=server.url("/#live"))
        assert await tab.run(f"return await page.evaluate({CRAMPED})") == 0
        back = await tab.run("return await page.evaluate(() => getComputedStyle(document.body).backgroundColor)")
        shade = sum(int(part) for part in back.removeprefix("rgb(").removesuffix(")").split(","))
        assert (shade < 3 * 60) == (options.get("colorScheme") == "dark")


SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const { hadRecentInput, value } of list.getEntries()) window.shifted += hadRecentInput ? 0 : value;
}).observe({ type: 'layout-shift', buffered: true });
"""


@pytest.mark.parametrize("options", [{}, PHONE], ids=["desktop", "phone"])
async def test_nothing_jumps_while_it_loads_and_nothing_hides_behind_the_header(
    browser: Browser, options: dict[str, Any]
) -> None:
    relays = [{"name": f"Name {at}", "output_path": f"p{at}", "source_urls": [f"file://{clip_path()}"]} for at in "123"]
    async with Server({**QUICK, "relays": relays}) as server, browser.tab(**options) as tab:
        viewers = [await connect(server.url(f"/stream/p{at}")) for at in "123"]
        for viewer in viewers:
            await viewer.received(1000)
        await tab.run("await page.addInitScript(script)", script=SHIFTS)
        await tab.run(OPEN, url=server.url("/"))
        await tab.run("await page.locator('.card').nth(2).waitFor(); await page.locator('canvas').nth(1).waitFor()")
        assert await tab.run("return await page.evaluate(() => window.shifted)") < 0.02
        await tab.run("await page.getByRole('link', { name: 'Live' }).click()")
        await tab.run("await page.locator('#totals').waitFor()")
        place = "(selector) => document.querySelector(selector).getBoundingClientRect()"
        header, tiles = [
            await tab.run(f"return await page.evaluate({place}, selector)", selector=selector)
            for selector in (".top", "#totals")
        ]
        assert tiles["top"] >= header["bottom"]
        for viewer in viewers:
            viewer.close()


async def test_the_qr_code_is_the_address_of_the_list(browser: Browser) -> None:
    async with dashboard(browser) as (server, tab):
        await tab.run("await page.getByRole('button', { name: 'M3U' }).click()")
        await tab.run("await page.getByRole('img', { name: 'QR code' }).waitFor()")
        read = """
        await page.addScriptTag({ url: '/web/jsqr.js' });
        return await page.evaluate(() => {
          const { width, height } = document.querySelector('.qr canvas');
          const image = document.querySelector('.qr canvas').getContext('2d').getImageData(0, 0, width, height);
          return jsQR(image.data, width, height).data;
        });
        """
        # The page's policy allows no scripts but the server's, so the reader of codes comes as one of them.
        await tab.run("await page.route('**/web/jsqr.js', (route) => route.fulfill({ path }))", path=str(JSQR))
        assert await tab.run(read) == server.url("/playlist.m3u?type=ts")
        await tab.run("await context.grantPermissions(['clipboard-read', 'clipboard-write'])")
        await tab.run("await page.getByRole('button', { name: 'Copy HLS' }).click()")
        copied = await tab.run("return await page.evaluate(() => navigator.clipboard.readText())")
        assert copied == server.url("/playlist.m3u?type=hls")


async def test_plots_have_the_last_minutes_at_once(browser: Browser) -> None:
    async with Origin() as origin:
        url = origin.route("/live", live(CLIP))
        relays = [{"name": "Moving", "output_path": "moving", "source_urls": [url]}]
        async with dashboard(browser, {**QUICK, "relays": relays}) as (server, tab):
            await tab.run("await page.locator('#plot-viewers canvas').waitFor()")
            await tab.run("await page.goto(url)", url=server.url("/#relays"))
            await tab.run(PLAY)
            await tab.run(MOVES)
            await tab.run("await page.goto(url); await page.reload()", url=server.url("/"))
            label = "document.getElementById('plot-bitrate').ariaLabel"
            await tab.run(f"await page.waitForFunction(() => /in: [1-9].*bit/.test({label}))")
