"""Imports into a real database: what channels become of lists, and which ids they keep."""

import asyncio
import dataclasses
import errno
import shutil
import sqlite3
from pathlib import Path

import pytest

from fastrelay.catalog import publish
from fastrelay.catalog.channels import Around, Place
from fastrelay.catalog.playlists import Playlist, Playlists, UnknownPlaylistError
from fastrelay.catalog.stage import Order, StageError, stage
from fastrelay.catalog.stage_aside import stage_aside
from fastrelay.config import PlaylistEntry
from fastrelay.errors import ConnectError, StorageError
from tests.catalog.kit import Catalogue, entry


def counts(playlist: Playlist) -> tuple[int, ...]:
    return tuple(playlist.result[key] for key in ("added", "updated", "unchanged", "removed"))


async def test_an_entry_is_known_again_by_the_surest_thing_that_stayed(catalogue: Catalogue) -> None:
    await catalogue.take("p", entry("A", "a", "G"), entry("B", "", "G"), entry("C", "", "G", "http://c.example/"))
    changed = await catalogue.take(
        "p",
        entry("New name", "", "X", "http://c.example/"),  # by its URL
        entry("B", "", "G", "http://elsewhere.example/"),  # by name and group
        entry("A2", "a", "H", "http://x.example/"),  # by tvg-id
        entry("D"),
    )
    assert counts(changed) == (1, 3, 0, 0)
    assert await catalogue.ids() == [("New name", 3), ("B", 2), ("A2", 1), ("D", 4)]


async def test_doubles_keep_their_ids_in_order(catalogue: Catalogue) -> None:
    same = [entry("HD", "x", url="http://a/1"), entry("SD", "x", url="http://a/2"), entry("SD", "x", url="http://a/3")]
    await catalogue.take("p", *same)
    assert counts(await catalogue.take("p", *reversed(same))) == (0, 0, 3, 0)
    assert await catalogue.ids() == [("SD", 3), ("SD", 2), ("HD", 1)]
    await catalogue.take("p", same[1], same[2])
    assert await catalogue.ids() == [("SD", 2), ("SD", 3)]


@pytest.mark.parametrize("stays", [0, 1])
async def test_of_two_with_the_same_key_the_one_that_is_there_goes_on(catalogue: Catalogue, stays: int) -> None:
    two = [entry("One", "x"), entry("Two", "x")]
    await catalogue.take("p", *two)
    await catalogue.take("p", two[stays])
    await catalogue.take("p", entry("Renamed", "x"))
    assert await catalogue.ids() == [("Renamed", stays + 1)]


async def test_what_is_gone_keeps_its_id_for_its_return_and_no_id_comes_twice(catalogue: Catalogue) -> None:
    await catalogue.take("p", entry("A"), entry("B"))
    assert counts(await catalogue.take("p", entry("B"))) == (0, 0, 1, 1)
    assert await catalogue.channels.get(1) is None
    assert counts(await catalogue.take("p", entry("C"), entry("A"), entry("B"))) == (2, 0, 1, 0)
    assert await catalogue.ids() == [("C", 3), ("A", 1), ("B", 2)]
    await catalogue.playlists.delete(1)
    assert await catalogue.ids() == []
    await catalogue.playlists.sweep()
    assert await catalogue.count("channels") == await catalogue.count("entries") == 0
    await catalogue.take("q", entry("A"))
    assert await catalogue.ids() == [("A", 4)]


async def test_the_same_list_again_writes_nothing(catalogue: Catalogue) -> None:
    first = await catalogue.take("p", entry("A"), entry("B"))
    again = await catalogue.take("p", entry("A"), entry("B"))
    assert (counts(again), again.current) == ((0, 0, 2, 0), first.current)
    turned = await catalogue.take("p", entry("B"), entry("A"))
    assert (counts(turned), await catalogue.ids()) == ((0, 0, 2, 0), [("B", 2), ("A", 1)])
    await catalogue.playlists.sweep()
    assert await catalogue.count("entries") == 2


async def test_lists_are_joined_by_tvg_id(catalogue: Catalogue) -> None:
    await catalogue.take("p", entry("N", "n", url="http://p/1"), entry("X"), entry("N low", "n", url="http://p/2"))
    assert [each[1] for each in await catalogue.ids()] == [1, 2, 3]
    joined = await catalogue.take(
        "p", entry("N", "n", url="http://p/1"), entry("X"), entry("N low", "n", url="http://p/2"), merge=True
    )
    assert counts(joined) == (0, 1, 1, 1)
    await catalogue.take("q", entry("N of q", "n", url="http://q/1"), entry("Y", "y"), merge=True)
    assert await catalogue.ids() == [("N", 1), ("X", 2), ("Y", 4)]
    channel = await catalogue.channels.get(1)
    assert channel is not None
    assert (channel.source_urls, channel.playlist) == (("http://p/1", "http://p/2", "http://q/1"), "p")
    await catalogue.take("p", entry("X"), merge=True)
    assert await catalogue.ids() == [("X", 2), ("N of q", 1), ("Y", 4)]


