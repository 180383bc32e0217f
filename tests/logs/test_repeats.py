"""What is repeated within a second is said a few times, then counted."""

import logging

from fastrelay.logs.repeats import KINDS_MAX, SAID, Repeats
from fastrelay.wire.access import AccessLine


def record(message: object) -> logging.LogRecord:
    return logging.LogRecord("fastrelay.x", logging.WARNING, "", 0, message, None, None)


def access(address: str, target: str, status: int) -> logging.LogRecord:
    return record(AccessLine(address, "GET", target, status, 5, 0.1, ""))


def admitted(repeats: Repeats, records: list[logging.LogRecord]) -> int:
    return sum(repeats.admits(one) for one in records)


def test_lines_that_differ_in_numbers_only_are_counted_after_the_first_ones() -> None:
    repeats = Repeats()
    assert repeats.due(100.0) == []
    many = [record(f"viewer 10.0.0.{n} dropped: {n * 7} bytes behind") for n in range(SAID + 312)]
    assert admitted(repeats, many) == SAID
    assert repeats.admits(record("something else"))
    assert repeats.due(100.9) == []
    (more,) = repeats.due(101.0)
    assert more.getMessage() == f"… 312 more like this: {many[-1].getMessage()}" and more.levelno == logging.WARNING
    assert repeats.due(102.0) == []
    assert admitted(repeats, many) == SAID


def test_what_was_said_in_full_is_not_counted() -> None:
    repeats = Repeats()
    repeats.due(0.0)
    assert admitted(repeats, [record("x")] * SAID) == SAID
    assert repeats.due(5.0) == []


def test_the_end_of_the_log_does_not_wait() -> None:
    repeats = Repeats()
    repeats.due(0.0)
    admitted(repeats, [record("x")] * (SAID + 1))
    assert len(repeats.due(0.1, end=True)) == 1


def test_requests_are_told_apart_unless_they_are_refused() -> None:
    repeats = Repeats()
    repeats.due(0.0)
    good = [access("10.0.0.1", f"/stream/a{n}", 200) for n in range(50)]
    scanner = [access("10.0.0.2", f"/admin{n}.php", 404) for n in range(50)]
    another = [access("10.0.0.3", "/admin", 404)]
    assert (admitted(repeats, good), admitted(repeats, scanner), admitted(repeats, another)) == (50, SAID, 1)
    assert [one.getMessage()[:9] for one in repeats.due(1.0)] == ["… 40 more"]


def test_kinds_are_bounded() -> None:
    repeats = Repeats()
    repeats.due(0.0)
    many = [access(f"10.0.{n >> 8}.{n & 255}", "/", 404) for n in range(KINDS_MAX + 500)]
    assert admitted(repeats, many) == KINDS_MAX + SAID
