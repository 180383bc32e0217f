"""One server: every room wired together, started in order and stopped in the reverse order."""

import asyncio
import logging
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from fastrelay.catalog.accounts import ProviderAccounts
from fastrelay.catalog.channels import Channels
from fastrelay.catalog.keeper import Keeper
from fastrelay.catalog.playlists import Playlists
from fastrelay.catalog.relays import Changes, Relays
from fastrelay.catalog.store import Store
from fastrelay.config import Config
from fastrelay.config.changes import changed_settings
from fastrelay.endpoints.auth import Access
from fastrelay.endpoints.channels import ChannelEndpoints
from fastrelay.endpoints.directory import Directory
from fastrelay.endpoints.events import EventsEndpoint
from fastrelay.endpoints.export import ExportEndpoint
from fastrelay.endpoints.health import Health
from fastrelay.endpoints.hls import HlsEndpoints
from fastrelay.endpoints.live import LiveEndpoint
from fastrelay.endpoints.metered import Metered
from fastrelay.endpoints.metrics import EXPOSITION, MetricsEndpoint
from fastrelay.endpoints.openapi import OpenApiEndpoint
from fastrelay.endpoints.pages import Pages
from fastrelay.endpoints.passthrough import PassthroughEndpoints
from fastrelay.endpoints.playlists import PlaylistEndpoints
from fastrelay.endpoints.relays import RelayEndpoints
from fastrelay.endpoints.status import StatusEndpoints
from fastrelay.endpoints.viewers import ViewerAccess
from fastrelay.errors import FastrelayError
from fastrelay.hls.store import Memory
from fastrelay.logs import set_level
from fastrelay.memory import collect_seldom, give_memory_back
from fastrelay.metrics.tally import Tally
from fastrelay.notify import Supervisor
from fastrelay.passthrough.cache import Cache
from fastrelay.passthrough.channel import Settings as PassthroughSettings
from fastrelay.passthrough.fetch import Fetch
from fastrelay.passthrough.registry import Passthroughs
from fastrelay.passthrough.source import Opener as PassthroughOpener
from fastrelay.server.access import AccessLog
from fastrelay.server.lag import LagMeter
from fastrelay.server.listener import Listener
from fastrelay.sources.accounts import Accounts
from fastrelay.sources.addresses import AddressPolicy
from fastrelay.sources.aside import HTTP, import_aside
from fastrelay.sources.download import Downloader
from fastrelay.sources.open import Opener
from fastrelay.streams.dial import AccountOf
from fastrelay.streams.manager import Manager
from fastrelay.streams.reservation import reserved_in
from fastrelay.streams.run import Settings
from fastrelay.wire.router import Router

log = logging.getLogger(__name__)

RELOADED = frozenset({"relays", "playlists", "log.level"})
"""Settings that SIGHUP takes over."""

DRAIN_SECONDS = 5.0
"""How long a stopping server gives its viewers to take what was sent to them."""


class Endpoint(Protocol):
    """Some of what can be asked for."""

    def register(self, router: Router) -> None:
        """Put it where it is asked for."""


