"""The relays: those of the configuration file and those made over the API, in memory for the asking.

Lookups are plain calls. A change is written to the database first and then to memory, one at a time.
"""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from fastrelay.catalog.store import Store, to_the_end
from fastrelay.config import RelayEntry
from fastrelay.errors import FastrelayError

log = logging.getLogger(__name__)


class PathTakenError(FastrelayError):
    """Another relay has this output path."""

    def __init__(self, output_path: str) -> None:
        super().__init__(f"the output path '{output_path}' belongs to another relay")


class UnknownRelayError(FastrelayError):
    """There is no relay with this id."""

    def __init__(self, relay_id: int) -> None:
        super().__init__(f"there is no relay {relay_id}")


class ConfiguredRelayError(FastrelayError):
    """The relay belongs to the configuration file and cannot be changed from elsewhere."""

    def __init__(self, relay: "Relay") -> None:
        super().__init__(f"the relay '{relay.output_path}' is declared in the configuration file: change it there")


@dataclass(frozen=True, slots=True)
class Relay:
    """`source_urls` are in the order of preference and whole, so they are left out of the repr."""

    id: int
    name: str
    output_path: str
    source_urls: tuple[str, ...] = field(repr=False)
    origin: Literal["config", "api"]


@dataclass(frozen=True, slots=True)
class Changes:
    """What a new configuration means for the output paths: relays new there, different there, and gone from there."""

    added: tuple[Relay, ...] = ()
    changed: tuple[Relay, ...] = ()
    removed: tuple[Relay, ...] = ()


class Relays:
    """All relays there are; `Relays.load` makes one. Changing calls raise StorageError and then change nothing.

    A relay of the configuration file wins over one of the API with the same output path, which waits unseen in the
    database until the file's entry is gone. Ids are never used twice; a relay of the file has the same id for good.
    """

    def __init__(self, store: Store, made: Iterable[Relay]) -> None:
        self._store = store
        self._changing = asyncio.Lock()
        self._made = {relay.id: relay for relay in made}
        self._configured: tuple[Relay, ...] = ()
        self._publish()

    @classmethod
    async def load(cls, store: Store, configured: Iterable[RelayEntry]) -> "Relays":
        """The relays of the database and those of the configuration file. Raises StorageError."""
        relays = cls(store, await store.read(_select))
        await relays.replace_configured(configured)
        return relays

    def by_path(self, output_path: str) -> Relay | None:
        return self._by_path.get(output_path)

    def by_id(self, relay_id: int) -> Relay | None:
        return self._by_id.get(relay_id)

    def all(self) -> tuple[Relay, ...]:
        """In the order of their ids."""
        return self._all

    async def create(self, name: str, output_path: str, source_urls: Iterable[str]) -> Relay:
        """Add a relay. Raises PathTakenError."""
        return await to_the_end(self._create(name, output_path, tuple(source_urls)))

    async def update(
        self, relay_id: int, name: str, output_path: str, source_urls: Iterable[str]
    ) -> tuple[Relay, Relay]:
        """Replace all but the id; the relay before and after.

        Raises UnknownRelayError, ConfiguredRelayError, PathTakenError.
        """
        return await to_the_end(self._update(relay_id, name, output_path, tuple(source_urls)))

    async def delete(self, relay_id: int) -> Relay:
        """Remove a relay; what it was. Raises UnknownRelayError, ConfiguredRelayError."""
        return await to_the_end(self._delete(relay_id))

    async def replace_configured(self, entries: Iterable[RelayEntry]) -> Changes:
        """Take over the relays of a newly read configuration; output paths that stay as they were are untouched."""
        return await to_the_end(self._replace_configured(tuple(entries)))

    async def _create(self, name: str, output_path: str, source_urls: tuple[str, ...]) -> Relay:
        async with self._changing:
            if output_path in self._by_path:
                raise PathTakenError(output_path)
            relay_id = await self._store.write(lambda db: _insert(db, name, output_path, source_urls))
            return self._put(Relay(relay_id, name, output_path, source_urls, "api"))

    async def _update(
        self, relay_id: int, name: str, output_path: str, source_urls: tuple[str, ...]
    ) -> tuple[Relay, Relay]:
        async with self._changing:
            before = self._changeable(relay_id)
            if self._by_path.get(output_path, before) is not before:
                raise PathTakenError(output_path)
            after = Relay(relay_id, name, output_path, source_urls, "api")
            await self._store.write(lambda db: _replace(db, after))
            return before, self._put(after)

    async def _delete(self, relay_id: int) -> Relay:
        async with self._changing:
            relay = self._changeable(relay_id)
            await self._store.write(lambda db: _remove(db, relay_id))
            del self._made[relay_id]
            self._publish()
            return relay

    async def _replace_configured(self, entries: tuple[RelayEntry, ...]) -> Changes:
        async with self._changing:
            ids = await self._configured_ids([entry.output_path for entry in entries])
            before = self._by_path
            self._configured = tuple(
                Relay(ids[entry.output_path], entry.name, entry.output_path, entry.source_urls, "config")
                for entry in entries
            )
            self._publish()
            for relay in self._made.values():
                if self._by_path[relay.output_path] is not relay:
                    log.warning("relay %d at '%s' is hidden by the configuration's", relay.id, relay.output_path)
            return _difference(before, self._by_path)

    async def _configured_ids(self, output_paths: list[str]) -> dict[str, int]:
        """The id of each path; only paths never seen before make the database write."""
        ids = await self._store.read(_select_configured)
        new = [path for path in output_paths if path not in ids]
        return ids | await self._store.write(lambda db: _insert_configured(db, new)) if new else ids

    def _changeable(self, relay_id: int) -> Relay:
        relay = self._by_id.get(relay_id)
        if relay is None:
            raise UnknownRelayError(relay_id)
        if relay.origin == "config":
            raise ConfiguredRelayError(relay)
        return relay

    def _put(self, relay: Relay) -> Relay:
        self._made[relay.id] = relay
        self._publish()
        return relay

    def _publish(self) -> None:
        self._by_path = {relay.output_path: relay for relay in (*self._made.values(), *self._configured)}
        self._all = tuple(sorted(self._by_path.values(), key=lambda relay: relay.id))
        self._by_id = {relay.id: relay for relay in self._all}