async def test_include_and_exclude(catalogue: Catalogue) -> None:
    lines = [entry("News 1", group="World"), entry("Sport", group="News"), entry("Film"), entry("News adult")]
    await catalogue.take("p", *lines, include=("^News",), exclude=("(?i)ADULT",))
    assert [name for name, _ in await catalogue.ids()] == ["News 1", "Sport"]


async def test_finding(catalogue: Catalogue) -> None:
    await catalogue.take("p", *(entry(f"Kanal Ö {n}", group=f"G{n % 3}") for n in range(30)))
    total, page = await catalogue.channels.find(search="kanal ö 1", limit=2, offset=1)
    assert (total, [channel.entry.name for channel in page]) == (11, ["Kanal Ö 10", "Kanal Ö 11"])
    total, page = await catalogue.channels.find(group="G1", search="2")
    assert [channel.entry.name for channel in page] == ["Kanal Ö 22", "Kanal Ö 25", "Kanal Ö 28"]
    assert (await catalogue.channels.find(search="%"))[0] == (await catalogue.channels.find(group="g1"))[0] == 0
    assert await catalogue.channels.find(offset=30) == (30, [])


@pytest.mark.parametrize(
    ("name", "searched"),
    [
        ("100% Sport_x", "%"), ("100% Sport_x", "T_X"), ("a\\b", "\\"), ("it's \"x\"", "'s \""),
        ("Straße", "STRASSE"), ("İstanbul", "istanbul"), ("e\u0301te\u0301", "ÉTÉ"), ("Télé", "tele"),
        ("\u65e5\u672c", "\u672c"), ("😀 x", "😀"), ("ﬁsh", "FISH"),
    ],
)  # fmt: skip
async def test_what_people_type_is_found_and_nothing_else(catalogue: Catalogue, name: str, searched: str) -> None:
    await catalogue.take("p", entry(name, url="http://a/1"), entry("Other", url="http://a/2"))
    assert [channel.entry.name for channel in (await catalogue.channels.find(search=searched))[1]] == [name]


PASSED, CUT = Around("http://me/", "?p"), Around("http://me/cut:", "?c")


async def test_an_export_in_pieces_is_the_whole_list(catalogue: Catalogue) -> None:
    await catalogue.take("p", *(entry(f"P{n}") for n in range(7)))
    await catalogue.take("q", *(entry(f"Q{n}", url="http://me:secret@q/Live.M3U8?x") for n in range(4)))
    text, place = "", Place()
    while place is not None:
        more, place = await catalogue.channels.export(place, None, 3, PASSED, CUT)
        text += more
    lines = text.splitlines()
    assert [line.rpartition(",")[2] for line in lines[::2]] == [f"P{n}" for n in range(7)] + [f"Q{n}" for n in range(4)]
    assert lines[1::2] == [*(f"http://me/cut:{n}?c" for n in range(1, 8)), *(f"http://me/{n}?p" for n in range(8, 12))]


async def test_the_header_of_all_lists_says_no_password(catalogue: Catalogue) -> None:
    account = "http://guide.example/xmltv.php?username=me&password=mine"
    catalogue.lists["http://lists.example/one"] = (
        f'#EXTM3U url-tvg="{account},http://open.example/guide.xml" m3u-autoload="1" catchup-source="{account}"\n'
        + entry("A")
    )
    await catalogue.playlists.import_entry(PlaylistEntry(name="one", url="http://lists.example/one"))
    assert dict(await catalogue.channels.header()) == {
        "url-tvg": "http://open.example/guide.xml",
        "m3u-autoload": "1",
    }


async def test_a_failure_leaves_everything_as_it_was(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "ROWS", 2)
    before = [entry(f"{n}") for n in range(5)]
    await catalogue.take("p", *before)
    for bad in ("", "<html>", entry("x").replace("http", "\n#EXT-X-TARGETDURATION:6\nhttp")):
        with pytest.raises(StageError):
            await catalogue.take("p", bad)
        assert [name for name, _ in await catalogue.ids()] == list("01234")
    # The database refuses in the middle of the copying.
    await catalogue.store.write(
        lambda db: db.execute(
            "CREATE TRIGGER full BEFORE INSERT ON entries WHEN new.position = 4"
            " BEGIN SELECT raise(ABORT, 'no room'); END"
        )
    )
    for name in ("p", "new"):
        with pytest.raises(StorageError, match="no room"):
            await catalogue.take(name, *(entry(f"new {n}") for n in range(6)))
        assert [name for name, _ in await catalogue.ids()] == list("01234")
    assert await catalogue.store.read(_names) == [("p",)]
    await catalogue.store.write(lambda db: db.execute("DROP TRIGGER full"))
    await catalogue.take("p", *before, entry("5"))
    assert await catalogue.ids() == [(str(n), n + 1) for n in range(5)] + [("5", (await catalogue.ids())[5][1])]


