"""The database: one SQLite file, one connection, one thread, so that the loop never waits for a disk.

A change that was acknowledged is on the disk: WAL with synchronous=FULL syncs every commit. Changes are made by
people and imports, some a second at most, so the sync costs nothing that anybody notices.
"""

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from fastrelay.catalog.schema import migrate
from fastrelay.errors import StorageError

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Work = Callable[[sqlite3.Connection], Result]

BUSY_TIMEOUT = 2.0
"""Seconds a change waits for another process that holds the database."""

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_MEANING = {
    sqlite3.SQLITE_BUSY: "it is locked by another process",
    sqlite3.SQLITE_LOCKED: "it is locked by another process",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk failed or is full",
    sqlite3.SQLITE_READONLY: "it cannot be written",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_CORRUPT: "it is damaged; a restart sets it aside and begins a new one",
    sqlite3.SQLITE_NOTADB: "it is damaged; a restart sets it aside and begins a new one",
}


class Store:
    """An open database. `Store.open` makes one; every method raises StorageError when the database refuses."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fastrelay-storage")
        self._db: sqlite3.Connection | None = None

    @classmethod
    async def open(cls, path: Path) -> "Store":
        """Open or create the file at `path` and its folder, check it, bring its schema up to date.

        A damaged file is set aside under a name with the time and logged, and a new one begun. Raises StorageError
        for a file that cannot be opened, is locked, or is of a newer fastrelay.
        """
        store = cls(path)
        try:
            store._db = await store._in_thread(lambda: _open(path))
        except BaseException:
            store._thread.shutdown(wait=False)
            raise
        return store

    async def read(self, work: Work[Result]) -> Result:
        """What `work` returns, given the connection; it must change nothing and runs in the storage thread."""
        db = self._connection()
        return await self._in_thread(lambda: work(db))

    async def write(self, work: Work[Result]) -> Result:
        """Run `work` as one transaction: when this returns, its changes are on the disk; when it raises, none is.

        Once begun it is not interrupted: a caller that is cancelled meanwhile does not learn the outcome.
        """
        db = self._connection()
        return await self._in_thread(lambda: _transact(db, work))

    @asynccontextmanager
    async def attached(self, path: Path, name: str) -> AsyncIterator[None]:
        """Within the block, `work` can read the tables of another database file as `name.table`."""
        await self.read(lambda db: db.execute(f"ATTACH ? AS {name}", (str(path),)).close())
        try:
            yield
        finally:
            await to_the_end(self.read(lambda db: db.execute(f"DETACH {name}").close()))

    async def close(self) -> None:
        """Wait for what is under way, then close the file. Idempotent."""
        db, self._db = self._db, None
        if db is not None:
            await self._in_thread(db.close)
            self._thread.shutdown(wait=False)

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            raise StorageError(f"the database {self.path} is closed")
        return self._db

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        def translated() -> Result:
            with _storage_errors(self.path):
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._thread, translated)


_running: set[asyncio.Task[Any]] = set()


async def to_the_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Run `work` to its end even when the caller is cancelled, as when its client hangs up in the middle of a change.

    Otherwise the database would have a change that memory, or a running stream, never hears of.
    """
    task = asyncio.create_task(work)
    _running.add(task)  # the loop itself holds tasks weakly
    task.add_done_callback(_running.discard)
    return await asyncio.shield(task)


# --- in the storage thread -----------------------------------------------------------------------------------------


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors and the file system's into StorageError with a text for the operator."""
    try:
        yield
    except sqlite3.Error as error:
        meaning = _MEANING.get(_code(error), str(error))
        raise StorageError(f"the database {path} refused: {meaning} ({error})") from error
    except OSError as error:
        raise StorageError(f"the database {path} cannot be used: {error.strerror}") from error


def _code(error: sqlite3.Error) -> int:
    """The primary result code; 0 for errors of the Python module itself."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _transact(db: sqlite3.Connection, work: Work[Result]) -> Result:
    db.execute("BEGIN IMMEDIATE")
    try:
        result = work(db)
        db.execute("COMMIT")
    finally:
        # After some errors (a full disk) SQLite has rolled back already.
        if db.in_transaction:
            db.execute("ROLLBACK")
    return result


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Source URLs hold credentials: nobody else may read the file. WAL and index take over its mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    db = _connect(path)
    try:
        damage = _damage(db)
        if damage is not None:
            aside = _set_aside(path)
            log.error("the database %s is damaged (%s): set aside as %s, a new one is begun", path, damage, aside)
            db.close()
            return _open(path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        migrate(db)
    except BaseException:
        db.close()
        raise
    return db


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)


def _damage(db: sqlite3.Connection) -> str | None:
    """What is wrong with the file, or None. A lock or a failing disk is no damage and raises.

    `quick_check` reads every page once; `integrity_check` would also compare each index with its table, which
    for a large catalogue takes longer than the server may take to start.
    """
    try:
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if _code(error) not in _DAMAGE:
            raise
        return str(error)
    return None if verdict == "ok" else str(verdict).replace("\n", " ")


def _set_aside(path: Path) -> Path:
    """Rename the file and its companions, while they are open: closing would fold the log into the damaged file."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    names = [path.with_name(f"{path.name}.damaged-{stamp}{more}") for more in ("", *(f".{n}" for n in range(1, 1000)))]
    aside = next(name for name in names if not name.exists())
    for suffix in ("", "-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + suffix))
    return aside
