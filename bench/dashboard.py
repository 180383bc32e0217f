#!/usr/bin/env python3
"""What an operator waits for while 50 streams run: the dashboard in a fresh Chromium, and a scrape of /metrics.

The streams are channels of a list of 2,000, on light sources, so that neither they nor their viewers are what is
measured. Times are the browser's own, from the start of the navigation. Wants a quiet machine.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import uvloop
from rich.console import Console
from rich.table import Table

from tests.kit.behaviours import live
from tests.kit.browser import Browser
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.server import Server
from tests.kit.viewer import connect

CHANNELS, RUNNING = 2000, 50
BYTE_RATE = 40_000
SETTLE = 8.0
"""Seconds until the bursts of the beginning are over."""

# Watches the page from its first line on: when all streams have their figures, when a click on "Channels" is answered.
WATCH = """
await page.addInitScript((running) => {
  const marks = (window.marks = { long: [] });
  new PerformanceObserver((list) => marks.long.push(...list.getEntries().map((task) => Math.round(task.duration))))
    .observe({ type: 'longtask', buffered: true });
  const filled = () => [...document.querySelectorAll('.card')].filter((card) => /\\d TS/.test(card.textContent));
  const named = (cards) => cards.filter((card) => card.querySelector('h2').textContent.startsWith('Channel '));
  const look = () => {
    const now = performance.now();
    const cards = filled();
    if (!marks.first && cards.length) marks.first = now;
    if (!marks.streams && cards.length >= running) {
      marks.streams = now;
      document.querySelector('#nav a[href="#channels"]').click();
    }
    if (!marks.names && named(cards).length >= running) marks.names = now;
    if (!marks.answered && document.querySelectorAll('#channels-list li').length >= 50) marks.answered = now;
    if (!marks.answered || !marks.names) requestAnimationFrame(look);
  };
  document.addEventListener('DOMContentLoaded', () => { marks.parsed = performance.now(); look(); });
}, running);
if (warm) {
  await page.goto(url + 'livez');
  await page.waitForTimeout(1000); // for what Chromium has to do with a new process
}
await page.goto(url);
await page.waitForFunction(() => marks.answered && marks.names, null, { timeout: 30000 });
return await page.evaluate(() => ({
  ...marks,
  painted: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0,
  requests: performance.getEntriesByType('resource').map((one) =>
    [one.name.replace(location.origin, ''), one.startTime, one.responseEnd, one.transferSize]),
}));
"""
SCRAPE = """
import http.client, sys, time
for _ in range(int(sys.argv[2])):
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
    before = time.perf_counter()
    connection.request("GET", "/metrics")
    connection.getresponse().read()
    print(time.perf_counter() - before)
    connection.close()
    time.sleep(0.1)
"""
MARKS = {
    "painted": "first paint",
    "parsed": "modules loaded",
    "first": "first stream shown",
    "streams": "all streams shown",
    "names": "… by their names",
    "answered": "a click answered",
}


Opened = dict[str, Any]


async def main(given: argparse.Namespace) -> None:
    async with _running(given.viewers) as server:
        opened: dict[str, list[Opened]] = {"a new tab": [], "an open tab": []}
        async with Browser() as browser:
            for _ in range(given.rounds):
                for kind, rounds in opened.items():
                    async with browser.tab() as tab:
                        warm = kind == "an open tab"
                        rounds.append(await tab.run(WATCH, url=server.url("/"), running=RUNNING, warm=warm))
        _tell_opened(opened, given.requests)
        _tell_scrapes(await _scrapes(server, given.scrapes))


@asynccontextmanager
async def _running(viewers: int) -> AsyncIterator[Server]:
    """A server that relays the first channels of its list to so many viewers in all."""
    async with Origin() as origin, Server() as server:
        feed = live(PositionCoded(byte_rate=BYTE_RATE), burst=4)
        urls = [origin.route(f"/live/{number}.ts", feed) for number in range(RUNNING)]
        urls += [f"http://127.0.0.1:9/{number}.ts" for number in range(RUNNING, CHANNELS)]
        entries = (
            f'#EXTINF:-1 group-title="Group {number % 20}",Channel {number}\n{url}\n' for number, url in enumerate(urls)
        )
        text = "#EXTM3U\n" + "".join(entries)
        assert (await server.post("/api/playlists", {"name": "all", "content": text})).status == 201
        reply = await server.get(f"/api/channels?limit={RUNNING}")
        ids = [channel["id"] for channel in reply.json()["channels"]]
        paths = [f"/api/proxy/channel/{ids[number % RUNNING]}" for number in range(viewers)]
        watching = [await connect(server.url(path)) for path in paths]
        try:
            for viewer in watching:
                await viewer.head()
            await asyncio.sleep(SETTLE)
            yield server
        finally:
            for viewer in watching:
                viewer.close()


async def _scrapes(server: Server, count: int) -> list[float]:
    """Milliseconds of each, as seen by a process of its own: this one has 500 viewers to serve."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SCRAPE, str(server.port), str(count), stdout=asyncio.subprocess.PIPE
    )
    text, _ = await process.communicate()
    return [1000 * float(each) for each in text.split()]


def _tell_opened(opened: dict[str, list[Opened]], requests: bool) -> None:
    table = Table("ms from navigation, median (worst) in", *opened)
    for mark, called in MARKS.items():
        values = [[each[mark] for each in rounds] for rounds in opened.values()]
        table.add_row(called, *(f"{median(those):.0f} ({max(those):.0f})" for those in values))
    longest = [max((task for each in rounds for task in each["long"]), default=0) for rounds in opened.values()]
    table.add_row("longest task", *map(str, longest))
    console = Console()
    console.print(table)
    last = opened["a new tab"][-1]["requests"]
    console.print(f"{len(last)} requests")
    if requests:
        for name, start, end, size in last:
            console.print(f"{start:7.0f} {end:7.0f} {size:8.0f}  {name}")


def _tell_scrapes(took: list[float]) -> None:
    Console().print(f"scrape: median {median(took):.1f} ms, worst {max(took):.1f} ms of {len(took)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often the dashboard is opened")
    parser.add_argument("--scrapes", type=int, default=50, help="how often /metrics is asked for")
    parser.add_argument("--viewers", type=int, default=500, help="of all streams together")
    parser.add_argument("--requests", action="store_true", help="list the requests of the last round")
    uvloop.run(main(parser.parse_args()))
