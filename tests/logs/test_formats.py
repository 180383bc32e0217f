"""One event, one line, without what a stranger or a provider must not have there."""

import json
import logging

from fastrelay.logs.formats import JsonFormatter, TextFormatter
from fastrelay.wire.access import AccessLine

NASTY = "a\r\nb\x1b[31m\x85\u2028\u202e\ud800 http://user:geheim@h/?token=geheim"
LINE = AccessLine("10.0.0.1", "GET", f"/stream/a?token=geheim&x={NASTY}", 200, 5, 1.5, f"VLC {NASTY}", "left")


def record(message: object, *args: object, error: Exception | None = None) -> logging.LogRecord:
    made = logging.LogRecord("fastrelay.streams.stream", logging.INFO, "", 0, message, args, None)
    if error is not None:
        made.exc_info = (type(error), error, error.__traceback__)
    return made


def test_text_is_one_printable_line() -> None:
    for made in (record("stream %s: %s", "a", NASTY), record(LINE)):
        text = TextFormatter().format(made)
        assert text.isprintable() and "geheim" not in text
        assert " INFO    streams.stream: " in text
        text.encode()


def test_json_is_one_object_with_the_parts_of_an_access_line() -> None:
    text = JsonFormatter().format(record(LINE))
    assert text.isprintable() and "geheim" not in text
    entry = json.loads(text)
    assert entry["address"] == "10.0.0.1" and entry["status"] == 200 and entry["seconds"] == 1.5
    assert entry["sent"] == 5 and entry["why"] == "left" and entry["logger"] == "fastrelay.streams.stream"
    assert entry["message"].startswith("10.0.0.1 GET /stream/a?token=***")


def test_a_traceback_cannot_forge_a_line() -> None:
    try:
        raise ValueError("x\n2025-12-08T19:20:00.123Z INFO    app: forged http://u:geheim@h/")
    except ValueError as error:
        text = TextFormatter().format(record("failed", error=error))
        packed = JsonFormatter().format(record("failed", error=error))
    assert "geheim" not in text + packed
    assert not any(line.startswith("2025-12-08") for line in text.splitlines())
    assert "ValueError" in json.loads(packed)["traceback"] and "\n" not in packed


def test_an_access_line_for_people() -> None:
    line = AccessLine("10.0.0.1", "GET", "/stream/a", 200, 5000, 61.25, "VLC/3.0.20", "slow: 9 bytes behind")
    assert str(line) == '10.0.0.1 GET /stream/a 200 5000 bytes 61.250 s "VLC/3.0.20" (slow: 9 bytes behind)'
    assert str(AccessLine("10.0.0.1", "-", "-", 400, 5, 0.0, "")) == "10.0.0.1 - - 400 5 bytes 0.000 s"
