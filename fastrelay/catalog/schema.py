"""The tables, as the steps that lead to them: a step that was released is never changed, only followed by another."""

import sqlite3

from fastrelay.errors import StorageError

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # A relay of the configuration file has a row only to keep its id: what it is stands in the file, so name and
        # sources are empty, and a relay of the API may wait under the same path until the file's entry is gone.
        """
        CREATE TABLE relays (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            origin TEXT NOT NULL CHECK (origin IN ('config', 'api')),
            output_path TEXT NOT NULL,
            name TEXT,
            source_urls TEXT,  -- JSON list
            UNIQUE (origin, output_path),
            CHECK ((origin = 'api') = (name IS NOT NULL AND source_urls IS NOT NULL))
        )
        """,
    ),
    (
        # An import fills `entries` in many small transactions, seen by nobody, and becomes the list's content with one
        # change of `current`. What is not current any more is removed afterwards, as slowly.
        """
        CREATE TABLE imports (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            playlist INTEGER NOT NULL,
            started REAL NOT NULL  -- Unix time
        )
        """,
        """
        CREATE TABLE playlists (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            origin TEXT NOT NULL CHECK (origin IN ('config', 'api')),
            name TEXT NOT NULL UNIQUE,
            url TEXT,  -- NULL: it was uploaded
            current INTEGER REFERENCES imports(id),
            header TEXT NOT NULL DEFAULT '[]',  -- attributes of #EXTM3U: JSON list of pairs
            result TEXT,  -- JSON: counts of the last import that succeeded
            imported REAL,  -- Unix time of it
            failure TEXT  -- why the one after that failed
        )
        """,
        # A channel is an id and what to know it by when it comes back. `joined`: all lists that join their entries by
        # tvg-id mean this channel by it; else it belongs to its list. No foreign key: a list goes at once, its channels
        # and imports are swept up later.
        """
        CREATE TABLE channels (
            id INTEGER PRIMARY KEY,
            playlist INTEGER NOT NULL,
            joined INTEGER NOT NULL,
            tvg_id TEXT NOT NULL,
            name TEXT NOT NULL,
            grp TEXT NOT NULL,
            url TEXT NOT NULL
        )
        """,
        "CREATE INDEX channels_of_playlist ON channels (playlist) WHERE NOT joined",
        "CREATE UNIQUE INDEX channels_joined ON channels (tvg_id) WHERE joined",
        # Ids are reserved here in blocks and never used twice.
        "CREATE TABLE next_channel (id INTEGER NOT NULL)",
        "INSERT INTO next_channel VALUES (1)",
        # `lead`: the first entry of its channel in this list; the others are further sources of the channel.
        """
        CREATE TABLE entries (
            import INTEGER NOT NULL,
            position INTEGER NOT NULL,
            channel INTEGER NOT NULL REFERENCES channels(id),
            lead INTEGER NOT NULL,
            joined INTEGER NOT NULL,
            grp TEXT NOT NULL,
            folded TEXT NOT NULL,  -- the name as it is searched for
            url TEXT NOT NULL,  -- with the headers that the entry asks for
            text TEXT NOT NULL,  -- its lines but the URL
            shown TEXT,  -- the same without the provider's credentials, where there were some
            digest INTEGER NOT NULL,
            PRIMARY KEY (import, position)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX entries_of_channel ON entries (channel, import)",
        # Everything that searching, filtering, counting and paging look at: 400,000 entries are 30 MB to read through.
        "CREATE INDEX entries_listed ON entries (import, position, grp, folded, joined, channel, lead) WHERE lead",
    ),
    (
        "ALTER TABLE playlists ADD COLUMN max_connections INTEGER NOT NULL DEFAULT 0",  # 0: no limit
        # What else was wished for when a list of the API was made: refresh, include, exclude, merge. JSON.
        "ALTER TABLE playlists ADD COLUMN options TEXT NOT NULL DEFAULT '{}'",
    ),
)


def migrate(db: sqlite3.Connection, steps: tuple[tuple[str, ...], ...] = MIGRATIONS) -> None:
    """Bring the database forward to the newest schema, all steps or none; `user_version` counts the steps done.

    Raises StorageError for a database of a newer fastrelay, which is left as it is.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        (done,) = db.execute("PRAGMA user_version").fetchone()
        if done > len(steps):
            raise StorageError(
                f"the database has schema {done}, this fastrelay knows {len(steps)}: use the newer version"
            )
        for step in steps[done:]:
            for statement in step:
                db.execute(statement)
        if done < len(steps):
            db.execute(f"PRAGMA user_version = {len(steps)}")
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
