"""Places of provider accounts: who gets one, who has to go, and what is left when nobody wants any more."""

import asyncio
from dataclasses import dataclass, field

import pytest

from fastrelay.errors import AccountLimitError
from fastrelay.sources.account_policy import Audience, whom_to_stop
from fastrelay.sources.accounts import LEAVING, SETTLING, Accounts, Place

ANNA, BERT = ("10.0.0.1", "VLC"), ("10.0.0.2", "VLC")
SOMEBODY = Audience(connected=frozenset({ANNA}), newcomers=frozenset({ANNA}))
NOW = 0.0
"""Patience of those who do not wait for anybody to leave."""


@dataclass(frozen=True)
class Account:
    id: int = 1
    name: str = "mine"
    max_connections: int = 1


ONE = Account()


@dataclass
class Holder:
    id: str
    watching: Audience = SOMEBODY
    place: Place | None = None
    reasons: list[str] = field(default_factory=list)

    def audience(self) -> Audience:
        return self.watching

    def vacate(self, reason: str) -> None:
        self.reasons.append(reason)

    def leave(self, accounts: Accounts, since: float = 0.0) -> None:
        self.watching = Audience(quiet_since=since)
        accounts.look_again()

    def closed(self) -> None:
        assert self.place is not None
        self.place.release()


async def seated(accounts: Accounts, name: str, watching: Audience = SOMEBODY, account: Account = ONE) -> Holder:
    holder = Holder(name, watching)
    holder.place = await accounts.acquire(account, holder, NOW)
    holder.watching = watching
    return holder


def asking(accounts: Accounts, holder: Holder, patience: float = 60.0) -> asyncio.Task[Place]:
    return asyncio.create_task(accounts.acquire(ONE, holder, patience))


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def audience(since: float = 0.0, connected: tuple[int, ...] = (), polling: tuple[int, ...] = ()) -> Audience:
    viewers = (ANNA, BERT)
    return Audience(
        connected=frozenset(viewers[number] for number in connected),
        polling=frozenset(viewers[number] for number in polling),
        quiet_since=since,
    )


@pytest.mark.parametrize(
    ("held", "stopped"),
    [
        ([], None),
        ([audience(connected=(0,))], None),
        ([audience(5), audience(3), audience(4)], 1),
        ([audience(5), audience(1, connected=(1,))], 0),
        ([audience(1, polling=(0,)), audience(5)], 1),
        ([audience(5, polling=(0,)), audience(3, polling=(0,))], 1),
        ([audience(polling=(1,))], None),
        ([audience(polling=(0, 1))], None),
        ([audience(connected=(0,), polling=(0,))], None),
    ],
)
def test_whose_connection_goes(held: list[Audience], stopped: int | None) -> None:
    """Anna asks. What nobody watches goes, longest quiet first; then what only she may still be watching over HLS."""
    assert whom_to_stop(held, frozenset({ANNA})) == stopped


async def test_a_place_is_free_only_when_the_connection_is_closed() -> None:
    accounts = Accounts()
    old, new = await seated(accounts, "old"), Holder("new")
    old.leave(accounts)
    asked = asking(accounts, new)
    await turns()
    assert old.reasons == ["stopped to free a connection of account 'mine' for new"]
    assert not asked.done()
    old.closed()
    place = await asked
    assert place.single
    place.release()
    place.release()
    assert await asking(accounts, Holder("third"), NOW)


async def test_of_many_who_race_for_one_place_each_gets_it_once_in_turn() -> None:
    accounts = Accounts()
    old = await seated(accounts, "old")
    racing = [Holder(f"r{number}") for number in range(20)]
    tasks = [asking(accounts, holder) for holder in racing]
    await turns()
    old.leave(accounts)
    assert len(old.reasons) == 1
    old.closed()
    for number, task in enumerate(tasks):
        await turns()
        assert [one.done() for one in tasks].count(True) == number + 1
        (await task).release()


