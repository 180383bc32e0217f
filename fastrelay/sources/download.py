"""A list's file, fetched to disk as it comes."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from fastrelay.config import Failover
from fastrelay.errors import FormatError, SourceRefusedError
from fastrelay.sources.addresses import AddressPolicy
from fastrelay.sources.http_clients import HttpClients
from fastrelay.sources.stall import within
from fastrelay.wire.source_url import parse_source_url, redact

if TYPE_CHECKING:
    from fastrelay.sources.http import HttpClient
    from fastrelay.sources.http_reply import Reply

SIZE_MAX = 1 << 30
"""Bytes of a file as it comes, possibly compressed."""
# Providers put a list together when it is asked for, which takes them longer than a stream.
FIRST_BYTE_TIMEOUT = 60.0
_STALL_TIMEOUT = 30.0


class Downloader:
    """Fetches files by HTTP under the rules for sources."""

    def __init__(self, failover: Failover, policy: AddressPolicy, user_agent: str | None) -> None:
        patient = msgspec.structs.replace(failover, first_byte_timeout=FIRST_BYTE_TIMEOUT)
        self._clients = HttpClients(patient, policy, user_agent)

    async def fetch(self, url: str, path: Path) -> str:
        """Write what is at `url` into a new file, as it comes, gzip included; returns the URL after redirects.

        Raises SourceError: refused, not 2xx, stalled, broken off, longer than SIZE_MAX.
        """
        try:
            source = parse_source_url(url)
        except ValueError as error:
            raise SourceRefusedError(f"not a URL of a list: {error}") from None
        client = await self._clients.make(source)
        file = await asyncio.to_thread(path.open, "xb")
        try:
            return await _copy(client, source.url, file)
        finally:
            await asyncio.to_thread(file.close)
            await client.close()


async def _copy(client: "HttpClient", url: str, file: BinaryIO) -> str:
    reply = await client.get(url, compressed=True)
    size = 0
    try:
        while piece := await _read(reply):
            size += len(piece)
            if size > SIZE_MAX:
                raise FormatError(f"{redact(reply.url)}: longer than the {SIZE_MAX >> 20} MiB allowed")
            await asyncio.to_thread(file.write, piece)
    finally:
        await reply.abort()
    return reply.url


async def _read(reply: "Reply") -> bytes:
    async with within(_STALL_TIMEOUT, f"{redact(reply.url)}: nothing came for {_STALL_TIMEOUT:g} s"):
        return await reply.read()
