"""From a source URL to an open source, whatever is behind it."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from fastrelay.config import Failover
from fastrelay.errors import SourceRefusedError
from fastrelay.sources.addresses import AddressPolicy
from fastrelay.sources.base import Source
from fastrelay.sources.http_clients import HttpClients
from fastrelay.wire.source_url import SourceUrl, parse_source_url

if TYPE_CHECKING:
    from fastrelay.sources.http import HttpClient

# The modules behind the schemes are imported when the first such source is opened, or soon after the start: the HTTP
# client alone costs more than half of the time that the process has until its first answer.


class Opener:
    """Opens sources by their scheme, HTTP ones by their bytes, under one set of rules."""

    def __init__(self, failover: Failover, policy: AddressPolicy, user_agent: str | None) -> None:
        self._failover = failover
        self._clients = HttpClients(failover, policy, user_agent)

    async def open(self, url: str, *, trusted: bool, single: bool = False) -> Source:
        """Connect, and wait until it is clear that a transport stream comes.

        `trusted`: the URL stands in the operator's own config. `single`: the provider counts connections, so the source
        has one at a time, whatever it fetches and from where. Raises SourceRefusedError (not a URL we take, an
        address that is not allowed, file: and exec: that are not trusted) and every other SourceError.
        """
        try:
            parsed = parse_source_url(url)
        except ValueError as error:
            raise SourceRefusedError(f"not a source URL: {error}") from None
        if parsed.scheme in ("file", "exec") and not trusted:
            raise SourceRefusedError(f"{parsed.scheme}: sources are taken from the operator's config only")
        if parsed.scheme in ("http", "https"):
            return await self._open_http(parsed, single)
        return await self._open_local(parsed)

    async def _open_local(self, url: SourceUrl) -> Source:
        if url.scheme == "file":
            from fastrelay.sources.file import open_file

            return await open_file(Path(unquote(url.url.removeprefix("file://"))))
        if url.scheme == "exec":
            from fastrelay.sources.process import open_process

            return await open_process(url.url.removeprefix("exec:"), self._failover)
        from fastrelay.sources.udp import open_udp

        return await open_udp(url.url, self._failover)

    async def _open_http(self, url: SourceUrl, single: bool) -> Source:
        client = await self._clients.make(url, single=single)
        try:
            return await self._open_by_bytes(client, url.url)
        except BaseException:
            await client.close()
            raise

    async def _open_by_bytes(self, client: "HttpClient", url: str) -> Source:
        from fastrelay.sources.first_bytes import first_bytes

        reply = await client.get(url)
        try:
            kind, head = await first_bytes(reply, self._failover)
            if kind == "hls":
                from fastrelay.sources.hls import open_hls

                return await open_hls(client, url, reply, head, self._failover)
            from fastrelay.sources.http_ts import HttpTsSource

            return HttpTsSource(client, reply, head, self._failover.stall_timeout)
        except BaseException:
            await reply.abort()
            raise
