"""Logging: one line per event, written by a thread of its own so that a slow disk or pipe never holds the loop."""

import logging
import logging.handlers
import queue
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from fastrelay.config import Log
from fastrelay.logs.formats import JsonFormatter, TextFormatter
from fastrelay.logs.repeats import Repeats
from fastrelay.wire.access import AccessLine

FILE_BYTES = 10 << 20
FILES_KEPT = 5
WAITING_MAX = 10_000
"""Lines that may wait for a slow disk or pipe; those beyond are lost, and counted."""

Records = queue.SimpleQueue[logging.LogRecord | None]


class Hand(logging.handlers.QueueHandler):
    """Hands records over to the writing thread. What is repeated, or too much for it, goes no further than here."""

    def __init__(self, records: Records) -> None:
        super().__init__(records)
        self._records = records
        self._repeats = Repeats()
        self._lost = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        # The arguments may change before they are formatted. An access line cannot: making a text of it can wait.
        if not isinstance(record.msg, AccessLine):
            record.msg, record.args = record.getMessage(), None
        return record

    def emit(self, record: logging.LogRecord) -> None:
        self.look_back()
        if self._repeats.admits(record):
            super().emit(record)

    def enqueue(self, record: logging.LogRecord) -> None:
        if self._records.qsize() < WAITING_MAX:
            self._records.put(record)
        else:
            self._lost += 1

    def look_back(self, *, end: bool = False) -> None:
        """Say what was only counted, if its second is over."""
        self.acquire()
        try:
            for record in self._repeats.due(time.monotonic(), end=end):
                self.enqueue(record)
            if self._lost and (end or self._records.qsize() < WAITING_MAX):
                text = f"{self._lost} lines were lost: the log takes them too slowly"
                self._records.put(logging.LogRecord("fastrelay.logs", logging.WARNING, "", 0, text, None, None))
                self._lost = 0
        finally:
            self.release()


class Writer(threading.Thread):
    """Writes what is handed over; once a second it asks what was only counted."""

    def __init__(self, hand: Hand, records: Records, target: logging.Handler) -> None:
        super().__init__(name="log", daemon=True)
        self._hand = hand
        self._records = records
        self._target = target

    def run(self) -> None:
        while True:
            try:
                record = self._records.get(timeout=1.0)
            except queue.Empty:
                self._hand.look_back()
                continue
            if record is None:
                return
            self._target.handle(record)

    def stop(self) -> None:
        """Returns when everything is written."""
        self._records.put(None)
        self.join()


@contextmanager
def logging_to(settings: Log) -> Iterator[None]:
    """Log as configured until the block is left, then write out what is queued. Raises OSError for a bad file."""
    # What cannot be written would be shown on stderr as it is, credentials and all.
    logging.raiseExceptions = False
    target = _target(settings)
    target.setFormatter(JsonFormatter() if settings.format == "json" else TextFormatter())
    records: Records = queue.SimpleQueue()
    root = logging.getLogger("fastrelay")
    hand = Hand(records)
    root.addHandler(hand)
    set_level(settings.level)
    writer = Writer(hand, records, target)
    writer.start()
    try:
        yield
    finally:
        root.removeHandler(hand)
        hand.look_back(end=True)
        writer.stop()
        target.close()


def set_level(level: str) -> None:
    """One of `log.level`, from now on."""
    logging.getLogger("fastrelay").setLevel(level.upper())


def _target(settings: Log) -> logging.Handler:
    if settings.file is None:
        return logging.StreamHandler(sys.stderr)
    return logging.handlers.RotatingFileHandler(
        settings.file, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8"
    )
