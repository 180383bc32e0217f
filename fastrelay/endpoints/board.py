"""What readers of `/api/events` are told, rendered once for all of them that may see the same."""

import time
from collections.abc import Callable
from itertools import takewhile
from typing import Any

import orjson

from fastrelay.passthrough.channel import Channel as PassedThrough
from fastrelay.passthrough.status import channel_figures
from fastrelay.streams.decisions import Decision
from fastrelay.streams.history import STEP, History, Reading, Sample
from fastrelay.streams.status import shown_events, stream_figures
from fastrelay.streams.stream import Stream

Shown = Stream | PassedThrough


class Board:
    """Readers get a snapshot first, then updates.

    - `snapshot`: the streams as `/api/streams/status` shows them, the history, and whether the reader may manage.
    - `update`: the running streams again, of their events only the new ones, and the sample if one was taken. A
      stream that has stopped is named once more, with its last events, and then no more.

    `running` gives what runs now, of every kind.
    """

    def __init__(self, running: Callable[[], list[Shown]]) -> None:
        self._running = running
        self._history = History()
        self._sample: Sample | None = None
        self._told: dict[str, tuple[Shown, Decision]] = {}
        """The streams that ran at the last update, with the newest event that readers know."""

    def sample(self, now: float) -> None:
        """Take the next sample of the history; `now` on any clock."""
        self._sample = self._history.take(map(_reading, self._running()), now)

    def snapshot(self, *, reveal: bool, manager: bool) -> bytes:
        """All there is to know. `reveal` shows credentials, as to the bearer of the admin token; `manager` is who may
        manage, with or without one."""
        streams = [{**_figures(stream, reveal), "events": shown_events(stream.events)} for stream in self._running()]
        history = {"step": STEP, "samples": list(self._history.samples)}
        return _message("snapshot", {"at": time.time(), "manager": manager, "streams": streams, "history": history})

    def updates(self, audiences: set[bool]) -> dict[bool, bytes]:
        """The next update by what it reveals, for the audiences that are there."""
        running = self._running()
        stopped = [stream for stream, _ in self._told.values() if not stream.running]
        shown = [*running, *stopped]
        news = {stream.id: shown_events(self._news(stream)) for stream in shown}
        self._told = {stream.id: (stream, stream.events[-1]) for stream in running if stream.events}
        sample, self._sample = self._sample, None
        rendered = {}
        for reveal in audiences:
            streams = []
            for stream in shown:
                figures = _figures(stream, reveal)
                if news[stream.id]:
                    figures["events"] = news[stream.id]
                streams.append(figures)
            rendered[reveal] = _message("update", {"at": time.time(), "streams": streams, "sample": sample})
        return rendered

    def _news(self, stream: Shown) -> list[Decision]:
        _, told = self._told.get(stream.id, (None, None))
        return list(takewhile(lambda event: event is not told, reversed(stream.events)))[::-1]


def _figures(stream: Shown, reveal: bool) -> dict[str, Any]:
    if isinstance(stream, Stream):
        return stream_figures(stream, reveal=reveal)
    return channel_figures(stream, reveal=reveal)


def _reading(stream: Shown) -> Reading:
    if not isinstance(stream, Stream):
        return Reading(stream.id, 0, len(stream.sessions), stream.received, stream.delivered)
    run, totals = stream.run, stream.totals
    viewers = (len(run.viewers), run.sessions) if run is not None else (0, 0)
    return Reading(stream.id, *viewers, totals.received, totals.delivered)


def _message(event: str, value: dict[str, Any]) -> bytes:
    """JSON has no line breaks, so one data field holds it (HTML standard, §9.2). Samples are written as arrays."""
    return b"event: %s\ndata: %s\n\n" % (event.encode(), orjson.dumps(value, default=tuple))