class App:
    """The whole server of one configuration."""

    def __init__(self, config: Config, store: Store, relays: Relays) -> None:
        self._config = config
        self._store = store
        self._relays = relays
        # The networks are checked when the config is read.
        self._policy = AddressPolicy(config.sources.allow_networks)
        self._tally, self._memory = Tally(), Memory(config.hls.memory_max)
        self._cache: Cache[Fetch] = Cache(config.passthrough.channel_max, config.passthrough.cache_max)
        self._lag = LagMeter(self._tally.loop_lag.observe)
        account_of, accounts = ProviderAccounts(store).of, Accounts()
        self._manager = self._make_manager(account_of, accounts)
        self._passthroughs = self._make_passthroughs(account_of, accounts)
        self._channels = Channels(store)
        self._directory = Directory(relays, self._channels, self._manager, self._passthroughs)
        self._playlists = self._make_playlists()
        self._keeper = Keeper(self._playlists)
        self._access = Access(config.auth.admin_token)
        self._health = Health()
        self._events = EventsEndpoint(lambda: [*self._manager.running(), *self._passthroughs.running()], self._access)
        router = Router()
        self._listener = Listener(router, config.server, done_of=AccessLog(self._tally.answers).of)
        for endpoint in (*self._viewing(), *self._management()):
            endpoint.register(router)
        self.routes = router.routes

    def _make_manager(self, account_of: AccountOf, accounts: Accounts) -> Manager:
        config = self._config
        opener = Opener(config.failover, self._policy, config.sources.user_agent)
        reserved = reserved_in(Path(config.data_dir))
        return Manager(
            Settings(
                config.streams,
                config.failover,
                config.hls,
                self._memory,
                reserved,
                opener.open,
                account_of,
                accounts,
                self._tally,
            )
        )

    def _make_passthroughs(self, account_of: AccountOf, accounts: Accounts) -> Passthroughs:
        config = self._config
        opener = PassthroughOpener(config.failover, self._policy, config.sources.user_agent)
        key = secrets.token_bytes(32)
        return Passthroughs(
            PassthroughSettings(
                config.streams,
                config.hls,
                opener,
                account_of,
                accounts,
                self._cache,
                key,
                self._manager.relays_ts,
                self._tally,
            )
        )

    def _make_playlists(self) -> Playlists:
        config = self._config
        downloader = Downloader(config.failover, self._policy, config.sources.user_agent)

        async def imported() -> None:
            await self._directory.renew()
            await self._keeper.look_after()

        return Playlists(self._store, Path(config.data_dir) / "incoming", downloader.fetch, imported)

    def _viewing(self) -> Iterator[Endpoint]:
        """What players ask for."""
        auth, server, start_timeout = self._config.auth, self._config.server, self._config.streams.start_timeout
        viewers = ViewerAccess(auth.stream_token, auth.signing_key, self._access, time.time)
        yield LiveEndpoint(self._directory, viewers, start_timeout)
        yield HlsEndpoints(self._directory, viewers, start_timeout)
        yield PassthroughEndpoints(self._directory, viewers, server.public_url)
        yield ExportEndpoint(self._relays, self._channels, viewers, server.public_url)

    def _management(self) -> Iterator[Endpoint]:
        """What people and monitors ask for."""
        access, check = self._access, self._policy.check
        yield self._health
        yield StatusEndpoints(self._manager, self._passthroughs, self._directory, access)
        yield self._events
        yield Pages()
        yield RelayEndpoints(self._relays, self._manager, access, check)
        yield ChannelEndpoints(self._channels, self._relays, access, check)
        yield PlaylistEndpoints(self._playlists, self._directory.end_gone, access, check)
        yield MetricsEndpoint(
            Metered(
                self._tally,
                self._memory,
                self._cache,
                self._manager,
                self._passthroughs,
                lambda: self._listener.connections,
            )
        )
        yield OpenApiEndpoint()

    @classmethod
    async def open(cls, config: Config) -> "App":
        """With the database open and the relays known. Raises StorageError."""
        store = await Store.open(Path(config.data_dir) / "fastrelay.db")
        try:
            return cls(config, store, await Relays.load(store, config.relays))
        except BaseException:
            await store.close()
            raise

    async def start(self) -> str:
        """Listen; returns the base URL. Raises ConfigError or OSError."""
        await self._listener.start()
        host, port = self._listener.address
        for address in self._listener.addresses:
            self._policy.forbid_listener(*address)
        await self._keeper.start(self._config.playlists)
        self._lag.start()
        self._events.start()
        self._health.ready()
        # Neither the first viewer nor the first scrape should be the one that waits for it.
        self._importing = asyncio.create_task(import_aside(*HTTP, EXPOSITION))
        scheme = "https" if self._config.server.tls_cert else "http"
        url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
        log.info("listening on %s", url)
        return url

    async def reload(self, config: Config) -> None:
        """Take over the relays, lists and log level of a new configuration; viewers of unchanged relays notice nothing.

        Everything else that has changed is named: it takes a restart.
        """
        changes = await self._relays.replace_configured(config.relays)
        for relay in changes.changed:
            self._manager.sources_changed(relay)
        await self._keeper.declare(config.playlists)
        set_level(config.log.level)
        changed = changed_settings(self._config, config)
        applied = [key for key in changed if key in RELOADED]
        log.info("configuration read again: changed %s; %s", ", ".join(applied) or "nothing", _counts(changes))
        waiting = [key for key in changed if key not in RELOADED]
        if waiting:
            log.warning("a restart is needed for the change of %s", ", ".join(waiting))
        # What waits for a restart stays different from what is in force, and is named the next time again.
        level = replace(self._config.log, level=config.log.level)
        self._config = replace(self._config, relays=config.relays, playlists=config.playlists, log=level)
        for relay in changes.removed:
            await self._manager.end(relay.output_path, "removed from the configuration")
        await self._directory.end_gone("its list was removed from the configuration")

    async def stop(self) -> None:
        """Close the listener, end the streams with what their viewers still have to get, close the database."""
        self._health.drain()
        self._lag.stop()
        self._events.stop()
        await self._keeper.stop()
        await asyncio.gather(
            self._listener.drain(DRAIN_SECONDS),
            self._manager.stop_all("server stops"),
            self._passthroughs.stop_all("server stops"),
        )
        await self._store.close()


def _counts(changes: Changes) -> str:
    return f"{len(changes.added)} relays added, {len(changes.changed)} changed, {len(changes.removed)} removed"


async def run(config: Config, reread: Callable[[], Config] | None, started: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP re-reads the configuration through `reread`.

    `started` is called with the base URL once the server listens.
    """
    give_memory_back()
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = await App.open(config)
    supervisor = Supervisor(os.environ)
    reloads: set[asyncio.Task[None]] = set()

    async def reload() -> None:
        supervisor.reloading()
        try:
            await app.reload(reread() if reread is not None else config)
        except (FastrelayError, OSError) as error:
            log.error("the configuration stays as it is: %s", error)
        supervisor.ready()

    def hangup() -> None:
        task = loop.create_task(reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, hangup)
    try:
        started(await app.start())
        collect_seldom()
        supervisor.ready()
        await stop.wait()
        log.info("stopping")
    finally:
        supervisor.stopping()
        await app.stop()
        supervisor.close()
