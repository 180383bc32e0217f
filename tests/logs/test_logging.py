"""The whole way of a line: handed over, written by another thread, rotated."""

import logging
import os
import queue
import threading
from pathlib import Path

import pytest

import fastrelay.logs
from fastrelay.config import Log
from fastrelay.logs import FILES_KEPT, WAITING_MAX, Hand, logging_to
from fastrelay.wire.access import AccessLine

log = logging.getLogger("fastrelay.test")


def test_everything_is_written_before_the_end(tmp_path: Path) -> None:
    file = tmp_path / "x.log"
    with logging_to(Log(file=str(file), level="info")):
        log.debug("not this")
        for number in range(20):
            log.info("line %d", number)
    lines = file.read_text().splitlines()
    assert [line.rpartition(": ")[2] for line in lines[:10]] == [f"line {n}" for n in range(10)]
    assert len(lines) == 11 and "… 10 more like this: line 19" in lines[10]


def test_what_is_repeated_is_counted_although_nothing_follows(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with logging_to(Log(file=str(_reading(fifo)), level="info")):
        for _ in range(322):
            log.warning("again")
        assert _found.wait(10), "it was never said while the log was open"


_found = threading.Event()


def _reading(fifo: Path) -> Path:
    """Somebody who reads the log as it is written."""

    def read() -> None:
        with fifo.open() as lines:
            for line in lines:
                if "… 312 more like this: again" in line:
                    _found.set()

    threading.Thread(target=read, daemon=True).start()
    return fifo


def test_a_file_is_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastrelay.logs, "FILE_BYTES", 2000)
    file = tmp_path / "x.log"
    with logging_to(Log(file=str(file))):
        for number in range(200):
            log.info("%s %s", "x" * 100, chr(0x4E00 + number))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["x.log", *(f"x.log.{n}" for n in range(1, FILES_KEPT + 1))]
    assert all(path.stat().st_size <= 2000 for path in tmp_path.iterdir())


def test_a_disk_that_stands_still_holds_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines beyond a bound are lost and counted; the thread that logs never waits for the one that writes."""
    gate, written = threading.Event(), []

    class Stuck(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            gate.wait(20)
            written.append(record.getMessage())

    monkeypatch.setattr(fastrelay.logs, "_target", lambda settings: Stuck())
    with logging_to(Log()):
        for number in range(WAITING_MAX + 500):
            log.warning(AccessLine(f"10.0.0.{number}", "GET", "/", 200, 1, 0.0, ""))
        assert not written
        gate.set()
    assert WAITING_MAX <= len(written) <= WAITING_MAX + 3
    assert any(line.endswith("lines were lost: the log takes them too slowly") for line in written)


def test_access_lines_become_text_where_they_are_written() -> None:
    """What is handed over is still no text, and nothing that may change."""
    records: queue.SimpleQueue[logging.LogRecord | None] = queue.SimpleQueue()
    line, changing = AccessLine("10.0.0.1", "GET", "/", 200, 1, 0.0, "VLC"), [1]
    hand = Hand(records)
    hand.handle(logging.LogRecord("fastrelay.access", logging.INFO, "", 0, line, None, None))
    hand.handle(logging.LogRecord("fastrelay.x", logging.INFO, "", 0, "%s", (changing,), None))
    changing.append(2)
    first, second = records.get(), records.get()
    assert first is not None and first.msg is line
    assert second is not None and second.getMessage() == "[1]"
