"""The database under the bad days of a machine: kill -9, locks, full disks, damage, a newer version."""

import asyncio
import contextlib
import logging
import re
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from fastrelay.catalog import schema
from fastrelay.catalog import store as store_module
from fastrelay.catalog.relays import Relays
from fastrelay.catalog.store import Store, to_the_end
from fastrelay.errors import StorageError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "fastrelay.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(path)
    yield opened
    await opened.close()


def insert(output_path: str) -> store_module.Work[None]:
    def work(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO relays (origin, output_path) VALUES ('config', ?)", (output_path,))

    return work


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> bytes:
    """What is in the file then."""
    path.write_bytes(change(path.read_bytes() if path.exists() else b""))
    return path.read_bytes()


def paths(db: sqlite3.Connection) -> list[str]:
    return [row[0] for row in db.execute("SELECT output_path FROM relays ORDER BY id")]


async def test_what_was_written_is_there_after_closing(path: Path) -> None:
    store = await Store.open(path)
    await store.write(insert("news"))
    await store.close()
    await store.close()
    store = await Store.open(path)
    assert await store.read(paths) == ["news"]
    await store.close()


async def test_a_closed_store_says_so(store: Store) -> None:
    await store.close()
    for call in (store.read, store.write):
        with pytest.raises(StorageError, match="is closed"):
            await call(paths)


async def test_a_failed_change_leaves_nothing_behind(store: Store) -> None:
    def half(db: sqlite3.Connection) -> None:
        insert("a")(db)
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        await store.write(half)
    with pytest.raises(StorageError, match="UNIQUE"):
        await store.write(lambda db: (insert("b")(db), insert("b")(db)))
    await store.write(insert("c"))
    assert await store.read(paths) == ["c"]


async def test_the_connection_is_durable_and_strict(store: Store) -> None:
    def pragmas(db: sqlite3.Connection) -> list[object]:
        return [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "foreign_keys")]

    assert await store.read(pragmas) == ["wal", 2, 1]


async def test_all_work_is_in_one_thread_that_is_not_the_loops(store: Store) -> None:
    threads = {await store.read(lambda db: threading.get_ident()) for _ in range(3)}
    threads.add(await store.write(lambda db: threading.get_ident()))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_the_loop_runs_while_the_database_works(store: Store) -> None:
    """The work can only end after the loop ran: blocked, it would never."""
    ran = threading.Event()
    asyncio.get_running_loop().call_later(0.01, ran.set)
    assert await store.write(lambda db: ran.wait(5))


async def test_only_the_owner_can_read_the_file(store: Store, path: Path) -> None:
    await store.write(insert("news"))
    for name in ("", "-wal", "-shm"):
        assert stat.S_IMODE(path.with_name(path.name + name).stat().st_mode) == 0o600


async def test_to_the_end_survives_its_caller(store: Store) -> None:
    began, go = asyncio.Event(), asyncio.Event()
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def change() -> None:
        began.set()
        await go.wait()
        await store.write(insert("news"))
        ended.set_result(None)

    caller = asyncio.create_task(to_the_end(change()))
    await began.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go.set()
    await asyncio.wait_for(ended, 30)
    assert await store.read(paths) == ["news"]


# --- locks -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def lock(path: Path) -> Iterator[sqlite3.Connection]:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    yield other
    other.execute("ROLLBACK")
    other.close()


async def test_a_lock_refuses_changes_but_not_reading(store: Store, path: Path) -> None:
    await store.write(insert("before"))
    with lock(path):
        began = time.monotonic()
        with pytest.raises(StorageError, match="locked by another process"):
            await store.write(insert("during"))
        assert time.monotonic() - began >= 0.9 * store_module.BUSY_TIMEOUT
        assert await store.read(paths) == ["before"]
    await store.write(insert("after"))
    assert await store.read(paths) == ["before", "after"]


async def test_a_short_lock_is_waited_for(store: Store, path: Path) -> None:
    with lock(path) as other:
        change = asyncio.create_task(store.write(insert("news")))
        await asyncio.sleep(0)
        other.execute("ROLLBACK")
        await asyncio.wait_for(change, 30)
        other.execute("BEGIN")
    assert await store.read(paths) == ["news"]


async def test_a_locked_file_is_not_taken_for_a_damaged_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "BUSY_TIMEOUT", 0.05)
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE t (x)")
    other.close()
    with lock(path), pytest.raises(StorageError, match="locked by another process"):
        await Store.open(path)
    assert names(path.parent) == [path.name]


# --- full disks ------------------------------------------------------------------------------------------------------


def insert_much(db: sqlite3.Connection) -> None:
    db.executemany(
        "INSERT INTO relays (origin, output_path) VALUES ('config', ?)", ((f"{i}{'x' * 4000}",) for i in range(500))
    )


