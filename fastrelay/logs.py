"""Logging: one line per event, written by a thread of its own so that a slow disk or pipe never holds the loop."""

import json
import logging
import logging.handlers
import queue
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from fastrelay.config import Log
from fastrelay.wire.redact import redact

FILE_BYTES = 10 << 20
FILES_KEPT = 5

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def printable(text: str) -> str:
    """Control characters become visible escapes: what a stranger sends cannot forge a line or move the cursor."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


class TextFormatter(logging.Formatter):
    """`2025-12-08T19:20:00.123Z INFO streams.stream: …`; a traceback follows on lines of its own."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        name = record.name.removeprefix("fastrelay.")
        line = f"{_moment(self, record)} {record.levelname:<7} {name}: {printable(redact(record.getMessage()))}"
        if record.exc_info:
            line += "\n" + redact(self.formatException(record.exc_info))
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and traceback where there is one."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": _moment(self, record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": printable(redact(record.getMessage())),
        }
        if record.exc_info:
            entry["traceback"] = redact(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)


def _moment(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return f"{formatter.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03d}Z"


class _Hand(logging.handlers.QueueHandler):
    """Hands records over as they are: the formatting, too, is the writing thread's work."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        # The arguments may change before they are formatted; the traceback must not keep frames alive.
        record.msg, record.args = record.getMessage(), None
        return record


@contextmanager
def logging_to(settings: Log) -> Iterator[None]:
    """Log as configured until the block is left, then write out what is queued. Raises OSError for a bad file."""
    target: logging.Handler
    if settings.file is None:
        target = logging.StreamHandler(sys.stderr)
    else:
        target = logging.handlers.RotatingFileHandler(
            settings.file, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8"
        )
    target.setFormatter(JsonFormatter() if settings.format == "json" else TextFormatter())
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    root = logging.getLogger("fastrelay")
    hand = _Hand(records)
    root.addHandler(hand)
    root.setLevel(settings.level.upper())
    writer = logging.handlers.QueueListener(records, target)
    writer.start()
    try:
        yield
    finally:
        root.removeHandler(hand)
        writer.stop()
        target.close()
