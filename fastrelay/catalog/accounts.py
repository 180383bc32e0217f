"""Which provider account a source uses: that of the list it comes from."""

import sqlite3
from dataclasses import dataclass

from fastrelay.catalog.channels import STREAM_PREFIX
from fastrelay.catalog.store import Store

_OF_CHANNEL = """
    SELECT p.id, p.name, p.max_connections
    FROM entries e INDEXED BY entries_of_channel JOIN playlists p ON p.current = e.import
    WHERE e.channel = ? AND e.url = ? ORDER BY p.id LIMIT 1
"""
_LIMITED = "SELECT id, current, name, max_connections FROM playlists WHERE max_connections > 0 ORDER BY id"


@dataclass(frozen=True, slots=True)
class ProviderAccount:
    """`id` and `name` are the list's; `max_connections` is 0 where there is no limit."""

    id: int
    name: str
    max_connections: int


class ProviderAccounts:
    """Read when a source is dialled, so that a list's new limit holds from the next dial on."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._found: dict[tuple[int, str], bool] = {}

    async def of(self, stream_id: str, url: str) -> ProviderAccount | None:
        """The account behind a source of a stream; None for one that no list names. Raises StorageError.

        The source of a channel belongs to the list the channel has it from. That of a relay belongs to a list with a
        limit that has the very same URL, as relays made of channels do.
        """
        if stream_id.startswith(STREAM_PREFIX):
            channel_id = int(stream_id.removeprefix(STREAM_PREFIX))
            return await self._store.read(lambda db: _of_channel(db, channel_id, url))
        return await self._store.read(lambda db: self._of_relay(db, url))

    def _of_relay(self, db: sqlite3.Connection, url: str) -> ProviderAccount | None:
        """An index over all URLs would cost every import more than this: reading through a list's entries once for
        each source of a relay, and again after its next import."""
        lists = db.execute(_LIMITED).fetchall()
        currents = {current for _, current, _, _ in lists}
        self._found = {key: found for key, found in self._found.items() if key[0] in currents}
        for playlist_id, current, name, limit in lists:
            if (current, url) not in self._found:
                row = db.execute("SELECT 1 FROM entries WHERE import = ? AND url = ? LIMIT 1", (current, url))
                self._found[current, url] = row.fetchone() is not None
            if self._found[current, url]:
                return ProviderAccount(playlist_id, name, limit)
        return None


def _of_channel(db: sqlite3.Connection, channel_id: int, url: str) -> ProviderAccount | None:
    row = db.execute(_OF_CHANNEL, (channel_id, url)).fetchone()
    return None if row is None else ProviderAccount(*row)
