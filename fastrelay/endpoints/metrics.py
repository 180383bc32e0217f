"""`GET /metrics`, for Prometheus. Readable by all, like the status; it names streams, never a URL."""

import asyncio
from collections.abc import Iterator

from fastrelay.endpoints.metered import Metered
from fastrelay.sources.aside import import_aside
from fastrelay.wire.request import Request
from fastrelay.wire.response import Response
from fastrelay.wire.router import Router

EXPOSITION = "fastrelay.endpoints.exposition"
"""Takes a tenth of a second to import, which is done in a thread."""

GIVE_WAY_AFTER = 0.010
"""Seconds of rendering after which the viewers have their turn. Not in a thread: beside a loop that writes to hundreds
of them each of its turns at the interpreter would be waited for, and the worst scrapes took three times as long."""

_NO_STORE = (("Cache-Control", "no-store"),)


class MetricsEndpoint:
    """What is counted of `metered`, put together when it is asked for."""

    def __init__(self, metered: Metered) -> None:
        self._metered = metered

    def register(self, router: Router) -> None:
        router.add("GET", "/metrics", self.metrics)

    async def metrics(self, request: Request) -> Response:
        """200, in the text format or OpenMetrics, as `Accept` prefers."""
        await import_aside(EXPOSITION)
        from fastrelay.endpoints.exposition import Exposition, rendered

        families = Exposition(self._metered).collect()
        pieces, content_type = rendered(families, request.headers.get("accept", ""))
        return Response(200, await _joined(pieces), content_type, _NO_STORE)


async def _joined(pieces: Iterator[bytes]) -> bytes:
    loop, parts = asyncio.get_running_loop(), list[bytes]()
    turn_ends = loop.time() + GIVE_WAY_AFTER
    for piece in pieces:
        parts.append(piece)
        if loop.time() > turn_ends:
            await asyncio.sleep(0)
            turn_ends = loop.time() + GIVE_WAY_AFTER
    return b"".join(parts)
