"""Dialling a source, within the connections that its provider account has."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Generic, Protocol, TypeVar

from fastrelay.errors import HttpStatusError, StorageError
from fastrelay.sources.accounts import LEAVING, Account, Accounts, Holder, Place

log = logging.getLogger(__name__)

Opened = TypeVar("Opened")
Opening = TypeVar("Opening", covariant=True)

_REFUSALS = frozenset({403, 429, 458, 503, 509})
"""What providers answer to one connection too many; 458 and 509 are in no standard, but common."""
_PAUSE = 0.1
"""Seconds between two dials of a provider that still counts the last connection."""


class OpenSource(Protocol[Opening]):
    """Dials a source: connected, first byte seen, known to be what it is opened as. Raises SourceError.

    `trusted` sources come from the operator's own config and may also be files and commands; a `single` one has one
    connection at a time.
    """

    def __call__(self, url: str, *, trusted: bool, single: bool) -> Awaitable[Opening]: ...


class AccountOf(Protocol):
    """The account behind a source of a stream; None where it has none. Raises StorageError."""

    def __call__(self, stream_id: str, url: str) -> Awaitable[Account | None]: ...


class Dialler(Generic[Opened]):
    """Dials the sources of one run, one after the other, each in a place of its account."""

    def __init__(
        self, open_source: OpenSource[Opened], account_of: AccountOf, accounts: Accounts, holder: Holder
    ) -> None:
        self._open_source = open_source
        self._account_of = account_of
        self._accounts = accounts
        self._holder = holder
        self._loop = asyncio.get_running_loop()
        self._place: Place | None = None

    async def dial(self, url: str, *, trusted: bool, patient: bool) -> Opened:
        """An open source; the last one is closed by now. Its place is kept for a source of the same account.

        `patient`: wait for a moment for somebody else to leave. Raises SourceError; the place is kept then as well.
        """
        await self._take_place(url, LEAVING if patient else 0.0)
        place = self._place
        while True:
            try:
                return await self._open_source(url, trusted=trusted, single=place is not None and place.single)
            except HttpStatusError as error:
                if error.status not in _REFUSALS or place is None or self._loop.time() >= place.settled_at:
                    raise
            await asyncio.sleep(_PAUSE)

    def give_back(self) -> None:
        """No source is open, and none will be for a while. Idempotent."""
        if self._place is not None:
            self._place.release()
            self._place = None

    async def _take_place(self, url: str, patience: float) -> None:
        account = await self._find(url)
        if account is not None and self._place is not None and self._place.account.id == account.id:
            return
        self.give_back()
        if account is not None:
            self._place = await self._accounts.acquire(account, self._holder, patience)

    async def _find(self, url: str) -> Account | None:
        try:
            return await self._account_of(self._holder.id, url)
        except StorageError as error:
            # A broken disk must not take running relays down.
            log.warning("stream %s: dialled without looking at limits: %s", self._holder.id, error)
            return None
