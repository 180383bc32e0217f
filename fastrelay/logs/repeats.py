"""The same thing over and over is said a few times, then counted, a second at a time."""

import logging
import re

from fastrelay.wire.access import AccessLine

SAID = 10
"""Lines of one kind that are written within a second; those beyond are counted."""
KINDS_MAX = 10_000
"""Kinds told apart within a second; those beyond are one."""

_NUMBERS = re.compile(r"\d+")


def kind_of(record: logging.LogRecord) -> tuple[object, ...]:
    """Lines that differ in their numbers only are of one kind; access lines say themselves what they repeat."""
    if isinstance(record.msg, AccessLine):
        return record.msg.kind
    return (record.name, record.levelno, _NUMBERS.sub("0", record.getMessage()))


class Repeats:
    """Decides what is said. Times are seconds of any clock that goes forward."""

    def __init__(self) -> None:
        self._until = 0.0
        self._seen: dict[tuple[object, ...], int] = {}
        self._more: dict[tuple[object, ...], logging.LogRecord] = {}

    def admits(self, record: logging.LogRecord) -> bool:
        """Whether this one is said; ask `due` before."""
        kind = kind_of(record)
        if kind not in self._seen and len(self._seen) >= KINDS_MAX:
            kind = ()
        count = self._seen[kind] = self._seen.get(kind, 0) + 1
        if count > SAID:
            self._more[kind] = record
        return count <= SAID

    def due(self, now: float, *, end: bool = False) -> list[logging.LogRecord]:
        """Once the second is over (or at the end of the log): a record for each kind of which there were more."""
        if now < self._until and not end:
            return []
        found = [_more(last, self._seen[kind] - SAID) for kind, last in self._more.items()]
        self._until = now + 1.0
        self._seen, self._more = {}, {}
        return found


def _more(last: logging.LogRecord, count: int) -> logging.LogRecord:
    text = f"… {count} more like this: {last.getMessage()}"
    record = logging.LogRecord(last.name, last.levelno, last.pathname, last.lineno, text, None, None)
    record.created, record.msecs = last.created, last.msecs
    return record
