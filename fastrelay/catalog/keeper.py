"""Lists are imported again whenever their time has come; those of the configuration also at the start."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from fastrelay.catalog.playlists import Playlist, Playlists
from fastrelay.config import PlaylistEntry
from fastrelay.errors import FastrelayError
from fastrelay.wire.redact import redact

log = logging.getLogger(__name__)

Which = TypeVar("Which")

RETRY, RETRY_MAX = 60.0, 3600.0
"""Seconds until a list that failed is tried again: the first time, and at most."""


class Keeper:
    """Keeps them up to date in the background; a list that cannot be had stays as it was, and the log says why."""

    def __init__(
        self,
        playlists: Playlists,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._playlists = playlists
        self._sleep = sleep
        self._now = now
        self._tasks: dict[PlaylistEntry | None, asyncio.Task[None]] = {}
        """What keeps each list of the configuration; None: the sweep at the start."""
        self._made: dict[tuple[int, PlaylistEntry], asyncio.Task[None]] = {}
        """The same for the lists of the API that have a refresh interval."""
        self._imported: dict[str, float | None] = {}
        """By name, when it last succeeded, whoever asked for it."""

    async def start(self, declared: Iterable[PlaylistEntry]) -> None:
        """Begin, and sweep up what a crash has left. Raises StorageError."""
        await self._playlists.empty_folder()
        await self.declare(declared)
        self._tasks[None] = asyncio.create_task(self._sweep())

    async def declare(self, declared: Iterable[PlaylistEntry]) -> None:
        """Take over a newly read configuration; lists that stay as they were are not fetched. Raises StorageError."""
        declared = tuple(declared)
        await self._playlists.declare(declared)
        for entry, task in tuple(self._tasks.items()):
            if entry is not None and entry not in declared:
                del self._tasks[entry]
                task.cancel()
        await self.look_after()
        for entry in declared:
            if entry not in self._tasks:
                self._tasks[entry] = asyncio.create_task(self._keep(entry, 0.0, self._playlists.import_entry, entry))

    async def look_after(self) -> None:
        """Lists have changed or were imported: keep what is there now. Raises StorageError."""
        playlists = await self._playlists.all()
        self._imported = {each.name: each.imported for each in playlists}
        kept = {
            (each.id, each.entry): self._left(each.entry.refresh, each.imported)
            for each in playlists
            if each.origin == "api" and each.url is not None and each.entry.refresh is not None
        }
        for key in self._made.keys() - kept.keys():
            self._made.pop(key).cancel()
        for playlist_id, entry in kept.keys() - self._made.keys():
            keeping = self._keep(entry, kept[playlist_id, entry], self._playlists.refresh, playlist_id)
            self._made[playlist_id, entry] = asyncio.create_task(keeping)

    async def stop(self) -> None:
        """Give up what is under way."""
        tasks = (*self._tasks.values(), *self._made.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._playlists.stop()

    async def _sweep(self) -> None:
        try:
            await self._playlists.sweep()
        except FastrelayError as error:
            log.error("the database could not be swept: %s", error)

    async def _keep(
        self, entry: PlaylistEntry, pause: float, again: Callable[[Which], Awaitable[Playlist]], which: Which
    ) -> None:
        """Import the list in `pause` seconds, and then again and again; an import by hand lets a pause start anew."""
        retry = RETRY
        while True:
            before = self._imported.get(entry.name)
            await self._sleep(pause)
            last = self._imported.get(entry.name)
            if last != before:
                if entry.refresh is None:
                    return
                # Bounded, because the clock that wrote down the last time may have been set since.
                pause, retry = min(entry.refresh, self._left(entry.refresh, last)), RETRY
                continue
            try:
                playlist = await again(which)
            except FastrelayError as error:
                log.warning("the playlist '%s' stays as it is: %s", entry.name, redact(str(error)))
                pause = min(retry, entry.refresh or retry)
                retry = min(2 * retry, RETRY_MAX)
            else:
                log.info("the playlist '%s' is imported: %s", entry.name, _summary(playlist.result))
                if entry.refresh is None:
                    return
                pause, retry = entry.refresh, RETRY

    def _left(self, refresh: float, last: float | None) -> float:
        """Seconds until a list is due that was imported at that time."""
        now = self._now()
        return (last or now) + refresh - now


def _summary(result: dict[str, int]) -> str:
    return ", ".join(f"{result[key]} {key}" for key in ("added", "updated", "unchanged", "removed", "rejected"))