def _difference(before: Mapping[str, Relay], after: Mapping[str, Relay]) -> Changes:
    return Changes(
        added=tuple(relay for path, relay in after.items() if path not in before),
        changed=tuple(relay for path, relay in after.items() if path in before and before[path] != relay),
        removed=tuple(relay for path, relay in before.items() if path not in after),
    )


# --- in the storage thread -----------------------------------------------------------------------------------------


def _select(db: sqlite3.Connection) -> list[Relay]:
    rows = db.execute("SELECT id, name, output_path, source_urls FROM relays WHERE origin = 'api'")
    return [Relay(row[0], row[1], row[2], tuple(json.loads(row[3])), "api") for row in rows]


def _select_configured(db: sqlite3.Connection) -> dict[str, int]:
    return dict(db.execute("SELECT output_path, id FROM relays WHERE origin = 'config'").fetchall())


def _insert_configured(db: sqlite3.Connection, output_paths: list[str]) -> dict[str, int]:
    rows = [(path,) for path in output_paths]
    db.executemany("INSERT INTO relays (origin, output_path) VALUES ('config', ?)", rows)
    return _select_configured(db)


def _insert(db: sqlite3.Connection, name: str, output_path: str, source_urls: tuple[str, ...]) -> int:
    row = (output_path, name, json.dumps(source_urls))
    done = db.execute("INSERT INTO relays (origin, output_path, name, source_urls) VALUES ('api', ?, ?, ?)", row)
    assert done.lastrowid is not None
    return done.lastrowid


def _replace(db: sqlite3.Connection, relay: Relay) -> None:
    row = (relay.output_path, relay.name, json.dumps(relay.source_urls), relay.id)
    db.execute("UPDATE relays SET output_path = ?, name = ?, source_urls = ? WHERE id = ?", row)


def _remove(db: sqlite3.Connection, relay_id: int) -> None:
    db.execute("DELETE FROM relays WHERE id = ?", (relay_id,))
