"""What readers of `/api/events` are told, rendered once for all of them that may see the same."""

import time
from collections.abc import Callable
from itertools import takewhile
from typing import Any

import orjson

from fastrelay.streams.history import STEP, History, Reading, Sample
from fastrelay.streams.manager import Manager
from fastrelay.streams.status import shown_events, stream_figures, stream_status
from fastrelay.streams.stream import Decision, Stream


class Board:
    """Readers get a snapshot first, then updates.

    - `snapshot`: the streams as `/api/streams/status` shows them, and the history.
    - `update`: the running streams again, of their events only the new ones, and the sample if one was taken. A
      stream that has stopped is named once more, with its last events, and then no more.

    `clock` gives the Unix time.
    """

    def __init__(self, manager: Manager, clock: Callable[[], float] = time.time) -> None:
        self._manager = manager
        self._clock = clock
        self._history = History()
        self._sample: Sample | None = None
        self._told: dict[str, tuple[Stream, Decision]] = {}
        """The streams that ran at the last update, with the newest event that readers know."""

    def sample(self, now: float) -> None:
        """Take the next sample of the history; `now` on any clock."""
        self._sample = self._history.take(map(_reading, self._manager.running()), now)

    def snapshot(self, *, reveal: bool) -> bytes:
        """All there is to know. `reveal` shows credentials, as to the administrator."""
        streams = [stream_status(stream, reveal=reveal) for stream in self._manager.running()]
        history = {"step": STEP, "samples": list(self._history.samples)}
        return _message("snapshot", {"at": self._clock(), "streams": streams, "history": history})

    def updates(self, audiences: set[bool]) -> dict[bool, bytes]:
        """The next update by what it reveals, for the audiences that are there."""
        running = self._manager.running()
        stopped = [stream for stream, _ in self._told.values() if not stream.running]
        shown = [*running, *stopped]
        news = {stream.id: shown_events(self._news(stream)) for stream in shown}
        self._told = {stream.id: (stream, stream.events[-1]) for stream in running}
        sample, self._sample = self._sample, None
        rendered = {}
        for reveal in audiences:
            streams = []
            for stream in shown:
                figures = stream_figures(stream, reveal=reveal)
                if news[stream.id]:
                    figures["events"] = news[stream.id]
                streams.append(figures)
            rendered[reveal] = _message("update", {"at": self._clock(), "streams": streams, "sample": sample})
        return rendered

    def _news(self, stream: Stream) -> list[Decision]:
        _, told = self._told.get(stream.id, (None, None))
        return list(takewhile(lambda event: event is not told, reversed(stream.events)))[::-1]


def _reading(stream: Stream) -> Reading:
    run, totals = stream.run, stream.totals
    viewers = (len(run.viewers), run.sessions) if run is not None else (0, 0)
    return Reading(stream.id, *viewers, totals.received, totals.delivered)


def _message(event: str, value: dict[str, Any]) -> bytes:
    """JSON has no line breaks, so one data field holds it (HTML standard, §9.2). Samples are written as arrays."""
    return b"event: %s\ndata: %s\n\n" % (event.encode(), orjson.dumps(value, default=tuple))