async def test_a_full_database_refuses_and_goes_on(store: Store) -> None:
    await store.write(insert("before"))
    await store.read(lambda db: db.execute("PRAGMA max_page_count = 8"))
    with pytest.raises(StorageError, match="the disk is full"):
        await store.write(insert_much)
    assert await store.read(paths) == ["before"]
    await store.read(lambda db: db.execute("PRAGMA max_page_count = 100000"))
    await store.write(insert("after"))
    assert await store.read(paths) == ["before", "after"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("a disk that can be filled needs root and mount")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


async def test_a_full_disk_refuses_and_goes_on(small_disk: Path) -> None:
    store = await Store.open(small_disk / "fastrelay.db")
    await store.write(insert("before"))
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    with pytest.raises(StorageError, match="full"):
        await store.write(insert_much)
    assert await store.read(paths) == ["before"]
    ballast.unlink()
    await store.write(insert("after"))
    await store.close()
    store = await Store.open(small_disk / "fastrelay.db")
    assert await store.read(paths) == ["before", "after"]
    await store.close()


# --- damage ----------------------------------------------------------------------------------------------------------


def noise(whole: bytes) -> bytes:
    return b"this is no database at all" * 100


def torn(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def overwritten(whole: bytes) -> bytes:
    """The first page, with the schema, is fine; all others are not."""
    return whole[:4096] + b"\xff" * (len(whole) - 4096)


@pytest.mark.parametrize("damage", [noise, torn, overwritten])
async def test_a_damaged_file_is_set_aside_whole(
    path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    store = await Store.open(path)
    await store.write(insert_much)
    await store.close()
    broken = rewrite(path, damage)

    with caplog.at_level(logging.ERROR):
        store = await Store.open(path)
    await store.write(insert("fresh"))
    assert await store.read(paths) == ["fresh"]
    await store.close()

    (aside,) = path.parent.glob("fastrelay.db.damaged-*Z")
    assert re.fullmatch(r"fastrelay\.db\.damaged-\d{8}T\d{6}Z", aside.name)
    assert aside.read_bytes() == broken
    assert "is damaged" in caplog.text
    assert str(aside) in caplog.text


async def test_the_log_of_a_damaged_file_is_kept_beside_it(path: Path) -> None:
    """As after a power cut: changes that only the log has, beside a file that is broken."""
    store = await Store.open(path)
    await store.write(insert_much)
    await store.read(lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
    await store.write(insert("only in the log"))
    wal = path.with_name(f"{path.name}-wal")
    copies = {each: each.read_bytes() for each in (path, wal)}
    await store.close()
    copies[path] = overwritten(copies[path])
    for each, content in copies.items():
        rewrite(each, lambda _, content=content: content)

    await (await Store.open(path)).close()
    (log,) = path.parent.glob("fastrelay.db.damaged-*-wal")
    assert log.read_bytes() == copies[wal]
    assert log.with_name(log.name.removesuffix("-wal")).read_bytes() == copies[path]


async def test_damage_twice_in_a_second_keeps_both(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module.time, "gmtime", lambda: time.struct_time((2026, 1, 2, 3, 4, 5, 4, 2, 0)))
    path.parent.mkdir()
    for content in (b"one" * 1000, b"two" * 1000):
        rewrite(path, lambda _, content=content: content)
        await (await Store.open(path)).close()
    first = path.with_name("fastrelay.db.damaged-20260102T030405Z")
    assert first.read_bytes() == b"one" * 1000
    assert first.with_name(first.name + ".1").read_bytes() == b"two" * 1000


async def test_a_folder_in_the_files_place(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be used: Is a directory"):
        await Store.open(tmp_path)


# --- versions --------------------------------------------------------------------------------------------------------


async def test_a_newer_schema_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    db = sqlite3.connect(path)
    db.executescript("CREATE TABLE future (x); PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StorageError, match="schema 99, this fastrelay knows 3"):
        await Store.open(path)
    assert names(path.parent) == [path.name]
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("future",)]


def test_migrations_go_forward_from_any_version_and_keep_the_rows() -> None:
    steps = (("CREATE TABLE a (x)",), ("ALTER TABLE a ADD y", "UPDATE a SET y = x + 1"))
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        schema.migrate(db, steps[:1])
        db.execute("INSERT INTO a VALUES (1)")
        schema.migrate(db, steps)
        schema.migrate(db, steps)
        assert db.execute("SELECT x, y FROM a").fetchall() == [(1, 2)]
        assert db.execute("PRAGMA user_version").fetchone() == (2,)


def test_a_failing_migration_changes_nothing() -> None:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        with pytest.raises(sqlite3.Error):
            schema.migrate(db, (("CREATE TABLE a (x)", "CREATE nonsense"),))
        assert db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
        assert db.execute("PRAGMA user_version").fetchone() == (0,)


# --- kill -9 ---------------------------------------------------------------------------------------------------------

WRITER = """
import asyncio, itertools, sys
from pathlib import Path
from fastrelay.catalog.relays import Relays
from fastrelay.catalog.store import Store

async def main():
    relays = await Relays.load(await Store.open(Path(sys.argv[1])), [])
    for number in itertools.count():
        relay = await relays.create(f"Relay {number}", f"relay-{number}", ["http://a.example/"])
        print(relay.id, flush=True)

asyncio.run(main())
"""


def killed_writer(path: Path, acknowledged: int) -> list[int]:
    """The ids that a process acknowledged before it was killed, some time after `acknowledged` of them."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as lines:
        ids = [int(lines.readline()) for _ in range(acknowledged)]
        process.kill()
        ids += [int(line) for line in lines if line.endswith("\n")]
    assert process.wait() == -9
    return ids


@pytest.mark.parametrize("acknowledged", [1, 50, 200])
async def test_kill_9_loses_nothing_acknowledged(path: Path, acknowledged: int) -> None:
    ids = killed_writer(path, acknowledged)
    store = await Store.open(path)
    relays = await Relays.load(store, [])
    there = [relay.id for relay in relays.all()]
    assert there[: len(ids)] == ids
    assert len(there) <= len(ids) + 1
    assert await store.read(lambda db: db.execute("PRAGMA integrity_check").fetchone()) == ("ok",)
    await store.close()
    assert list(path.parent.glob("*.damaged-*")) == []
