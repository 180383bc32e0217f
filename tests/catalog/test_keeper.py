"""When lists are imported again. The pauses are the keeper's own; the test ends them and says what time it is."""

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fastrelay.catalog.keeper import Keeper
from fastrelay.catalog.playlists import Playlist
from fastrelay.config import PlaylistEntry
from tests.catalog.kit import Catalogue, entry, opened

URL = "http://lists.example/list"
LIST = "#EXTM3U\n" + entry("A")


class Pauses:
    """Those that are made, in order, and those that are given up."""

    def __init__(self) -> None:
        self._made: asyncio.Queue[tuple[float, asyncio.Event]] = asyncio.Queue()
        self._given_up: asyncio.Queue[float] = asyncio.Queue()

    async def sleep(self, seconds: float) -> None:
        over = asyncio.Event()
        self._made.put_nowait((seconds, over))
        try:
            await over.wait()
        except asyncio.CancelledError:
            self._given_up.put_nowait(seconds)
            raise

    async def next(self) -> tuple[float, asyncio.Event]:
        """Seconds of the next pause, and what ends it."""
        async with asyncio.timeout(30):
            return await self._made.get()

    async def past(self) -> float:
        """Seconds of the next pause, which is over."""
        seconds, over = await self.next()
        over.set()
        return seconds

    async def given_up(self) -> float:
        async with asyncio.timeout(30):
            return await self._given_up.get()

    def none_left(self) -> bool:
        return self._made.empty() and self._given_up.empty()


@dataclasses.dataclass
class Clock:
    """Unix time, as the test says."""

    time: float = 0.0

    def now(self) -> float:
        return self.time


@asynccontextmanager
async def kept(
    folder: Path, pauses: Pauses, declared: Iterable[PlaylistEntry] = (), clock: Clock | None = None
) -> AsyncIterator[tuple[Catalogue, Keeper]]:
    """A process that keeps its lists; another one in the same folder goes on where it stopped."""
    async with opened(folder) as catalogue:
        keeper = Keeper(catalogue.playlists, pauses.sleep, (clock or Clock()).now)
        catalogue.hears = keeper.look_after
        await keeper.start(declared)
        yield catalogue, keeper
        await keeper.stop()


async def imported(catalogue: Catalogue) -> float:
    (playlist,) = await catalogue.playlists.all()
    return time_of(playlist)


def time_of(playlist: Playlist) -> float:
    assert playlist.imported is not None
    return playlist.imported


async def test_a_list_that_fails_is_tried_at_twice_the_distance_each_time(tmp_path: Path) -> None:
    pauses, declared = Pauses(), PlaylistEntry(name="p", url=URL, refresh=21600.0)
    async with kept(tmp_path, pauses, [declared]) as (catalogue, _):
        assert [await pauses.past() for _ in range(7)] == [0, 60, 120, 240, 480, 960, 1920]
        assert [await pauses.past() for _ in range(2)] == [3600, 3600]
        (_, over) = await pauses.next()
        catalogue.lists[URL] = LIST
        over.set()
        assert await pauses.past() == 21600
        (_, over) = await pauses.next()
        del catalogue.lists[URL]
        over.set()
        assert [await pauses.past() for _ in range(2)] == [60, 120], "a success begins anew"


async def test_a_list_that_fails_does_not_wait_longer_than_for_its_refresh(tmp_path: Path) -> None:
    pauses, declared = Pauses(), PlaylistEntry(name="p", url=URL, refresh=90.0)
    async with kept(tmp_path, pauses, [declared]):
        assert [await pauses.past() for _ in range(5)] == [0, 60, 90, 90, 90]


async def test_a_list_without_refresh_is_tried_until_it_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pauses = Pauses()
    caplog.set_level(logging.INFO, "fastrelay.catalog.keeper")
    async with kept(tmp_path, pauses, [PlaylistEntry(name="p", url=URL)]) as (catalogue, keeper):
        assert [await pauses.past() for _ in range(2)] == [0, 60]
        (_, over) = await pauses.next()
        catalogue.lists[URL] = LIST
        over.set()
        async with asyncio.timeout(30):
            while "is imported" not in caplog.text:  # noqa: ASYNC110  # nothing else tells
                await asyncio.sleep(0.01)
        await keeper.stop()
        assert pauses.none_left()


async def test_the_next_refresh_counts_from_the_last_import_also_across_a_restart(tmp_path: Path) -> None:
    pauses = Pauses()
    async with kept(tmp_path, pauses) as (catalogue, _):
        catalogue.lists[URL] = LIST
        await catalogue.playlists.import_url("p", URL, {"refresh": 3600.0})
        await pauses.past()
        assert (await pauses.next())[0] == 3600
        last = await imported(catalogue)
    assert await pauses.given_up() == 3600, "the server stops"
    for ago, left in ((1000, 2600), (3599, 1), (9000, -5400)):
        async with kept(tmp_path, pauses, clock=Clock(last + ago)):
            assert (await pauses.next())[0] == pytest.approx(left)
    async with kept(tmp_path, pauses, clock=Clock(last + 9000)) as (catalogue, _):
        catalogue.lists[URL] = LIST
        await pauses.past()
        assert (await pauses.next())[0] == 3600
        assert await imported(catalogue) > last


