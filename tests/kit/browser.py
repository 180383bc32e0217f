"""Chromium without a screen, where it is installed: what a browser makes of our pages and streams.

async with Browser() as browser, browser.tab() as tab:
    await tab.run("await page.goto(url)", url=server.url("/"))
    assert await tab.run("return await page.title()") == "fastrelay"

`run` takes the body of an async JavaScript function with playwright's `page` and `context` in scope
(tests/browser/driver.mjs). On leaving, a tab must have had nothing to complain about and asked one host only.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

ROOT = Path(__file__).parents[2]
DRIVER = ROOT / "tests/browser/driver.mjs"
MODULES = ROOT / "fastrelay/web/node_modules"

WITHIN = 60.0
"""Seconds that one `run` may take; playwright's own waits end after 30."""


class Browser:
    """One Chromium process, ended on leaving."""

    def __init__(self) -> None:
        self._ids = count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}

    async def __aenter__(self) -> Self:
        node, chromium = shutil.which("node"), shutil.which("chromium")
        if node is None or chromium is None:
            pytest.skip("node or Chromium is not installed: apt-get install nodejs chromium")
        if not (MODULES / "playwright-core").exists():
            pytest.skip(f"playwright-core is not installed: npm ci --prefix {MODULES.parent}")
        started = self._answers[0] = asyncio.get_running_loop().create_future()
        self._process = await asyncio.create_subprocess_exec(
            node, str(DRIVER), str(MODULES), chromium,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=64 << 20,
        )  # fmt: skip
        self._reader = asyncio.create_task(self._read())
        try:
            async with asyncio.timeout(WITHIN):
                await started
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    @asynccontextmanager
    async def tab(self, *, expected: tuple[str, ...] = (), **options: Any) -> AsyncIterator["Tab"]:
        """A tab in a profile of its own; `options` are playwright's for a context (viewport, colorScheme, …).

        Complaints with one of the `expected` texts in them are no failure.
        """
        tab = Tab(self, str(next(self._ids)))
        await self.ask("open", tab=tab.name, options=options)
        try:
            yield tab
        except BaseException as error:
            error.add_note(f"--- the browser's console ---\n{await self.ask('close', tab=tab.name)}")
            raise
        found = await self.ask("close", tab=tab.name)
        complaints = [each for each in found["complaints"] if not any(text in each for text in expected)]
        assert not complaints, complaints
        assert len(found["hosts"]) <= 1, found["hosts"]

    async def ask(self, what: str, **fields: Any) -> Any:
        """One command to the driver, and its answer."""
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"id": number, "do": what, **fields}).encode() + b"\n")
        async with asyncio.timeout(WITHIN):
            return await answer

    async def _read(self) -> None:
        assert self._process.stdout
        async for line in self._process.stdout:
            answer = json.loads(line)
            waiting = self._answers.pop(answer["id"])
            if waiting.done():
                continue
            if "error" in answer:
                waiting.set_exception(AssertionError(answer["error"]))
            else:
                waiting.set_result(answer["result"])
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(AssertionError("the browser's driver has ended"))

    async def _end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reader


class Tab:
    """A page; see Browser.tab."""

    def __init__(self, browser: Browser, name: str) -> None:
        self.name = name
        self._browser = browser

    async def run(self, code: str, **values: Any) -> Any:
        """Run the body of an async function; what it returns. Raises AssertionError with the browser's own words."""
        return await self._browser.ask("run", tab=self.name, code=code, values=values)
