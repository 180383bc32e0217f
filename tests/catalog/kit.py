"""A catalogue on a real database, whose lists are texts that a test changes."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastrelay.catalog.channels import Channels
from fastrelay.catalog.playlists import Playlist, Playlists
from fastrelay.catalog.stage import Order, Staged, stage
from fastrelay.catalog.store import Store
from fastrelay.config import PlaylistEntry
from fastrelay.errors import ConnectError


def entry(name: str, tvg_id: str = "", group: str = "", url: str = "") -> str:
    return f'#EXTINF:-1 tvg-id="{tvg_id}" group-title="{group}",{name}\n{url or f"http://a.example/{name}"}\n'


@dataclasses.dataclass
class Catalogue:
    """Lists by name, with texts that a test changes."""

    store: Store
    folder: Path
    lists: dict[str, str] = dataclasses.field(default_factory=dict)
    told: int = 0
    fetched: int = 0
    hears: Callable[[], Awaitable[None]] | None = None
    """Called after an import, too."""

    def __post_init__(self) -> None:
        async def stage_here(order: Order) -> Staged:
            return stage(order)

        self.playlists = Playlists(self.store, self.folder / "incoming", self.fetch, self.imported, stage_here)
        self.channels = Channels(self.store)

    async def fetch(self, url: str, path: Path) -> str:
        if url not in self.lists:
            raise ConnectError("nobody there")
        self.fetched += 1
        await asyncio.to_thread(path.write_text, self.lists[url])
        return url

    async def imported(self) -> None:
        self.told += 1
        if self.hears is not None:
            await self.hears()

    async def take(self, name: str, *entries: str, merge: bool = False, **options: tuple[str, ...]) -> Playlist:
        url = f"http://lists.example/{name}"
        self.lists[url] = "#EXTM3U\n" + "".join(entries)
        return await self.playlists.import_entry(
            PlaylistEntry(name=name, url=url, merge="tvg-id" if merge else None, **options)
        )

    async def ids(self) -> list[tuple[str, int]]:
        return [(channel.entry.name, channel.id) for channel in (await self.channels.find())[1]]

    async def count(self, table: str) -> int:
        row = await self.store.read(lambda db: db.execute(f"SELECT count(*) FROM {table}").fetchone())
        return int(row[0])


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Catalogue]:
    """Opened again, it is what a restarted process finds."""
    store = await Store.open(folder / "fastrelay.db")
    catalogue = Catalogue(store, folder)
    yield catalogue
    await catalogue.playlists.stop()
    await store.close()
