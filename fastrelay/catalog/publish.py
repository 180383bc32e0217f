"""The second half of an import: what was staged becomes the list's content, and what it was before is swept up.

Everything goes in transactions of some ten milliseconds, in the storage thread, between which other changes have their
turn; SQLite copies the rows itself, so the interpreter is free meanwhile. Nothing is seen before the last transaction,
which turns one number: whatever ends an import early leaves the list as it was.
"""

import json
import sqlite3
import time
from pathlib import Path

from fastrelay.catalog.stage import Staged
from fastrelay.catalog.store import Store
from fastrelay.errors import StorageError

ROWS = 2000
"""Entries written in one transaction: some 30 ms."""
_KEPT_UNFINISHED = 3600.0
"""Seconds after which an import that is not current is left over from a crash: another process may be importing."""

# A matched channel is known by what the list calls it now. What the import of a merging list finds joined stays joined.
_RENAME = """
    UPDATE channels SET joined = s.joined, tvg_id = s.tvg_id, name = s.name, grp = s.grp, url = s.plain_url
    FROM staged.entries s
    WHERE s.position BETWEEN :first AND :last AND s.owner = s.position AND s.channel = channels.id
        AND (channels.joined, channels.tvg_id, channels.name, channels.grp, channels.url)
            IS NOT (s.joined, s.tvg_id, s.name, s.grp, s.plain_url)
"""
_CREATE = """
    INSERT INTO channels (id, playlist, joined, tvg_id, name, grp, url)
    SELECT :base - channel, :playlist, joined, tvg_id, name, grp, plain_url FROM staged.entries
    WHERE position BETWEEN :first AND :last AND owner = position AND channel < 0
"""
_COPY = """
    INSERT INTO entries (import, position, channel, lead, joined, grp, folded, url, text, shown, digest)
    SELECT :import, position, CASE WHEN channel < 0 THEN :base - channel ELSE channel END, owner = position, joined,
        grp, folded, url, text, shown, digest
    FROM staged.entries WHERE position BETWEEN :first AND :last
"""


async def publish(store: Store, staging: Path, playlist: int, current: int | None, staged: Staged) -> None:
    """Make the staged entries the content of the playlist whose import was `current`.

    Raises StorageError: the database refuses, or the playlist was deleted or imported by somebody else meanwhile.
    """
    made = await store.write(lambda db: _begin(db, playlist, staged.fresh))
    async with store.attached(staging, "staged"):
        for first in range(1, staged.positions + 1, ROWS):
            values = {"import": made[0], "base": made[1], "playlist": playlist, "first": first}
            values["last"] = first + ROWS - 1
            await store.write(lambda db, values=values: _copy(db, values))  # type: ignore[misc]  # mypy cannot infer it
    await store.write(lambda db: _turn(db, playlist, current, made[0], staged))


async def sweep(store: Store) -> None:
    """Remove entries and channels that no list has any more, a little at a time."""
    for work in (_sweep_import, _sweep_channels):
        while await store.write(work):
            pass


def _begin(db: sqlite3.Connection, playlist: int, fresh: int) -> tuple[int, int]:
    """The new import's id, and the number below the first of `fresh` reserved channel ids."""
    (base,) = db.execute("UPDATE next_channel SET id = id + ? RETURNING id - ? - 1", (fresh, fresh)).fetchone()
    made = db.execute("INSERT INTO imports (playlist, started) VALUES (?, ?)", (playlist, time.time()))
    assert made.lastrowid is not None
    return made.lastrowid, base


def _copy(db: sqlite3.Connection, values: dict[str, int]) -> None:
    for statement in (_CREATE, _RENAME, _COPY):
        db.execute(statement, values)


def _turn(db: sqlite3.Connection, playlist: int, before: int | None, current: int, staged: Staged) -> None:
    turned = db.execute(
        "UPDATE playlists SET current = ?, header = ? WHERE id = ? AND current IS ?",
        (current, json.dumps(staged.header), playlist, before),
    )
    if turned.rowcount != 1:
        raise StorageError("the playlist was deleted or imported by somebody else meanwhile")


def _sweep_import(db: sqlite3.Connection) -> bool:
    """Remove a part of one import that is not current; False when there is none."""
    left = db.execute(
        """
        SELECT i.id FROM imports i LEFT JOIN playlists p ON p.id = i.playlist
        WHERE p.current IS NOT i.id AND (i.id < p.current OR p.id IS NULL OR i.started < ?) LIMIT 1
        """,
        (time.time() - _KEPT_UNFINISHED,),
    ).fetchone()
    if left is None:
        return False
    removed = db.execute(
        "DELETE FROM entries WHERE import = :import AND position IN"
        " (SELECT position FROM entries WHERE import = :import LIMIT :rows)",
        {"import": left[0], "rows": ROWS},
    )
    if removed.rowcount == 0:
        db.execute("DELETE FROM imports WHERE id = ?", left)
    return True


def _sweep_channels(db: sqlite3.Connection) -> bool:
    """Remove a part of the channels of deleted lists; False when there is none."""
    removed = db.execute(
        """
        DELETE FROM channels WHERE id IN (
            WITH RECURSIVE owners (id) AS (  -- hops over the index: a list may have hundreds of thousands of channels
                SELECT min(playlist) FROM channels WHERE NOT joined
                UNION ALL
                SELECT (SELECT min(playlist) FROM channels WHERE NOT joined AND playlist > owners.id)
                FROM owners WHERE id IS NOT NULL
            )
            SELECT c.id FROM owners CROSS JOIN channels c ON c.playlist = owners.id AND NOT c.joined
            WHERE owners.id NOT IN (SELECT id FROM playlists)
                AND NOT EXISTS (SELECT 1 FROM entries e WHERE e.channel = c.id)
            LIMIT ?
        )
        """,
        (ROWS,),
    )
    return removed.rowcount > 0
