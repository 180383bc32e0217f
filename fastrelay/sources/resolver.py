"""Host names of sources: every resolved address is checked, and only checked addresses are handed out to be dialled."""

import asyncio
import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from fastrelay.errors import SourceRefusedError
from fastrelay.sources.addresses import AddressPolicy

_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class CheckedResolver(AbstractResolver):
    """Resolves outside the loop's thread and drops the addresses that the policy refuses.

    `resolve` raises SourceRefusedError when it refuses all of them, OSError when the name does not resolve.
    """

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        try:
            infos = await asyncio.get_running_loop().getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        except UnicodeError:
            raise OSError("not a valid host name") from None
        refused: SourceRefusedError | None = None
        results: list[ResolveResult] = []
        for found, _, proto, _, address in infos:
            try:
                self._policy.require(host, str(address[0]), port)
            except SourceRefusedError as error:
                refused = refused or error
                continue
            results.append(
                ResolveResult(hostname=host, host=str(address[0]), port=port, family=found, proto=proto, flags=_NUMERIC)
            )
        if refused is not None and not results:
            raise refused
        return results

    async def close(self) -> None:
        """Nothing is held."""
