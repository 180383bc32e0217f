"""A record as a line: for people, or as JSON. Credentials and control characters end here, whoever logged them."""

import json
import logging
import re
import time
from typing import Any

from fastrelay.wire.access import AccessLine
from fastrelay.wire.redact import redact

# C0 and C1 controls, line and paragraph separators, and what changes the direction of writing.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Control characters become visible escapes: what a stranger sends cannot forge a line or move the cursor."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def shown(text: str) -> str:
    """As it may be written."""
    return printable(redact(text))


class TextFormatter(logging.Formatter):
    """`2025-12-08T19:20:00.123Z INFO streams.stream: …`; a traceback follows on lines of its own."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        name = record.name.removeprefix("fastrelay.")
        line = f"{_moment(self, record)} {record.levelname:<7} {name}: {shown(record.getMessage())}"
        if record.exc_info:
            line += "\n" + _traceback(self, record)
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the parts of an access line, and traceback where there is
    one."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": _moment(self, record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": shown(record.getMessage()),
        }
        if isinstance(record.msg, AccessLine):
            fields = record.msg._asdict().items()
            entry |= {name: shown(value) if isinstance(value, str) else value for name, value in fields}
        if record.exc_info:
            entry["traceback"] = _traceback(self, record)
        return json.dumps(entry, ensure_ascii=False)


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    assert record.exc_info
    # Its line breaks are its own; what the exception's text brings along is not told from them, but is indented.
    lines = redact(formatter.formatException(record.exc_info)).split("\n")
    return "\n".join(printable(line) if number == 0 else f"  {printable(line)}" for number, line in enumerate(lines))


def _moment(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return f"{formatter.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03d}Z"
