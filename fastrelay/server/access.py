"""The access log: one line for every finished request.

Not all of them are worth one. Thousands of players ask for playlists and segments every few seconds, and a watchdog for
`/livez`: when these go well they are lines of the level debug. That somebody watches HLS is one line, when he has gone
(see `streams.farewell`), the same as for TS.
"""

import logging
from collections import Counter
from functools import lru_cache
from logging import DEBUG, INFO

from fastrelay.wire.access import AccessLine
from fastrelay.wire.request import Request

log = logging.getLogger("fastrelay.access")

_WATCHED = ("/stream/", "/api/proxy/")
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})


class AccessLog:
    """What the protocol calls for each request that is done. `answers` counts them by status."""

    def __init__(self, answers: Counter[int]) -> None:
        self._answers = answers

    def __call__(self, address: str, request: Request | None, status: int, sent: int, seconds: float) -> None:
        self._answers[status] += 1
        level = DEBUG if status < 400 and request is not None and is_poll(request.path) else INFO
        if not log.isEnabledFor(level):
            return
        if request is None:
            line = AccessLine(address, "-", "-", status, sent, seconds, "")
        else:
            agent = request.headers.get("user-agent", "")
            line = AccessLine(address, request.method, request.target, status, sent, seconds, agent)
        log.log(level, line)


@lru_cache(1024)
def is_poll(path: str) -> bool:
    """What a player or a monitor asks for again and again."""
    if path.startswith(_WATCHED):
        return "/hls/" in path and not path.endswith("/master.m3u8")
    return path in _PROBES
