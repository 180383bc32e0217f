"""Relays in memory and in the database say the same, whoever declares, changes or breaks them."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fastrelay.catalog.relays import Changes, ConfiguredRelayError, PathTakenError, Relay, Relays, UnknownRelayError
from fastrelay.catalog.store import Store
from fastrelay.config import RelayEntry
from fastrelay.errors import StorageError

URLS = ("http://a.example/1.ts", "http://b.example/2.ts|User-Agent=Ä")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path / "fastrelay.db")
    yield opened
    await opened.close()


@pytest.fixture
async def relays(store: Store) -> Relays:
    return await Relays.load(store, [])


def entry(output_path: str, name: str = "From the file", url: str = "file:///srv/a.ts") -> RelayEntry:
    return RelayEntry(name=name, output_path=output_path, source_urls=(url,))


async def reloaded(store: Store, *configured: RelayEntry) -> Relays:
    return await Relays.load(store, configured)


async def test_create_update_delete_and_reload(store: Store, relays: Relays) -> None:
    news = await relays.create("News ☕", "news", URLS)
    sport = await relays.create("Sport", "sport", URLS[:1])
    assert news == Relay(news.id, "News ☕", "news", URLS, "api")
    assert (relays.by_path("news"), relays.by_id(sport.id), relays.all()) == (news, sport, (news, sport))
    assert (await reloaded(store)).all() == (news, sport)

    before, after = await relays.update(news.id, "New", "fresh", URLS[1:])
    assert (before, after) == (news, Relay(news.id, "New", "fresh", URLS[1:], "api"))
    assert (relays.by_path("news"), relays.by_path("fresh")) == (None, after)
    assert (await reloaded(store)).all() == (after, sport)

    assert await relays.delete(news.id) == after
    assert (relays.by_id(news.id), relays.by_path("fresh"), relays.all()) == (None, None, (sport,))
    assert (await reloaded(store)).all() == (sport,)


async def test_ids_are_never_used_again(store: Store, relays: Relays) -> None:
    first = await relays.create("A", "a", URLS)
    await relays.delete(first.id)
    assert (await (await reloaded(store)).create("A", "a", URLS)).id > first.id


async def test_a_taken_path_is_refused(relays: Relays) -> None:
    news = await relays.create("News", "news", URLS)
    sport = await relays.create("Sport", "sport", URLS)
    with pytest.raises(PathTakenError, match="'news' belongs to another relay"):
        await relays.create("Other", "news", URLS)
    with pytest.raises(PathTakenError):
        await relays.update(sport.id, "Sport", "news", URLS)
    await relays.update(news.id, "News again", "news", URLS)


async def test_of_many_who_want_a_path_at_once_one_gets_it(relays: Relays) -> None:
    outcomes = await asyncio.gather(
        *(relays.create(f"{number}", "news", URLS) for number in range(10)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Relay) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, PathTakenError) for outcome in outcomes) == 9


async def test_unknown_ids(relays: Relays) -> None:
    with pytest.raises(UnknownRelayError, match="no relay 7"):
        await relays.update(7, "A", "a", URLS)
    with pytest.raises(UnknownRelayError):
        await relays.delete(7)


async def test_relays_of_the_file_keep_their_ids_and_are_not_changed(store: Store) -> None:
    relays = await reloaded(store, entry("news"), entry("sport"))
    news, sport = relays.all()
    assert (news.origin, news.source_urls) == ("config", ("file:///srv/a.ts",))
    with pytest.raises(ConfiguredRelayError, match="'news' is declared in the configuration file"):
        await relays.delete(news.id)
    with pytest.raises(ConfiguredRelayError):
        await relays.update(news.id, "A", "a", URLS)
    with pytest.raises(PathTakenError):
        await relays.create("A", "news", URLS)
    # Gone for a while, in another order, with other words: the path has its id for good.
    await reloaded(store)
    again = await reloaded(store, entry("sport", name="Other"), entry("tv"), entry("news"))
    assert [again.by_path(path) and again.by_path(path).id for path in ("news", "sport")] == [news.id, sport.id]  # type: ignore[union-attr]


async def test_sources_of_the_file_are_not_in_the_database(store: Store) -> None:
    await reloaded(store, entry("news", url="http://u:secret@a.example/"))
    rows = await store.read(lambda db: db.execute("SELECT name, source_urls FROM relays").fetchall())
    assert rows == [(None, None)]


async def test_the_file_wins_and_what_it_hides_comes_back(
    store: Store, relays: Relays, caplog: pytest.LogCaptureFixture
) -> None:
    made = await relays.create("Made", "news", URLS)
    with caplog.at_level(logging.WARNING):
        changes = await relays.replace_configured([entry("news")])
    declared = relays.by_path("news")
    assert declared is not None
    assert declared.origin == "config"
    assert changes == Changes(changed=(declared,))
    assert (relays.by_id(made.id), relays.all()) == (None, (declared,))
    assert f"relay {made.id} at 'news' is hidden" in caplog.text
    with pytest.raises(UnknownRelayError):
        await relays.delete(made.id)
    assert (await reloaded(store, entry("news"))).all() == (declared,)

    assert await relays.replace_configured([]) == Changes(changed=(made,))
    assert (relays.by_path("news"), relays.by_id(made.id)) == (made, made)


async def test_replace_configured_tells_what_changed(store: Store) -> None:
    relays = await reloaded(store, entry("same"), entry("other"), entry("gone"))
    gone = relays.by_path("gone")
    changes = await relays.replace_configured([entry("new"), entry("other", url="http://b/"), entry("same")])
    assert changes.removed == (gone,)
    assert [relay.output_path for relay in changes.added] == ["new"]
    assert [relay.source_urls for relay in changes.changed] == [("http://b/",)]
    assert await relays.replace_configured([entry("same"), entry("other", url="http://b/"), entry("new")]) == Changes()


async def refusing(store: Store, relays: Relays) -> None:
    """Every kind of change is refused by the storage, and memory stays as it is."""
    before = relays.all()
    relay = before[0]
    for change in (
        relays.create("A", "a", URLS),
        relays.update(relay.id, "B", "b", URLS),
        relays.delete(relay.id),
        relays.replace_configured([entry("never-seen")]),
    ):
        with pytest.raises(StorageError):
            await change
        assert relays.all() == before
        assert relays.by_path(relay.output_path) is relay


async def test_a_refused_change_changes_nothing(store: Store, relays: Relays) -> None:
    await relays.create("News", "news", URLS)
    await store.read(lambda db: db.execute("PRAGMA query_only = ON"))
    await refusing(store, relays)
    await store.read(lambda db: db.execute("PRAGMA query_only = OFF"))
    assert (await reloaded(store)).all() == relays.all()


async def test_known_relays_of_the_file_need_no_write(store: Store) -> None:
    """So a server whose disk is full still starts, and still re-reads its configuration."""
    await reloaded(store, entry("news"))
    await store.read(lambda db: db.execute("PRAGMA query_only = ON"))
    relays = await reloaded(store, entry("news", name="Other"))
    assert [relay.name for relay in relays.all()] == ["Other"]


async def test_a_cancelled_change_is_in_the_database_and_in_memory_or_in_neither(store: Store, relays: Relays) -> None:
    holder = sqlite3.connect(store.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    caller = asyncio.create_task(relays.create("News", "news", URLS))
    follower = asyncio.create_task(relays.create("Sport", "sport", URLS))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    caller.cancel()
    holder.execute("ROLLBACK")
    holder.close()
    await asyncio.wait_for(follower, 30)
    assert caller.cancelled()
    assert [relay.output_path for relay in relays.all()] == ["news", "sport"]
    assert (await reloaded(store)).all() == relays.all()


def test_the_repr_shows_no_source() -> None:
    assert "secret" not in repr(Relay(1, "a", "a", ("http://u:secret@a/",), "api"))
