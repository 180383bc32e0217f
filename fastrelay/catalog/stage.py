"""The first half of an import: a list's file becomes a staging database, beside the real one.

Reading a list is minutes of pure Python for the largest, and in a thread it would take the interpreter away from the
loop between any two of its writes. So this runs in a process of its own (`python -m fastrelay.catalog.stage`), which
reads the real database and writes only its own file; `fastrelay.catalog.publish` takes that over.
"""

import json
import os
import re
import sqlite3
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from fastrelay.catalog.m3u import Entry, NotAListError, Parser, for_viewers, source_url, write_entry
from fastrelay.catalog.search import fold
from fastrelay.catalog.unpack import unpacked
from fastrelay.errors import FastrelayError

LIST_MAX = 2 << 30
"""Bytes of a list, unpacked."""
_ROWS = 2000

Progress = Callable[[int], None]
"""Told how many bytes of the file have been read."""


class StageError(FastrelayError):
    """The file cannot become the list's content; the message says why."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to stage: the list in `file`, whose URL is `base`, for the playlist with this id, into `staging`."""

    file: str
    staging: str
    database: str
    playlist: int
    current: int | None
    """The import that is the playlist's content now."""
    base: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    joins: bool = False
    """Entries with the same tvg-id are one channel."""


@dataclass(frozen=True, slots=True)
class Staged:
    """What the staging database holds. `positions` counts its entries, `fresh` the channels that need an id."""

    positions: int
    fresh: int
    added: int
    updated: int
    unchanged: int
    removed: int
    moved: int
    rejected: int
    rejections: tuple[dict[str, Any], ...] = ()
    header: tuple[tuple[str, str], ...] = field(default=())

    @property
    def same(self) -> bool:
        """Whether the list's content is what it was."""
        return not (self.added or self.updated or self.removed or self.moved)


def stage(order: Order, progress: Progress = lambda size: None) -> Staged:
    """Read, filter, and match the entries with the channels that are known.

    Raises StageError: no list, damaged gzip, too large, no entries. Whatever is raised, nothing but the staging file
    was written.
    """
    db = sqlite3.connect(order.staging, isolation_level=None)
    try:
        # The file is thrown away when anything goes wrong, so nothing has to be undone or synced.
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        parser = _fill(db, order, progress)
        db.execute("COMMIT")
        db.execute("ATTACH ? AS main_file", (order.database,))
        db.execute("BEGIN")
        counts = _match(db, order)
        db.execute("COMMIT")
    except (OSError, EOFError, zlib.error) as error:
        raise StageError(f"the list cannot be read: {error}") from None
    except NotAListError as error:
        raise StageError(str(error)) from None
    finally:
        db.close()
    rejections = tuple(asdict(each) for each in parser.rejections)
    return Staged(**counts, rejected=parser.rejected, rejections=rejections, header=tuple(parser.header))


# --- read ----------------------------------------------------------------------------------------------------------


def _fill(db: sqlite3.Connection, order: Order, progress: Progress) -> Parser:
    db.execute(
        """
        CREATE TABLE entries (
            position INTEGER PRIMARY KEY, owner INTEGER, channel INTEGER, joined INTEGER, tvg_id TEXT, name TEXT,
            grp TEXT, folded TEXT, plain_url TEXT, url TEXT, text TEXT, shown TEXT, digest INTEGER
        )
        """
    )
    parser = Parser(order.base)
    rows = (_row(number, entry, order.joins) for number, entry in enumerate(_wanted(parser, order, progress), 1))
    insert = f"INSERT INTO entries VALUES ({', '.join('?' * 13)})"
    while batch := list(islice(rows, _ROWS)):
        db.executemany(insert, batch)
    return parser


def _wanted(parser: Parser, order: Order, progress: Progress) -> Iterator[Entry]:
    """The entries that include and exclude leave. A list without any entry is a provider's failure, not a list."""
    include, exclude = ([re.compile(pattern) for pattern in patterns] for patterns in (order.include, order.exclude))
    seen = False
    for entry in _entries(parser, Path(order.file), progress):
        seen = True
        texts = (entry.name, entry.group)
        if include and not any(pattern.search(text) for pattern in include for text in texts):
            continue
        if not any(pattern.search(text) for pattern in exclude for text in texts):
            yield entry
    if not seen:
        raise StageError("the list has no entries")


def _entries(parser: Parser, path: Path, progress: Progress) -> Iterator[Entry]:
    size = 0
    with path.open("rb") as file:
        for piece in unpacked(file):
            size += len(piece)
            if size > LIST_MAX:
                raise StageError(f"the list is longer than {LIST_MAX >> 20} MiB")
            yield from parser.feed(piece)
            progress(file.tell())
    yield from parser.finish()


def _row(position: int, entry: Entry, joins: bool) -> tuple[Any, ...]:
    tvg_id = entry.attribute("tvg-id").strip()
    text, url = write_entry(entry), source_url(entry)
    viewers = for_viewers(entry)
    shown = None if viewers is entry else write_entry(viewers)
    joined = joins and tvg_id != ""
    digest = zlib.crc32(f"{joined:d}{text}{url}".encode()) ^ position if joined else zlib.crc32(f"{text}{url}".encode())
    folded = fold(entry.name)
    group = entry.group
    return (
        position, position, None, joined, tvg_id, entry.name, group, folded, entry.url, url, text,
        None if shown == text else shown, digest,
    )  # fmt: skip


