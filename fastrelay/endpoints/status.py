"""What runs, who watches, and the two buttons an operator has: stop, and next source."""

from fastrelay.endpoints.auth import Access
from fastrelay.endpoints.directory import Directory
from fastrelay.errors import RequestError
from fastrelay.streams.manager import Manager
from fastrelay.streams.status import stream_clients, stream_status
from fastrelay.wire.request import Request
from fastrelay.wire.response import Response, json_response
from fastrelay.wire.router import Router


class StatusEndpoints:
    """The status is readable by all, with credentials redacted; the rest is management."""

    def __init__(self, manager: Manager, directory: Directory, access: Access) -> None:
        self._manager = manager
        self._directory = directory
        self._access = access

    def register(self, router: Router) -> None:
        router.add("GET", "/api/streams/status", self.all)
        router.add("GET", "/api/streams/{id}/status", self.one)
        router.add("GET", "/api/streams/{id}/clients", self.clients)
        router.add("POST", "/api/streams/{id}/stop", self.stop)
        router.add("POST", "/api/streams/{id}/switch", self.switch)

    def all(self, request: Request) -> Response:
        reveal = self._access.is_admin(request)
        streams = [stream_status(stream, reveal=reveal) for stream in self._manager.running()]
        return json_response({"total_streams": len(streams), "streams": streams})

    async def one(self, request: Request) -> Response:
        stream = await self._directory.find(request.params["id"])
        return json_response(stream_status(stream, reveal=self._access.is_admin(request)))

    async def clients(self, request: Request) -> Response:
        self._access.require_admin(request)
        clients = stream_clients(await self._directory.find(request.params["id"]))
        return json_response({"total": len(clients), "clients": clients})

    async def stop(self, request: Request) -> Response:
        """Returns when the upstream's connection is closed."""
        self._access.require_admin(request)
        stream = await self._directory.find(request.params["id"])
        await stream.stop("stopped by the operator")
        return json_response(stream_status(stream, reveal=self._access.is_admin(request)))

    async def switch(self, request: Request) -> Response:
        self._access.require_admin(request)
        stream = await self._directory.find(request.params["id"])
        if not stream.switch():
            raise RequestError(409, "not_running", f"The stream '{stream.id}' does not run.")
        return json_response(stream_status(stream, reveal=self._access.is_admin(request)))
