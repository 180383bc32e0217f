"""What runs, who watches, and the two buttons an operator has: stop, and next source."""

from functools import partial
from typing import Any

from fastrelay.endpoints.auth import Access
from fastrelay.endpoints.directory import Directory
from fastrelay.endpoints.management import answer
from fastrelay.errors import RequestError
from fastrelay.passthrough.channel import ID_SUFFIX
from fastrelay.passthrough.channel import Channel as PassedThrough
from fastrelay.passthrough.registry import Passthroughs
from fastrelay.passthrough.status import channel_clients, channel_status
from fastrelay.streams.manager import Manager
from fastrelay.streams.status import stream_clients, stream_status
from fastrelay.streams.stream import Stream
from fastrelay.wire.request import Request
from fastrelay.wire.response import Response
from fastrelay.wire.router import Router


class StatusEndpoints:
    """The status is readable by all, with credentials redacted; the rest is management."""

    def __init__(self, manager: Manager, passthroughs: Passthroughs, directory: Directory, access: Access) -> None:
        self._manager = manager
        self._passthroughs = passthroughs
        self._directory = directory
        self._access = access

    def register(self, router: Router) -> None:
        router.add("GET", "/api/streams/status", self.all)
        # Ids of passed-through channels have a slash; with it encoded, or as it is.
        for stream, add in (("/api/streams/{id}", ""), ("/api/streams/{id}/hls", ID_SUFFIX)):
            router.add("GET", f"{stream}/status", partial(self.one, add))
            router.add("GET", f"{stream}/clients", partial(self.clients, add))
            router.add("POST", f"{stream}/stop", partial(self.stop, add))
            router.add("POST", f"{stream}/switch", partial(self.switch, add))

    def all(self, request: Request) -> Response:
        running: list[Stream | PassedThrough] = [*self._manager.running(), *self._passthroughs.running()]
        return answer({"total_streams": len(running), "streams": [self._status(stream, request) for stream in running]})

    async def one(self, behind: str, request: Request) -> Response:
        return answer(self._status(await self._asked(behind, request), request))

    async def clients(self, behind: str, request: Request) -> Response:
        self._access.require_admin(request)
        stream = await self._asked(behind, request)
        clients = stream_clients(stream) if isinstance(stream, Stream) else channel_clients(stream)
        return answer({"total": len(clients), "clients": clients})

    async def stop(self, behind: str, request: Request) -> Response:
        """Returns when the upstream's connection is closed."""
        self._access.require_admin(request)
        stream = await self._asked(behind, request)
        await stream.stop("stopped by the operator")
        return answer(self._status(stream, request))

    async def switch(self, behind: str, request: Request) -> Response:
        self._access.require_admin(request)
        stream = await self._asked(behind, request)
        if not stream.switch():
            raise RequestError(409, "not_running", f"The stream '{stream.id}' does not run.")
        return answer(self._status(stream, request))

    async def _asked(self, behind: str, request: Request) -> Stream | PassedThrough:
        return await self._directory.find(request.params["id"] + behind)

    def _status(self, stream: Stream | PassedThrough, request: Request) -> dict[str, Any]:
        reveal = self._access.is_admin(request)
        if isinstance(stream, Stream):
            return stream_status(stream, reveal=reveal)
        return channel_status(stream, reveal=reveal)
