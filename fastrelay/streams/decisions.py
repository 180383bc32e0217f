"""What was decided about a stream, as its status and the log tell it."""

import logging
import time
from collections import deque
from dataclasses import dataclass

from fastrelay.wire.redact import redact

log = logging.getLogger(__name__)

EVENTS_KEPT = 50


@dataclass(frozen=True, slots=True)
class Decision:
    """One entry of a stream's history."""

    at: float
    """Unix time."""
    event: str
    detail: str
    """Without credentials."""


class Decisions(deque[Decision]):
    """The last EVENTS_KEPT of one stream. Each is a line of the log as well."""

    def __init__(self, stream_id: str) -> None:
        super().__init__(maxlen=EVENTS_KEPT)
        self._stream_id = stream_id

    def started(self, sources: int) -> None:
        """The first of every run."""
        self.note("started", "1 source" if sources == 1 else f"{sources} sources")

    def note(self, event: str, detail: str) -> None:
        """What happened, in a word or two, and what there is to know of it; URLs are redacted here."""
        detail = redact(detail)
        self.append(Decision(time.time(), event, detail))
        log.info("stream %s: %s: %s", self._stream_id, event, detail)
