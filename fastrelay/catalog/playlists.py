"""The M3U lists whose channels this server has: made known, imported, refreshed, deleted.

Lists are fetched side by side, but imported one after the other. A list that cannot be fetched or read stays as it was.
"""

import asyncio
import json
import secrets
import shutil
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import unquote

import msgspec

from fastrelay.catalog.publish import publish, sweep
from fastrelay.catalog.stage import Order, Staged
from fastrelay.catalog.stage_aside import stage_aside
from fastrelay.catalog.store import Store, to_the_end
from fastrelay.config import PlaylistEntry
from fastrelay.errors import FastrelayError, StorageError
from fastrelay.wire.redact import redact

Result = TypeVar("Result")
Fetch = Callable[[str, Path], Awaitable[str]]
"""Fetches a URL into a file; returns the URL it came from in the end. Raises SourceError."""
Stage = Callable[[Order], Awaitable[Staged]]
Wishes = Mapping[str, Any]
"""What is said about a list beside name and URL: fields of PlaylistEntry. What is not said stays as it was."""

NO_WISHES: Wishes = {}
OPTIONS = ("refresh", "include", "exclude", "merge")

FETCHES = 4
"""Lists fetched at a time."""


class UnknownPlaylistError(FastrelayError):
    """There is no playlist with this id."""

    def __init__(self, playlist_id: int) -> None:
        super().__init__(f"there is no playlist {playlist_id}")


class ConfiguredPlaylistError(FastrelayError):
    """The playlist belongs to the configuration file."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the playlist '{name}' is declared in the configuration file: change it there")


class UploadedPlaylistError(FastrelayError):
    """The playlist has no URL that it could be fetched from again."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the playlist '{name}' was uploaded: upload it again under the same name")


@dataclass(frozen=True, slots=True)
class Playlist:
    """A list and how its last imports went. `url` is whole, None for one that was uploaded."""

    id: int
    origin: Literal["config", "api"]
    name: str
    url: str | None = field(repr=False)
    current: int | None
    imported: float | None
    """Unix time of the last import that succeeded."""
    result: dict[str, Any]
    """Its counts, in channels: added, updated, unchanged, removed; rejected lines with number and reason."""
    failure: str | None
    """Why the last one failed, if it did."""
    entry: PlaylistEntry = field(repr=False)
    """How it is imported: as the configuration says, or as was wished for over the API."""


