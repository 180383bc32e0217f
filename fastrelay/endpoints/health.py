"""`/livez` and `/readyz`: whether the process lives, and whether it wants new requests."""

from fastrelay.wire.request import Request
from fastrelay.wire.response import Response, error_response, json_response
from fastrelay.wire.router import Router

_NO_STORE = (("Cache-Control", "no-store"),)
_WHY_NOT = {
    "starting": "the server is starting",
    "draining": "the server is stopping: it finishes its viewers and takes no new ones",
}


class Health:
    """Starting, until `ready` is called; draining for good, once `drain` is called."""

    def __init__(self) -> None:
        self._state = "starting"

    def ready(self) -> None:
        if self._state == "starting":
            self._state = "ready"

    def drain(self) -> None:
        self._state = "draining"

    def register(self, router: Router) -> None:
        router.add("GET", "/livez", self.livez)
        router.add("GET", "/readyz", self.readyz)

    def livez(self, request: Request) -> Response:
        """200 whenever the loop gets round to it; draining is not dying."""
        return json_response({"status": "alive"}, headers=_NO_STORE)

    def readyz(self, request: Request) -> Response:
        """200, or 503 with the code `starting` or `draining`."""
        if self._state in _WHY_NOT:
            return error_response(503, self._state, _WHY_NOT[self._state], _NO_STORE)
        return json_response({"status": self._state}, headers=_NO_STORE)