async def test_who_is_cancelled_gives_back_what_he_had_or_was_promised() -> None:
    accounts = Accounts()
    old = await seated(accounts, "old")
    old.leave(accounts)
    first, second = asking(accounts, Holder("first")), asking(accounts, Holder("second"))
    await turns()
    assert old.reasons == ["stopped to free a connection of account 'mine' for first"]
    first.cancel()
    await turns()
    old.closed()
    second.cancel()  # the place is his by now, and he never learns it
    await asyncio.wait({first, second})
    assert first.cancelled()
    assert second.cancelled()
    assert await asking(accounts, Holder("third"), NOW)


async def test_what_was_promised_to_one_who_went_is_promised_to_the_next() -> None:
    accounts, patience = Accounts(), 0.05
    old = await seated(accounts, "old")
    old.leave(accounts)
    first, second = asking(accounts, Holder("first")), asking(accounts, Holder("second"), patience)
    await turns()
    first.cancel()
    # Longer than he would wait for somebody to leave: a place that is being vacated for him he waits for to the end.
    await asyncio.wait({second}, timeout=4 * patience)
    old.closed()
    assert (await second).holder.id == "second"


async def test_a_stream_that_nobody_waits_for_gets_no_connection() -> None:
    accounts = Accounts()
    await seated(accounts, "old")
    zapped = Holder("zapped")
    asked = asking(accounts, zapped)
    await turns()
    zapped.leave(accounts)
    with pytest.raises(AccountLimitError, match="nobody waits"):
        await asked


async def test_who_has_pictures_does_not_wait_but_takes_what_nobody_watches() -> None:
    accounts = Accounts()
    old = await seated(accounts, "old")
    with pytest.raises(AccountLimitError, match=r"'mine' allows 1 connection\(s\), in use by old"):
        await asking(accounts, Holder("new"), NOW)
    old.leave(accounts)
    asked = asking(accounts, Holder("new"), NOW)
    await turns()
    old.closed()
    assert await asked


async def test_each_newcomer_has_his_own_patience() -> None:
    accounts = Accounts()
    await seated(accounts, "old")
    loop = asyncio.get_running_loop()
    asked_at = loop.time()
    new = Holder("new")
    asked = asking(accounts, new, LEAVING / 4)
    new.watching = Audience(connected=frozenset({ANNA, BERT}), newest=asked_at + LEAVING / 4)
    with pytest.raises(AccountLimitError):
        await asked
    assert loop.time() - asked_at >= LEAVING / 2


async def test_only_as_many_are_stopped_as_are_needed() -> None:
    accounts = Accounts()
    two = Account(max_connections=2)
    old = [await seated(accounts, name, account=two) for name in ("a", "b")]
    for number, holder in enumerate(old):
        holder.leave(accounts, since=number)
    asked = asyncio.create_task(accounts.acquire(two, Holder("new")))
    await turns()
    assert [len(holder.reasons) for holder in old] == [1, 0]
    old[0].closed()
    await asked


async def test_a_lower_limit_stops_more_than_one() -> None:
    accounts = Accounts()
    old = [await seated(accounts, str(number), account=Account(max_connections=0)) for number in range(3)]
    for holder in old:
        holder.leave(accounts)
    asked = asking(accounts, Holder("new"))
    await turns()
    assert [len(holder.reasons) for holder in old] == [1, 1, 1]
    for holder in old:
        assert not asked.done()
        holder.closed()
    assert await asked


async def test_a_refusal_may_mean_the_connection_before_for_a_while() -> None:
    accounts = Accounts()
    first = await seated(accounts, "first")
    assert first.place is not None
    loop = asyncio.get_running_loop()
    assert first.place.settled_at < loop.time()
    first.closed()
    second = await seated(accounts, "second")
    assert second.place is not None
    assert 0 < second.place.settled_at - loop.time() <= SETTLING
    other = await seated(accounts, "other", account=Account(id=2))
    assert other.place is not None
    assert other.place.settled_at < loop.time()
