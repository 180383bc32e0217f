"""The access log: one line for every finished request.

Not all of them are worth one. Thousands of players ask for playlists and segments every few seconds, and a watchdog for
`/livez`: when these go well they are lines of the level debug. That somebody watches HLS is one line, when he has gone
(see `streams.farewell`), the same as for TS.
"""

import logging
from functools import lru_cache
from logging import DEBUG, INFO

from fastrelay.server.exchange import RequestDone
from fastrelay.wire.access import AccessLine
from fastrelay.wire.request import Request

log = logging.getLogger("fastrelay.access")

_WATCHED = ("/stream/", "/api/proxy/")
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})


class AccessLog:
    """`answers` counts the requests that are done, by status."""

    def __init__(self, answers: dict[int, int]) -> None:
        self._answers = answers

    def of(self, address: str) -> RequestDone:
        """For the requests of one client. A poll costs little more than to be counted."""
        answers = self._answers

        def done(request: Request | None, status: int, sent: int, seconds: float) -> None:
            answers[status] = answers.get(status, 0) + 1
            level = DEBUG if status < 400 and request is not None and is_poll(request.path) else INFO
            if log.isEnabledFor(level):
                log.log(level, _line(address, request, status, sent, seconds))

        return done


def _line(address: str, request: Request | None, status: int, sent: int, seconds: float) -> AccessLine:
    if request is None:
        return AccessLine(address, "-", "-", status, sent, seconds, "")
    agent = request.headers.get("user-agent", "")
    return AccessLine(address, request.method, request.target, status, sent, seconds, agent)


@lru_cache(1024)
def is_poll(path: str) -> bool:
    """What a player or a monitor asks for again and again."""
    if path.startswith(_WATCHED):
        return "/hls/" in path and not path.endswith("/master.m3u8")
    return path in _PROBES
