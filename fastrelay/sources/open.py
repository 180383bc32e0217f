"""From a source URL to an open source, whatever is behind it."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from fastrelay.config import Failover
from fastrelay.errors import FormatError, SourceRefusedError, StallError
from fastrelay.sources.addresses import AddressPolicy
from fastrelay.sources.aside import import_aside
from fastrelay.sources.base import Source
from fastrelay.sources.sniff import ENOUGH, recognise
from fastrelay.wire.source_url import SourceUrl, parse_source_url, redact

if TYPE_CHECKING:
    from fastrelay.sources.http import HttpClient, Reply

# The modules behind the schemes are imported when the first such source is opened: the HTTP client alone costs more
# than half of the time that the process has until its first answer.


class Opener:
    """Opens sources by their scheme, HTTP ones by their bytes, under one set of rules."""

    def __init__(self, failover: Failover, policy: AddressPolicy, user_agent: str | None) -> None:
        self._failover = failover
        self._policy = policy
        self._user_agent = user_agent

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
        await import_aside("fastrelay.sources.http", "fastrelay.sources.hls", "fastrelay.sources.http_ts")
        from fastrelay.sources.http import HttpClient

        client = HttpClient(
            url.url,
            url.headers,
            policy=self._policy,
            failover=self._failover,
            user_agent=self._user_agent,
            single=single,
        )
        try:
            return await self._open_by_bytes(client, url.url)
        except BaseException:
            await client.close()
            raise

    async def _open_by_bytes(self, client: "HttpClient", url: str) -> Source:
        reply = await client.get(url)
        try:
            kind, head = await self._recognise(reply)
            if kind == "hls":
                from fastrelay.sources.hls import open_hls

                return await open_hls(client, url, reply, head, self._failover)
            from fastrelay.sources.http_ts import HttpTsSource

            return HttpTsSource(client, reply, head, self._failover.stall_timeout)
        except BaseException:
            await reply.abort()
            raise

    async def _recognise(self, reply: "Reply") -> tuple[str, bytes]:
        """Read until it is clear what comes. The first byte has its own deadline, the rest the stall timeout."""
        from fastrelay.sources.http import decompress

        head, complete, deadline = b"", False, reply.first_byte_by
        kind = None
        try:
            while kind is None:
                async with asyncio.timeout_at(deadline):
                    piece = await reply.read()
                deadline = deadline if head else asyncio.get_running_loop().time() + self._failover.stall_timeout
                head, complete = head + piece, not piece
                plain = decompress(head, 2 << 20, complete) if reply.compressed and head else head
                kind = recognise(plain[:ENOUGH], complete)
        except TimeoutError:
            raise StallError(f"{redact(reply.url)}: too few bytes came in time to tell what they are") from None
        except FormatError as error:
            raise FormatError(f"{redact(reply.url)}: {error}") from None
        if kind == "ts" and reply.compressed:
            raise FormatError(f"{redact(reply.url)}: the transport stream comes compressed")
        return kind, head
