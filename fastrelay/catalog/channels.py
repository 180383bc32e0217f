"""The channels of all imported lists, read from the database as they are asked for: there may be hundreds of thousands.

Searching 400,000 channels reads through one index in 60 ms, in the storage thread and without the interpreter.
"""

import json
import sqlite3
from dataclasses import dataclass, field
from typing import NamedTuple

from fastrelay.catalog.m3u import Attributes, Entry, is_secret, read_entry
from fastrelay.catalog.search import fold
from fastrelay.catalog.store import Store

Values = dict[str, int | str | None]

STREAM_PREFIX = "channel:"
"""What a channel's stream id begins with; its id follows."""

# A channel that several lists join is listed where it stands first; `lead` says the same within one list.
_LISTED = """
    FROM playlists p CROSS JOIN entries e INDEXED BY entries_listed ON e.import = p.current
    WHERE e.lead AND (:group IS NULL OR e.grp = :group) AND (:search = '' OR instr(e.folded, :search))
        AND (NOT e.joined OR NOT EXISTS (
            SELECT 1 FROM entries other JOIN playlists before ON before.current = other.import
            WHERE other.channel = e.channel AND before.id < p.id
        ))
"""
_COUNT = f"SELECT count(*) {_LISTED}"
_PAGE = f"SELECT e.channel {_LISTED} ORDER BY p.id, e.position LIMIT :limit OFFSET :offset"
_GROUPS = f"SELECT e.grp, count(*) {_LISTED} GROUP BY e.grp ORDER BY e.grp COLLATE NOCASE LIMIT :limit"
_ENTRIES = """
    SELECT e.text, e.url, p.name
    FROM entries e INDEXED BY entries_of_channel JOIN playlists p ON p.current = e.import
    WHERE e.channel = ? ORDER BY p.id, e.position
"""
# Those that no list has, nor could have again: the list that a channel belongs to is gone, or lists only joined it.
_GONE = """
    SELECT value FROM json_each(?)
    WHERE NOT EXISTS (SELECT 1 FROM entries e JOIN playlists p ON p.current = e.import WHERE e.channel = value)
        AND NOT EXISTS (
            SELECT 1 FROM channels c JOIN playlists p ON p.id = c.playlist
            WHERE c.id = value AND NOT c.joined AND p.current IS NOT NULL
        )
"""
# SQLite itself puts the text together: in Python the largest lists would keep the interpreter busy for seconds.
_EXPORT = f"""
    SELECT group_concat(piece, ''), count(*), max(list), max(at) FROM (
        SELECT p.id AS list, e.position AS at,
            (SELECT coalesce(shown, text) FROM entries WHERE import = e.import AND position = e.position)
                || iif(e.url LIKE '%.m3u8%', :hls_before || e.channel || :hls_behind,
                    :before || e.channel || :behind) || char(10) AS piece
        {_LISTED} AND p.id = :list AND e.position > :position
        ORDER BY e.position LIMIT :limit
    )
"""


@dataclass(frozen=True, slots=True)
class Channel:
    """`source_urls` are in the order of preference and whole, as are the attributes."""

    id: int
    entry: Entry = field(repr=False)
    """The first one, which gives the channel its name and attributes."""
    source_urls: tuple[str, ...] = field(repr=False)
    playlist: str

    @property
    def stream_id(self) -> str:
        return f"{STREAM_PREFIX}{self.id}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an export stands: behind this position of this list (its id)."""

    playlist: int = 0
    position: int = 0


class Around(NamedTuple):
    """What stands in a URI before a channel's id, and behind it."""

    before: str
    behind: str