# --- match ---------------------------------------------------------------------------------------------------------

# By what a channel is known again, surest first. An entry that is the same in everything goes first, because some lists
# give many entries one tvg-id.
_KEYS = (
    "tvg_id || char(31) || name || char(31) || grp || char(31) || url",
    "nullif(tvg_id, '') || char(31) || name || char(31) || grp",
    "nullif(tvg_id, '')",
    "name || char(31) || grp",
    "url",
)

# Of several with the same key the first entry gets the first channel: those in the list now before those gone from it,
# in the order they had.
_MATCH = """
    UPDATE entries SET channel = pairs.id FROM (
        SELECT position, id
        FROM (
            SELECT position, {entry_key} AS key, row_number() OVER (PARTITION BY {entry_key} ORDER BY position) AS nth
            FROM entries WHERE channel IS NULL AND owner = position AND {entry_key} IS NOT NULL AND NOT joined
        )
        JOIN (
            SELECT id, {key} AS key, row_number() OVER (PARTITION BY {key} ORDER BY at IS NULL, at, id) AS nth
            FROM known WHERE NOT joined AND {key} IS NOT NULL
        ) USING (key, nth)
    ) AS pairs WHERE entries.position = pairs.position
"""


def _match(db: sqlite3.Connection, order: Order) -> dict[str, int]:
    """Give every entry its channel: the id of a known one, or a number below zero for one that is new."""
    db.execute(
        """
        CREATE TEMP TABLE known AS
        SELECT c.id, c.joined, c.tvg_id, c.name, c.grp, c.url, e.position AS at
        FROM main_file.channels c
        LEFT JOIN main_file.entries e INDEXED BY entries_of_channel ON e.channel = c.id AND e.import = ? AND e.lead
        WHERE c.playlist = ? OR (c.joined AND ?)
        """,
        (order.current, order.playlist, order.joins),
    )
    if order.joins:
        _join(db)
    for key in _KEYS:
        if db.execute("SELECT 1 FROM known LIMIT 1").fetchone() is None:
            break
        db.execute(_MATCH.format(key=key, entry_key=key.replace("url", "plain_url")))
        db.execute("DELETE FROM known WHERE id IN (SELECT channel FROM entries WHERE channel IS NOT NULL)")
    db.execute(
        """
        UPDATE entries SET channel = -fresh.number FROM (
            SELECT position, row_number() OVER (ORDER BY position) AS number
            FROM entries WHERE channel IS NULL AND owner = position
        ) AS fresh WHERE entries.position = fresh.position
        """
    )
    db.execute(
        "UPDATE entries SET channel = first.channel FROM entries AS first"
        " WHERE entries.owner <> entries.position AND first.position = entries.owner"
    )
    return _counts(db, order)


def _join(db: sqlite3.Connection) -> None:
    """One owner for all entries with the same tvg-id, and its channel: the joined one that other lists share, or the
    one that this list has had so far, which becomes joined."""
    db.execute(
        """
        UPDATE entries
        SET owner = firsts.first, digest = CASE position WHEN firsts.first THEN firsts.sum ELSE digest END
        FROM (SELECT tvg_id, min(position) AS first, sum(digest) AS sum FROM entries WHERE joined GROUP BY tvg_id)
            AS firsts
        WHERE entries.joined AND entries.tvg_id = firsts.tvg_id
        """
    )
    db.execute(
        """
        UPDATE entries SET channel = owners.id FROM (
            SELECT tvg_id, id, row_number() OVER (PARTITION BY tvg_id ORDER BY joined DESC, at IS NULL, at, id) AS nth
            FROM known WHERE tvg_id <> ''
        ) AS owners
        WHERE owners.nth = 1 AND entries.joined AND owner = position AND entries.tvg_id = owners.tvg_id
        """
    )
    db.execute("DELETE FROM known WHERE id IN (SELECT channel FROM entries WHERE channel IS NOT NULL)")


def _counts(db: sqlite3.Connection, order: Order) -> dict[str, int]:
    """How the list differs from its present content, in channels."""
    leads, added, updated, moved = db.execute(
        """
        SELECT count(*), total(o.position IS NULL), total(o.digest <> s.digest), total(o.position <> s.position)
        FROM entries s LEFT JOIN main_file.entries o INDEXED BY entries_of_channel
            ON o.channel = s.channel AND o.import = ? AND o.lead
        WHERE s.owner = s.position
        """,
        (order.current,),
    ).fetchone()
    (before,) = db.execute(
        "SELECT count(*) FROM main_file.entries WHERE import = ? AND lead", (order.current,)
    ).fetchone()
    (positions, fresh) = db.execute("SELECT count(*), max(0, -min(channel)) FROM entries").fetchone()
    kept = leads - int(added)
    return {
        "positions": positions,
        "fresh": fresh or 0,
        "added": int(added),
        "updated": int(updated),
        "unchanged": kept - int(updated),
        "removed": before - kept,
        "moved": int(moved),
    }


# --- the process ---------------------------------------------------------------------------------------------------


def main() -> None:
    """The order comes as JSON on standard input, the outcome or the error goes out as JSON."""
    # Viewers come first wherever the processor is short.
    os.nice(10)
    given = json.load(sys.stdin)
    try:
        answer: dict[str, Any] = {"staged": asdict(stage(Order(**given)))}
    except FastrelayError as error:
        answer = {"error": str(error)}
    except sqlite3.Error as error:
        answer = {"error": f"the list cannot be staged: {error}"}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
