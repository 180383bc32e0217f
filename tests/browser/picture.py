"""The picture of the dashboard for the README; see scripts/make-dashboard-picture."""

import asyncio
import sys
from pathlib import Path

import uvloop

from fastrelay.demo import clip_path
from tests.kit.behaviours import LoopedFile, live
from tests.kit.browser import Browser
from tests.kit.origin import Origin
from tests.kit.server import Server
from tests.kit.viewer import connect

NAMES = {"news": ("News 24", 14), "sport-tv": ("Sport TV", 41), "weather": ("Weather", 3)}
"""Relays by their paths: what they are called, and how many viewers come, one after the other."""
PAUSE = 1.5
"""Seconds between two viewers: the plots are to show something."""


async def main(file: Path) -> None:
    async with Origin() as origin:
        feed = live(LoopedFile(clip_path(), 8), burst=4)
        relays = []
        for path, (name, _) in NAMES.items():
            urls = [origin.route(f"/{host}/{path}.ts", feed) for host in ("provider", "other")]
            relays.append({"name": name, "output_path": path, "source_urls": urls})
        async with Server({"relays": relays}) as server, Browser() as browser:
            viewers = []
            for number in range(max(count for _, count in NAMES.values())):
                for path, (_, count) in NAMES.items():
                    if number < count:
                        viewers.append(await connect(server.url(f"/stream/{path}")))
                if number == 20:
                    await server.post("/api/streams/sport-tv/switch")
                await asyncio.sleep(PAUSE)
            size = {"width": 1180, "height": 900}
            async with browser.tab(viewport=size, colorScheme="light") as watching, browser.tab(viewport=size) as tab:
                await watching.run("await page.goto(url)", url=server.url("/watch/news"))
                await tab.run("await page.goto(url); await page.waitForSelector('.card')", url=server.url("/"))
                await tab.run("await page.waitForTimeout(6000); await page.screenshot({ path })", path=str(file))
            for viewer in viewers:
                viewer.close()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