class Channels:
    """Every method raises StorageError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(
        self, search: str = "", group: str | None = None, offset: int = 0, limit: int = 100
    ) -> tuple[int, list[Channel]]:
        """How many channels have `search` in their name (see `fold`) and are in `group`; and a page of them."""
        values = {"search": fold(search), "group": group, "offset": offset, "limit": limit}

        def work(db: sqlite3.Connection) -> tuple[int, list[Channel]]:
            (total,) = db.execute(_COUNT, values).fetchone()
            return total, _those(db, [row[0] for row in db.execute(_PAGE, values)])

        return await self._store.read(work)

    async def groups(self, limit: int) -> list[tuple[str, int]]:
        """The first groups in the order of their names, and how many channels each has."""
        values: Values = {"search": "", "group": None, "limit": limit}
        return await self._store.read(lambda db: db.execute(_GROUPS, values).fetchall())

    async def get(self, channel_id: int) -> Channel | None:
        """The channel, if a list has it now."""
        return await self._store.read(lambda db: _channel(db, channel_id))

    async def some(self, channel_ids: list[int]) -> list[Channel]:
        """Those of these channels that a list has now."""
        return await self._store.read(lambda db: _those(db, channel_ids))

    async def gone(self, channel_ids: list[int]) -> list[int]:
        """Those of these channels that went with their list, or with the last one that joined them. Those that only
        a refresh took from a list that is still there are not among them."""
        values = (json.dumps(channel_ids),)
        return [row[0] for row in await self._store.read(lambda db: db.execute(_GONE, values).fetchall())]

    async def header(self) -> Attributes:
        """The #EXTM3U attributes of all lists in one: guides side by side, of others the first list's."""
        rows = await self._store.read(
            lambda db: db.execute("SELECT header FROM playlists WHERE current IS NOT NULL ORDER BY id").fetchall()
        )
        return _merge([pair for (text,) in rows for pair in json.loads(text)])

    async def export(
        self, place: Place, group: str | None, limit: int, hls: Around, other: Around
    ) -> tuple[str, Place | None]:
        """Some more of all channels as list entries, and where to go on (None: that was all).

        `hls` makes the URIs of channels whose source is called so, `other` those of the rest. A list that is imported
        meanwhile goes on in its new version.
        """
        values: Values = {
            "group": group,
            "search": "",
            "limit": limit,
            "hls_before": hls.before,
            "hls_behind": hls.behind,
            "before": other.before,
            "behind": other.behind,
        }
        return await self._store.read(lambda db: _export(db, place, values))


def _those(db: sqlite3.Connection, channel_ids: list[int]) -> list[Channel]:
    return [channel for channel in (_channel(db, each) for each in channel_ids) if channel is not None]


def _channel(db: sqlite3.Connection, channel_id: int) -> Channel | None:
    rows = db.execute(_ENTRIES, (channel_id,)).fetchall()
    if not rows:
        return None
    text, url, playlist = rows[0]
    return Channel(channel_id, read_entry(text, url), tuple(dict.fromkeys(row[1] for row in rows)), playlist)


def _export(db: sqlite3.Connection, place: Place, values: Values) -> tuple[str, Place | None]:
    lists = db.execute("SELECT id FROM playlists WHERE current IS NOT NULL AND id >= ? ORDER BY id", (place.playlist,))
    for (playlist,) in lists.fetchall():
        position = place.position if playlist == place.playlist else 0
        text, count, _, at = db.execute(_EXPORT, {**values, "list": playlist, "position": position}).fetchone()
        if count == values["limit"]:
            return text, Place(playlist, at)
        if count:
            return text, Place(playlist + 1)
    return "", None


_GUIDES = ("url-tvg", "x-tvg-url")


def _merge(pairs: list[list[str]]) -> Attributes:
    merged: dict[str, list[str]] = {}
    for key, value in pairs:
        if key.lower() in _GUIDES:
            guides = [guide.strip() for guide in value.split(",")]
            merged.setdefault(key, []).extend(each for each in guides if each and not is_secret(each))
        elif not is_secret(value):
            merged.setdefault(key, [value])
    joined = ((key, ",".join(dict.fromkeys(values))) for key, values in merged.items())
    return tuple((key, value) for key, value in joined if value)