def _names(db: sqlite3.Connection) -> list[tuple[str]]:
    return db.execute("SELECT name FROM playlists").fetchall()


async def test_a_large_import_gives_others_their_turn(catalogue: Catalogue) -> None:
    """Every write of the import is followed by those that waited meanwhile."""
    entries = [entry(f"{n}", f"id{n}") for n in range(20_000)]
    importing = asyncio.create_task(catalogue.take("p", *entries))
    turns = 0
    while not importing.done():
        assert await catalogue.store.write(lambda db: db.execute("UPDATE next_channel SET id = id").rowcount) == 1
        turns += 1
        await asyncio.sleep(0)
    assert counts(importing.result()) == (20_000, 0, 0, 0)
    # The import writes in batches of 2,000 rows.
    assert turns >= 8


async def test_staging_aside_is_the_same(catalogue: Catalogue, tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_text(f'#EXTM3U a="b"\n{entry("A")}rubbish\n')
    order = Order(str(file), str(tmp_path / "s1"), str(catalogue.store.path), 1, None)
    here = stage(order)
    assert await stage_aside(dataclasses.replace(order, staging=str(tmp_path / "s2"))) == here
    assert (here.added, here.rejected, here.header) == (1, 1, (("a", "b"),))
    file.write_text("<html>")
    with pytest.raises(StageError, match="expected an M3U list"):
        await stage_aside(dataclasses.replace(order, staging=str(tmp_path / "s3")))


async def test_a_list_that_is_not_there(catalogue: Catalogue) -> None:
    with pytest.raises(ConnectError):
        await catalogue.playlists.import_url("p", "http://nowhere.example/")
    assert await catalogue.playlists.all() == []
    with pytest.raises(UnknownPlaylistError):
        await catalogue.playlists.get(1)
    made = await catalogue.take("p", entry("A"))
    catalogue.lists.clear()
    with pytest.raises(ConnectError):
        await catalogue.playlists.refresh(made.id)
    kept = await catalogue.playlists.get(made.id)
    assert (kept.failure, kept.current) == ("nobody there", made.current)


async def test_a_full_disk_is_told_and_a_list_lives_on(catalogue: Catalogue) -> None:
    """Whoever keeps the list up to date tries again after any of our errors, and after no other."""

    async def full(url: str, path: Path) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    made = await catalogue.take("p", entry("A"))
    playlists = Playlists(catalogue.store, catalogue.folder / "incoming", full, catalogue.imported)
    with pytest.raises(StorageError, match="No space left"):
        await playlists.refresh(made.id)
    assert "No space left" in str((await catalogue.playlists.get(made.id)).failure)
    await asyncio.to_thread((catalogue.folder / "file").touch)
    playlists = Playlists(catalogue.store, catalogue.folder / "file", full, catalogue.imported)
    with pytest.raises(StorageError, match="File exists"):
        await playlists.refresh(made.id)
    with pytest.raises(StorageError, match="File exists"):
        playlists.new_file()


async def test_an_import_that_was_cut_off_is_swept_up(catalogue: Catalogue) -> None:
    await catalogue.take("p", entry("A"))
    await catalogue.store.write(lambda db: db.execute("INSERT INTO imports (playlist, started) VALUES (1, 0)"))
    await catalogue.store.write(
        lambda db: db.execute(
            "INSERT INTO entries SELECT 2, position, channel, lead, joined, grp, folded, url, text,"
            " shown, digest FROM entries"
        )
    )
    (catalogue.folder / "incoming").mkdir(exist_ok=True)
    shutil.copy(catalogue.store.path, catalogue.folder / "incoming" / "left-over")
    await catalogue.playlists.empty_folder()
    await catalogue.playlists.sweep()
    assert (await catalogue.count("entries"), await catalogue.count("imports")) == (1, 1)
    assert await catalogue.ids() == [("A", 1)]
    assert not (catalogue.folder / "incoming").exists()


async def test_of_a_deleted_list_nothing_is_left_however_long_it_was(catalogue: Catalogue) -> None:
    kept = await catalogue.take("q", entry("Q"))
    made = await catalogue.take("p", *(entry(f"{n}") for n in range(2 * publish.ROWS + 1)))
    await catalogue.playlists.delete(made.id)
    await catalogue.playlists.sweep()
    assert [await catalogue.count(table) for table in ("channels", "entries", "imports")] == [1, 1, 1]
    assert (await catalogue.playlists.all()) == [kept]
