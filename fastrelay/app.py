"""One server: every room wired together, started in order and stopped in the reverse order."""

import asyncio
import ctypes
import gc
import logging
import os
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path

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
from fastrelay.endpoints.metrics import MetricsEndpoint
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
from fastrelay.sources.download import Downloader
from fastrelay.sources.open import Opener
from fastrelay.streams.manager import Manager
from fastrelay.streams.reservation import reserved_in
from fastrelay.streams.run import Settings
from fastrelay.wire.router import Router

log = logging.getLogger(__name__)

RELOADED = frozenset({"relays", "playlists", "log.level"})
"""Settings that SIGHUP takes over."""

DRAIN_SECONDS = 5.0
"""How long a stopping server gives its viewers to take what was sent to them."""


class App:
    """The whole server of one configuration."""

    def __init__(self, config: Config, store: Store, relays: Relays) -> None:
        self._config = config
        self._store = store
        self._relays = relays
        # The networks are checked when the config is read.
        self._policy = AddressPolicy(config.sources.allow_networks)
        opener = Opener(config.failover, self._policy, config.sources.user_agent)
        tally, memory = Tally(), Memory(config.hls.memory_max)
        self._lag = LagMeter(tally.loop_lag.observe)
        account_of, accounts = ProviderAccounts(store).of, Accounts()
        self._manager = Manager(
            Settings(
                config.streams,
                config.failover,
                config.hls,
                memory,
                reserved_in(Path(config.data_dir)),
                opener.open,
                account_of,
                accounts,
                tally,
            )
        )
        limits = config.passthrough
        cache: Cache[Fetch] = Cache(limits.channel_max, limits.cache_max)
        passing = PassthroughOpener(config.failover, self._policy, config.sources.user_agent)
        key = secrets.token_bytes(32)
        self._passthroughs = Passthroughs(
            PassthroughSettings(config.streams, config.hls, passing, account_of, accounts, cache, key, tally)
        )
        self._health = Health()
        router = Router()
        auth, server, start_timeout = config.auth, config.server, config.streams.start_timeout
        access = Access(auth.admin_token)
        viewers = ViewerAccess(auth.stream_token, auth.signing_key, access, time.time)
        channels = Channels(store)
        directory = Directory(relays, channels, self._manager, self._passthroughs)
        downloader = Downloader(config.failover, self._policy, config.sources.user_agent)

        async def imported() -> None:
            await directory.renew()
            await self._keeper.look_after()

        playlists = Playlists(store, Path(config.data_dir) / "incoming", downloader.fetch, imported)
        self._keeper = Keeper(playlists)
        self._health.register(router)
        LiveEndpoint(directory, viewers, start_timeout).register(router)
        HlsEndpoints(directory, viewers, start_timeout).register(router)
        PassthroughEndpoints(directory, viewers, server.public_url).register(router)
        StatusEndpoints(self._manager, self._passthroughs, directory, access).register(router)
        self._events = EventsEndpoint(lambda: [*self._manager.running(), *self._passthroughs.running()], access)
        self._events.register(router)
        Pages().register(router)
        RelayEndpoints(relays, self._manager, access, self._policy.check).register(router)
        ChannelEndpoints(channels, relays, access, self._policy.check).register(router)
        PlaylistEndpoints(playlists, access, self._policy.check).register(router)
        ExportEndpoint(relays, channels, viewers, server.public_url, server.write_timeout).register(router)
        self._listener = listener = Listener(router, config.server, on_request_done=AccessLog(tally.answers))
        metered = Metered(tally, memory, cache, self._manager, self._passthroughs, lambda: listener.connections)
        MetricsEndpoint(metered).register(router)
        OpenApiEndpoint().register(router)
        self.routes = router.routes

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


_M_MMAP_THRESHOLD = -3  # of glibc's mallopt(3)


def _give_memory_back() -> None:
    """Make every ring a mapping of its own, which goes back to the system as soon as the ring is freed.

    glibc raises its threshold for that with each large block that is freed, up to 32 MiB. The next rings would then
    grow inside the heap, step by step, and leave holes there as large as themselves. Other C libraries have no such
    call, and no need of it.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 20)


def _collect_seldom() -> None:
    """Keep the garbage collector out of a rush of viewers: it took a third of the time of a thousand joins a second.

    Each viewer is a dozen objects that live long, and by default every 700 of those are looked through. What the start
    has made stays for good and is not looked at any more. Cycles are few here, so they can wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


async def run(config: Config, reread: Callable[[], Config] | None, started: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP re-reads the configuration through `reread`.

    `started` is called with the base URL once the server listens.
    """
    _give_memory_back()
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
        _collect_seldom()
        supervisor.ready()
        await stop.wait()
        log.info("stopping")
    finally:
        supervisor.stopping()
        await app.stop()
        supervisor.close()
