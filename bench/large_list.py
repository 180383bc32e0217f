#!/usr/bin/env python3
"""A list of 400,000 channels comes in, again, changed, is searched, exported and deleted, while 100 viewers watch.

A process of its own asks the server all the time whether it lives: a late answer tells how long the loop was held.
The first row is the same without any list. Exit status 1 when a bound is missed.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import uvloop
from rich.console import Console

from bench.side.aside import NICENESS
from bench.side.audience import Audience
from bench.side.onlooker import HOLD_MAX, Onlooker, Row
from bench.side.pulse import Pulse
from tests.kit.server import Server
from tests.kit.viewer import fetch

BITRATE = 4_000_000
WITHIN = 600.0
"""Seconds in which an import must be done."""

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    given = _arguments()
    # These fork: before there is a loop or a thread.
    with (
        tempfile.TemporaryDirectory(prefix="fastrelay-bench-") as name,
        _files(Path(name)) as base,
        _source() as source,
    ):
        for number in (1, 2):
            _write_list(Path(name) / f"{number}.m3u", given.entries, given.megabytes * 1_000_000, number)
        rows = uvloop.run(_run(given, base, source))
    if given.json:
        given.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    missed = [row.name for row in rows if not row.good]
    console.print(f"missed: {', '.join(missed)}" if missed else "every bound is held")
    return 1 if missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=400_000, help="of the list (default 400000)")
    parser.add_argument("--megabytes", type=int, default=0, help="size of the list (default: as it comes, some 80)")
    parser.add_argument("--viewers", type=int, default=100, help="of a stream of 4 Mbit/s (default 100)")
    parser.add_argument("--seconds", type=float, default=10.0, help="watched without a list (default 10)")
    parser.add_argument("--json", type=Path, help="where the figures are written, too")
    return parser.parse_args()


async def _run(given: argparse.Namespace, base: str, source: str) -> list[Row]:
    async with Server({"relays": [{"name": "A", "output_path": "a", "source_urls": [source]}]}) as server:
        with Audience(server.url("/stream/a"), given.viewers) as audience, Pulse(server.port, server.pid) as pulse:
            audience.take()
            onlooker = Onlooker(server, audience, pulse)
            for name, work in _phases(server, base, given):
                _tell(await onlooker.during(name, work))
            return onlooker.rows


# --- what is done ----------------------------------------------------------------------------------------------------


def _phases(
    server: Server, base: str, given: argparse.Namespace
) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
    entries = given.entries
    yield "nothing", lambda: asyncio.sleep(given.seconds)
    yield "import", partial(_import, server, f"{base}/1.m3u", {"added": entries})
    yield "the same again", partial(_import, server, f"{base}/1.m3u", {"unchanged": entries})
    yield "search and paging", partial(_search, server, entries)
    yield "/playlist.m3u", partial(_export, server, entries)
    yield "another list of it", partial(_import, server, f"{base}/2.m3u", {"updated": entries})
    yield "delete", partial(_delete, server)


async def _import(server: Server, url: str, expected: dict[str, int]) -> None:
    """Also waits for what is swept up afterwards."""
    order = json.dumps({"name": "list", "url": url}).encode()
    headers = {"Content-Type": "application/json"}
    reply = await fetch(server.url("/api/playlists"), method="POST", body=order, headers=headers, within=WITHIN)
    assert reply.status in (200, 201), reply.body
    assert expected.items() <= reply.json().items(), reply.body[:1000]
    await _swept(server)


async def _search(server: Server, entries: int) -> None:
    """What the pages ask for, and what scripts do: pages one after the other, up to the last one."""
    for search in ("", "3999", "channel%201", "%C3%A9", "nothing%20of%20it"):
        for group in ("", "&group=Group%207"):
            await server.get(f"/api/channels?search={search}{group}")
    for offset in range(0, entries, max(500, entries // 20)):
        reply = await server.get(f"/api/channels?limit=500&offset={offset}")
        assert reply.json()["total"] == entries
    assert (await server.get("/api/channels/groups")).status == 200


async def _export(server: Server, entries: int) -> None:
    for kind in ("ts", "hls"):
        reply = await fetch(server.url(f"/playlist.m3u?type={kind}"), within=WITHIN)
        assert reply.body.count(b"#EXTINF") == entries + 1


async def _delete(server: Server) -> None:
    reply = await fetch(server.url("/api/playlists/1"), method="DELETE", within=WITHIN)
    assert reply.status == 204, reply.body
    await _swept(server)


async def _swept(server: Server) -> None:
    """Until the database holds nothing that is to be removed."""
    while await asyncio.to_thread(_left, server.data / "fastrelay.db"):  # noqa: ASYNC110  # it says nothing by itself
        await asyncio.sleep(0.5)


def _left(path: Path) -> bool:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        return bool(db.execute(_LEFT).fetchone()[0])


_LEFT = """
    SELECT EXISTS (SELECT 1 FROM imports WHERE id NOT IN (SELECT current FROM playlists))
        OR EXISTS (SELECT 1 FROM channels WHERE playlist NOT IN (SELECT id FROM playlists))
"""


# --- what it is done with --------------------------------------------------------------------------------------------


def _write_list(path: Path, entries: int, size: int, number: int) -> None:
    """A list of at least `size` bytes; another `number`, other URLs."""
    filling = "x" * max(0, size // entries - 190)
    with path.open("w") as file:
        file.write("#EXTM3U\n")
        file.writelines(
            f'#EXTINF:-1 tvg-id="ch{i}.xx" tvg-name="Channel {i}" tvg-logo="http://logos.example/{i}.png" '
            f'group-title="Group {i % 300}" about="{filling}",Channel {i} HD\n'
            f"http://p{number}.example/live/me/secret/{i}.ts\n"
            for i in range(entries)
        )


@contextmanager
def _source() -> Iterator[str]:
    """A live channel; its URL."""
    command = [sys.executable, str(Path(__file__).with_name("origin.py")), "--bitrate", str(BITRATE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as origin:
        try:
            assert origin.stdout is not None
            with suppress(PermissionError):
                os.setpriority(os.PRIO_PROCESS, origin.pid, NICENESS)
            yield origin.stdout.readline().strip()
        finally:
            origin.kill()


class _Quietly(SimpleHTTPRequestHandler):
    def log_message(self, *said: Any) -> None:
        """Nothing."""


@contextmanager
def _files(folder: Path) -> Iterator[str]:
    """The folder's files over HTTP, from a process of their own; the base of their URLs."""
    files = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quietly, directory=str(folder)))
    process = multiprocessing.Process(target=files.serve_forever, daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{files.server_port}"
    finally:
        process.terminate()
        process.join()
        files.server_close()


def _tell(row: Row) -> None:
    latest, memory = row.latest, f"{row.growth / 1e6:+.0f} MB, with processes {row.family / 1e6:+.0f} MB"
    console.print(
        f"{'PASS' if row.good else 'FAIL'} {row.name:20}{row.seconds:6.1f} s, held {_ms(latest.held)} at most"
        f" (ran {_ms(latest.ran)}; waited for a processor {_ms(latest.queued)}), {row.late} over {_ms(HOLD_MAX)};"
        f" longest gap {_ms(row.gap)}; memory {memory}; onlookers late by {_ms(row.overslept)}"
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
