"""Places at the providers: how many connections an account has, who holds them, and who waits for one.

place = await accounts.acquire(account, holder)     # may stop another stream of the account, and waits for its end
try:
    ...                                             # one connection at a time
finally:
    await source.close()
    place.release()                                 # only now may somebody else dial
"""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from fastrelay.errors import AccountLimitError
from fastrelay.sources.account_policy import Audience, whom_to_stop

LEAVING = 1.0
"""Seconds a newcomer waits for somebody else to leave. Players that zap often open the next channel before they close
the last one, and a close takes a moment to arrive; whoever is still there after that is somebody who watches."""

SETTLING = 2.0
"""Seconds in which a provider may still count a connection that has been closed."""


class Account(Protocol):
    """A provider account, as the catalogue knows it."""

    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str:
        """For people."""

    @property
    def max_connections(self) -> int:
        """0 for no limit."""


class Holder(Protocol):
    """A stream, as holder of a connection or waiting for one. All calls come from the loop."""

    @property
    def id(self) -> str: ...

    def audience(self) -> Audience:
        """Who watches now."""

    def vacate(self, reason: str) -> None:
        """Begin to stop; the place is to be released when the connection is closed. `reason` is for people."""


class Place:
    """The right to one connection of an account, until it is released."""

    def __init__(self, accounts: "Accounts", account: Account, holder: Holder, settled_at: float) -> None:
        self.account = account
        self.holder = holder
        self.settled_at = settled_at
        """Loop time until which a refusal by the provider may mean a connection that was closed before."""
        self.leaving = False
        """Its holder was asked to stop."""
        self._accounts = accounts

    @property
    def single(self) -> bool:
        """Whether the provider counts: then there must never be a second connection, not even an idle one."""
        return self.account.max_connections > 0

    def release(self) -> None:
        """The connection is closed on the wire. Idempotent."""
        self._accounts.released(self)


class _Request:
    """Somebody who waits for a place."""

    def __init__(self, holder: Holder, patience: float, now: float) -> None:
        self.holder = holder
        self.patience = patience
        self.since = now
        self.place: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        self.promised = False
        """The connection that will be his is being closed."""

    def deadline(self) -> float:
        """Loop time; each newcomer has his own patience."""
        return max(self.since, self.holder.audience().newest) + self.patience


@dataclass(slots=True)
class _Pool:
    """One account."""

    account: Account
    places: list[Place] = field(default_factory=list)
    waiting: list[_Request] = field(default_factory=list)
    """First come, first served."""
    released_at: float = float("-inf")
    """Loop time."""


class Accounts:
    """All accounts of this server; one is known from its first connection on."""

    def __init__(self) -> None:
        self._pools: dict[int, _Pool] = {}

    async def acquire(self, account: Account, holder: Holder, patience: float = LEAVING) -> Place:
        """A place of the account, after others were stopped for it if need be (see `whom_to_stop`).

        Waits for their connections to be closed, and up to `patience` seconds (0: not at all) for somebody to leave.
        Raises AccountLimitError. Cancelled, it leaves nothing behind.
        """
        pool = self._pools.setdefault(account.id, _Pool(account))
        pool.account = account  # its limit may be another since
        request = _Request(holder, patience, asyncio.get_running_loop().time())
        pool.waiting.append(request)
        try:
            self._settle(pool)
            return await self._served(pool, request)
        except BaseException:
            if request.place.done() and request.place.exception() is None:
                request.place.result().release()
            raise
        finally:
            if request in pool.waiting:
                pool.waiting.remove(request)
                self._settle(pool)

    def look_again(self) -> None:
        """Somebody has left a stream, or come to one."""
        for pool in self._pools.values():
            if pool.waiting:
                self._settle(pool)

    def released(self, place: Place) -> None:
        """See Place.release."""
        pool = self._pools[place.account.id]
        if place in pool.places:
            pool.places.remove(place)
            pool.released_at = asyncio.get_running_loop().time()
            self._settle(pool)

    async def _served(self, pool: _Pool, request: _Request) -> Place:
        loop = asyncio.get_running_loop()
        while not request.place.done():
            left = request.deadline() - loop.time()
            if left <= 0 and not request.promised:
                raise _full(pool)
            await asyncio.wait({request.place}, timeout=max(left, 0.0) if not request.promised else None)
        return request.place.result()

    def _settle(self, pool: _Pool) -> None:
        """Hand out what is free, and have stopped what is needed more elsewhere."""
        limit = pool.account.max_connections
        leaving = sum(place.leaving for place in pool.places)
        excess = len(pool.places) - limit
        stopped: list[tuple[Place, Holder]] = []
        for request in tuple(pool.waiting):
            audience = request.holder.audience()
            if audience.empty:
                pool.waiting.remove(request)
                request.place.set_exception(AccountLimitError(f"nobody waits for a connection of {_name(pool)} now"))
                continue
            excess += 1
            if limit == 0 or excess <= 0:
                pool.waiting.remove(request)
                request.place.set_result(self._place(pool, request.holder))
                continue
            while leaving < excess and (place := self._victim(pool, audience)) is not None:
                place.leaving = True
                leaving += 1
                stopped.append((place, request.holder))
            request.promised = leaving >= excess
        for place, holder in stopped:
            place.holder.vacate(f"stopped to free a connection of {_name(pool)} for {holder.id}")

    def _victim(self, pool: _Pool, audience: Audience) -> Place | None:
        staying = [place for place in pool.places if not place.leaving]
        number = whom_to_stop([place.holder.audience() for place in staying], audience.newcomers)
        return None if number is None else staying[number]

    def _place(self, pool: _Pool, holder: Holder) -> Place:
        full = 0 < pool.account.max_connections <= len(pool.places) + 1
        place = Place(self, pool.account, holder, pool.released_at + SETTLING if full else 0.0)
        pool.places.append(place)
        return place


def _name(pool: _Pool) -> str:
    return f"account '{pool.account.name}'"


def _full(pool: _Pool) -> AccountLimitError:
    users = ", ".join(sorted(place.holder.id for place in pool.places))
    return AccountLimitError(
        f"{_name(pool)} allows {pool.account.max_connections} connection(s), in use by {users or 'nobody'}"
    )
