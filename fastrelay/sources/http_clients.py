"""HTTP clients for sources, under the rules for all of them. aiohttp is imported before the first one is made."""

from typing import TYPE_CHECKING

from fastrelay.config import Failover
from fastrelay.sources.addresses import AddressPolicy
from fastrelay.sources.aside import HTTP, import_aside
from fastrelay.wire.source_url import SourceUrl

if TYPE_CHECKING:
    from fastrelay.sources.http import HttpClient


class HttpClients:
    """`user_agent` is `sources.user_agent`; None for our own name."""

    def __init__(self, failover: Failover, policy: AddressPolicy, user_agent: str | None) -> None:
        self._failover = failover
        self._policy = policy
        self._user_agent = user_agent

    async def make(self, source: SourceUrl, *, single: bool = False) -> "HttpClient":
        """A client for this source alone, which whoever asked has to close. `single`: see HttpClient."""
        await import_aside(*HTTP)
        from fastrelay.sources.http import HttpClient

        return HttpClient(
            source.url,
            source.headers,
            policy=self._policy,
            failover=self._failover,
            user_agent=self._user_agent,
            single=single,
        )
