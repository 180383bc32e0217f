"""`GET /metrics`, for Prometheus. Readable by all, like the status; it names streams, never a URL."""

import asyncio
from types import ModuleType

from fastrelay.endpoints.metered import Metered
from fastrelay.wire.request import Request
from fastrelay.wire.response import Response
from fastrelay.wire.router import Router

_NO_STORE = (("Cache-Control", "no-store"),)


def _load() -> ModuleType:
    from fastrelay.endpoints import exposition

    return exposition


class MetricsEndpoint:
    """What is counted of `metered`, put together when it is asked for."""

    def __init__(self, metered: Metered) -> None:
        self._metered = metered
        self._loaded: ModuleType | None = None

    def register(self, router: Router) -> None:
        router.add("GET", "/metrics", self.metrics)

    async def metrics(self, request: Request) -> Response:
        """200, in the text format or OpenMetrics, as `Accept` prefers."""
        if self._loaded is None:
            # A tenth of a second and some memory: for those only who are asked for metrics, and not at the loop's cost.
            self._loaded = await asyncio.to_thread(_load)
        families = self._loaded.Exposition(self._metered).collect()
        accept = request.headers.get("accept", "")
        text, content_type = await asyncio.to_thread(self._loaded.rendered, families, accept)
        return Response(200, text, content_type, _NO_STORE)