class Playlists:
    """All lists there are. Every method raises StorageError.

    `folder` is for files in work; `imported` is called whenever channels may have changed.
    """

    def __init__(
        self,
        store: Store,
        folder: Path,
        fetch: Fetch,
        imported: Callable[[], Awaitable[None]],
        stage: Stage = stage_aside,
    ) -> None:
        self._store = store
        self._folder = folder
        self._fetch = fetch
        self._imported = imported
        self._stage = stage
        self._declared: dict[str, PlaylistEntry] = {}
        self._importing = asyncio.Lock()
        self._fetching = asyncio.Semaphore(FETCHES)
        self._running: set[asyncio.Task[Any]] = set()

    async def empty_folder(self) -> None:
        """Remove the files that a crash has left; call it before any import."""
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def sweep(self) -> None:
        """Remove what an import that was cut short, or a deletion, has left in the database."""
        await sweep(self._store)

    async def declare(self, declared: Iterable[PlaylistEntry]) -> None:
        """The lists of a newly read configuration. One that is gone keeps its channels' ids for its return."""
        entries = {entry.name: entry for entry in declared}
        await self._store.write(lambda db: _declare(db, entries.values()))
        self._declared = entries

    async def all(self) -> list[Playlist]:
        """In the order of their ids."""
        rows = await self._store.read(lambda db: db.execute(f"{_SELECT} ORDER BY id").fetchall())
        return [playlist for playlist in map(self._playlist, rows) if self._is_there(playlist)]

    async def get(self, playlist_id: int) -> Playlist:
        """Raises UnknownPlaylistError."""
        row = await self._store.read(lambda db: db.execute(f"{_SELECT} WHERE id = ?", (playlist_id,)).fetchone())
        playlist = None if row is None else self._playlist(row)
        if playlist is None or not self._is_there(playlist):
            raise UnknownPlaylistError(playlist_id)
        return playlist

    async def import_url(self, name: str, url: str, wishes: Wishes = NO_WISHES) -> Playlist:
        """Import the list at `url` under this name, new or in place of the one there.

        Raises ConfiguredPlaylistError, SourceError, StageError: then everything stays as it was.
        """
        return await self._to_the_end(self._fetch_and_import(await self._wished(name, url, wishes)))

    async def import_file(self, name: str, file: Path, wishes: Wishes = NO_WISHES) -> Playlist:
        """Import the list in `file`, which stays where it is. Raises ConfiguredPlaylistError, StageError."""
        return await self._to_the_end(self._import(await self._wished(name, "", wishes), file, None))

    async def import_entry(self, entry: PlaylistEntry) -> Playlist:
        """Import a list of the configuration. Raises SourceError, StageError."""
        return await self._fetch_and_import(entry)

    async def refresh(self, playlist_id: int) -> Playlist:
        """Fetch and import the list anew.

        Raises UnknownPlaylistError, UploadedPlaylistError, SourceError, StageError: then its channels stay.
        """
        playlist = await self.get(playlist_id)
        if playlist.url is None:
            raise UploadedPlaylistError(playlist.name)
        try:
            return await self._to_the_end(self._fetch_and_import(playlist.entry, playlist_id))
        except StorageError:
            # Was it deleted meanwhile, at whatever point? Then that is why.
            await self.get(playlist_id)
            raise

    async def delete(self, playlist_id: int) -> None:
        """Its channels are gone at once and for good. Raises UnknownPlaylistError, ConfiguredPlaylistError."""
        playlist = await self.get(playlist_id)
        self._check_free(playlist.name)
        await self._to_the_end(self._delete(playlist_id))

    async def stop(self) -> None:
        """Give up what is under way: the lists stay as they are. Who waits for it gets StorageError."""
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def new_file(self) -> Path:
        """The name of a file for a list that is on its way; whoever asks deletes it."""
        with self._disk_errors():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._folder / secrets.token_hex(8)

    @asynccontextmanager
    async def work_folder(self) -> AsyncIterator[Path]:
        """A new folder for files in work, removed in the end."""
        with self._disk_errors():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = Path(tempfile.mkdtemp(dir=self._folder))
            try:
                yield path
            finally:
                await to_the_end(asyncio.to_thread(shutil.rmtree, path, ignore_errors=True))

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """A full disk is no reason to give a list up for good."""
        try:
            yield
        except OSError as error:
            raise StorageError(f"the folder {self._folder} cannot be used: {error.strerror}") from error

    async def _to_the_end(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run to the end even when the caller is cancelled, as when its client hangs up; only `stop` ends it early."""
        task = self._begin(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise StorageError("the server stops") from None
            raise

    def _begin(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            # Where nobody waits any more: the playlist itself tells why it failed, and the next sweep goes on.
            task.exception()

    async def _delete(self, playlist_id: int) -> None:
        await self._store.write(lambda db: db.execute("DELETE FROM playlists WHERE id = ?", (playlist_id,)).close())
        await self._imported()
        self._begin(sweep(self._store))

    async def _fetch_and_import(self, entry: PlaylistEntry, known: int | None = None) -> Playlist:
        try:
            if entry.url.startswith("file:"):  # only the configuration may name one
                return await self._import(entry, Path(unquote(entry.url.removeprefix("file://"))), None)
            async with self.work_folder() as folder:
                async with self._fetching:
                    base = await self._fetch(entry.url, folder / "list")
                return await self._import(entry, folder / "list", base, known)
        except FastrelayError as error:
            failure = redact(str(error))
            await self._store.write(
                lambda db: db.execute("UPDATE playlists SET failure = ? WHERE name = ?", (failure, entry.name)).close()
            )
            raise

    async def _import(self, entry: PlaylistEntry, file: Path, base: str | None, known: int | None = None) -> Playlist:
        """`known` is the list that is refreshed: it may be another by now, or gone."""
        async with self._importing, self.work_folder() as folder:
            if known is not None:
                fetched, entry = entry.url, (await self.get(known)).entry
                if entry.url != fetched:
                    raise StorageError("the playlist was imported from elsewhere meanwhile")
            found = await self._store.read(lambda db: _by_name(db, entry.name))
            before = found or (0, None)
            staging = folder / "staging"
            order = Order(
                str(file), str(staging), str(self._store.path), *before,
                base=base, include=entry.include, exclude=entry.exclude, joins=entry.merge is not None,
            )  # fmt: skip
            staged = await self._stage(order)
            origin = "config" if entry.name in self._declared else "api"
            playlist_id = await self._store.write(lambda db: _put(db, origin, entry, before[0]))
            try:
                if not staged.same or before[1] is None:
                    await publish(self._store, staging, playlist_id, before[1], staged)
            except BaseException:
                if found is None:
                    await to_the_end(self._delete(playlist_id))
                raise
            await self._store.write(lambda db: _note(db, playlist_id, entry, staged))
        await self._imported()
        self._begin(sweep(self._store))
        return await self.get(playlist_id)

    async def _wished(self, name: str, url: str, wishes: Wishes) -> PlaylistEntry:
        self._check_free(name)
        row = await self._store.read(lambda db: db.execute(f"{_SELECT} WHERE name = ?", (name,)).fetchone())
        before = self._playlist(row) if row is not None else None
        entry = before.entry if before is not None and self._is_there(before) else PlaylistEntry(name=name, url=url)
        return msgspec.structs.replace(entry, url=url, **wishes)

    def _check_free(self, name: str) -> None:
        if name in self._declared:
            raise ConfiguredPlaylistError(name)

    def _playlist(self, row: tuple[Any, ...]) -> Playlist:
        playlist_id, origin, name, url, current, imported, result, failure, limit, options = row
        wished = {**json.loads(options), "name": name, "url": url or "", "max_connections": limit}
        entry = self._declared.get(name) or msgspec.convert(wished, PlaylistEntry)
        counts = json.loads(result) if result else {}
        return Playlist(playlist_id, origin, name, url, current, imported, counts, failure, entry)

    def _is_there(self, playlist: Playlist) -> bool:
        return playlist.origin == "api" or playlist.name in self._declared


# --- in the storage thread -----------------------------------------------------------------------------------------

_SELECT = "SELECT id, origin, name, url, current, imported, result, failure, max_connections, options FROM playlists"


def _by_name(db: sqlite3.Connection, name: str) -> tuple[int, int | None] | None:
    row: tuple[int, int | None] | None = db.execute(
        "SELECT id, current FROM playlists WHERE name = ?", (name,)
    ).fetchone()
    return row


def _declare(db: sqlite3.Connection, entries: Iterable[PlaylistEntry]) -> None:
    """A row for each declared list; one of the API with that name becomes the configuration's. Lists of the
    configuration that are not declared any more show nothing."""
    for entry in entries:
        db.execute(
            "INSERT INTO playlists (origin, name, url, max_connections) VALUES ('config', ?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE"
            " SET origin = 'config', url = excluded.url, max_connections = excluded.max_connections",
            (entry.name, entry.url, entry.max_connections),
        )
    names = json.dumps([entry.name for entry in entries])
    db.execute(
        "UPDATE playlists SET current = NULL WHERE origin = 'config' AND name NOT IN (SELECT value FROM json_each(?))",
        (names,),
    )


def _put(db: sqlite3.Connection, origin: str, entry: PlaylistEntry, known: int) -> int:
    """The row of a list that is about to be published: the one `known`, or a new one (0)."""
    if known:
        if db.execute("UPDATE playlists SET origin = ? WHERE id = ?", (origin, known)).rowcount != 1:
            raise StorageError("the playlist was deleted meanwhile")
        return known
    made = db.execute(
        "INSERT INTO playlists (origin, name, url, max_connections) VALUES (?, ?, ?, ?)",
        (origin, entry.name, entry.url or None, entry.max_connections),
    )
    assert made.lastrowid is not None
    return made.lastrowid


def _note(db: sqlite3.Connection, playlist_id: int, entry: PlaylistEntry, staged: Staged) -> None:
    result = {
        "added": staged.added,
        "updated": staged.updated,
        "unchanged": staged.unchanged,
        "removed": staged.removed,
        "rejected": staged.rejected,
        "rejections": staged.rejections,
    }
    options = {name: getattr(entry, name) for name in OPTIONS}
    db.execute(
        "UPDATE playlists SET url = ?, header = ?, result = ?, imported = ?, failure = NULL,"
        " max_connections = ?, options = ? WHERE id = ?",
        (
            *(entry.url or None, json.dumps(staged.header), json.dumps(result), time.time()),
            *(entry.max_connections, json.dumps(options), playlist_id),
        ),
    )