async def test_an_import_by_hand_lets_the_time_until_the_next_one_start_anew(tmp_path: Path) -> None:
    pauses, clock = Pauses(), Clock()
    async with kept(tmp_path, pauses, clock=clock) as (catalogue, _):
        catalogue.lists[URL] = LIST
        await catalogue.playlists.import_url("p", URL, {"refresh": 3600.0})
        (_, over) = await pauses.next()
        for again in (catalogue.playlists.refresh(1), catalogue.playlists.import_url("p", URL)):
            last = time_of(await again)
            fetched = catalogue.fetched
            clock.time = last + 1000
            over.set()
            (seconds, over) = await pauses.next()
            assert seconds == pytest.approx(2600)
            assert catalogue.fetched == fetched, "it was fetched again"
        over.set()
        assert (await pauses.next())[0] == 3600
        assert catalogue.fetched == fetched + 1


async def test_a_list_that_failed_is_not_tried_again_when_somebody_got_it_by_hand(tmp_path: Path) -> None:
    pauses, clock = Pauses(), Clock()
    declared = [PlaylistEntry(name="p", url=URL, refresh=3600.0), PlaylistEntry(name="once", url=f"{URL}/once")]
    async with kept(tmp_path, pauses, declared, clock=clock) as (catalogue, keeper):
        assert [await pauses.past() for _ in range(2)] == [0, 0]
        assert [await pauses.past() for _ in range(2)] == [60, 60]
        waiting = [await pauses.next() for _ in range(2)]
        assert [seconds for seconds, _ in waiting] == [120, 120]
        catalogue.lists |= {URL: LIST, f"{URL}/once": LIST}
        for playlist in await catalogue.playlists.all():
            clock.time = time_of(await catalogue.playlists.refresh(playlist.id))
        for _, over in waiting:
            over.set()
        assert (await pauses.next())[0] == pytest.approx(3600, abs=60)
        assert catalogue.fetched == 2
        await keeper.stop()
        assert await pauses.given_up() == pytest.approx(3600, abs=60)
        assert pauses.none_left(), "the list without refresh is done with"


async def test_a_clock_that_is_set_back_does_not_put_off_a_list_for_longer_than_its_refresh(tmp_path: Path) -> None:
    pauses, clock = Pauses(), Clock()
    async with kept(tmp_path, pauses, clock=clock) as (catalogue, _):
        catalogue.lists[URL] = LIST
        clock.time = time_of(await catalogue.playlists.import_url("p", URL, {"refresh": 3600.0}))
        (_, over) = await pauses.next()
        await catalogue.playlists.refresh(1)
        clock.time -= 1e8
        over.set()
        assert await pauses.past() == 3600
        assert (await pauses.next())[0] == 3600
        assert catalogue.fetched == 3


async def test_a_list_that_leaves_the_configuration_is_given_up_and_the_others_are_let_be(tmp_path: Path) -> None:
    pauses = Pauses()
    stays, leaves = (
        PlaylistEntry(name=name, url=URL, refresh=at) for name, at in (("stays", 900.0), ("leaves", 800.0))
    )
    async with kept(tmp_path, pauses) as (catalogue, keeper):
        catalogue.lists[URL] = LIST
        await keeper.declare([stays, leaves])
        assert [await pauses.past() for _ in range(2)] == [0, 0]
        assert sorted([(await pauses.next())[0], (await pauses.next())[0]]) == [800, 900]
        told = catalogue.told
        await keeper.declare([stays])
        assert await pauses.given_up() == 800
        changed = PlaylistEntry(name="stays", url=URL, refresh=700.0)
        await keeper.declare([changed])
        assert await pauses.given_up() == 900
        assert await pauses.past() == 0
        assert (await pauses.next())[0] == 700
        assert catalogue.told == told + 1
        assert pauses.none_left()


async def test_a_list_of_the_api_is_given_up_when_it_is_deleted_or_its_wishes_change(tmp_path: Path) -> None:
    pauses = Pauses()
    async with kept(tmp_path, pauses) as (catalogue, _):
        catalogue.lists[URL] = LIST
        await catalogue.playlists.import_url("p", URL, {"refresh": 3600.0})
        (first, _) = await pauses.next()
        await catalogue.playlists.import_url("p", URL, {"refresh": 1800.0})
        assert await pauses.given_up() == first
        (second, _) = await pauses.next()
        assert second < first
        await catalogue.playlists.delete(1)
        assert await pauses.given_up() == second
        assert pauses.none_left()
