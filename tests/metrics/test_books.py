"""Counters only rise, whatever runs begin and end; series are bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrelay.config.relay_fields import check_output_path
from fastrelay.metrics.books import OTHER, Books, Entry, Sums


class Run:
    """What a run has done, to be changed by the test."""

    def __init__(self, books: Books, stream_id: str) -> None:
        self.done = Sums()
        self.entry = books.open(stream_id, lambda: self.done)


def test_what_an_ended_run_did_stays() -> None:
    books = Books()
    first = Run(books, "a")
    first.done = Sums(received=10, delivered=30, drops=1)
    books.close(first.entry)
    books.close(first.entry)
    assert books.total() == Sums(10, 30, 1)
    second = Run(books, "a")
    second.done = Sums(received=5, switches=2)
    assert books.total() == Sums(15, 30, 1, 2)
    assert books.by_stream() == {"a": Sums(15, 30, 1, 2)}


def test_two_runs_of_one_stream_overlap() -> None:
    """The viewers of a run that ends still take what is left while the next one begins."""
    books = Books()
    old, new = Run(books, "a"), Run(books, "a")
    old.done, new.done = Sums(delivered=7), Sums(delivered=1)
    assert books.by_stream() == {"a": Sums(delivered=8)}
    books.close(old.entry)
    assert books.by_stream() == {"a": Sums(delivered=8)}


def test_a_stream_beyond_the_bound_is_counted_under_other() -> None:
    books = Books(most=2)
    runs = [Run(books, name) for name in ("a", "b", "c", "d")]
    for run in runs:
        run.done = Sums(received=1)
    assert books.by_stream() == {"a": Sums(1), "b": Sums(1), OTHER: Sums(2)}
    books.close(runs[2].entry)
    assert books.by_stream()[OTHER] == Sums(2), "a counter fell"
    assert books.total() == Sums(4)


def test_a_relay_of_any_name_has_a_series_of_its_own() -> None:
    with pytest.raises(ValueError, match="expected 1 to 64 letters"):
        check_output_path(OTHER)
    books = Books(most=2)
    runs = [Run(books, name) for name in ("other", "b", "c")]
    for run in runs:
        run.done = Sums(received=1)
    assert books.by_stream() == {"other": Sums(1), "b": Sums(1), OTHER: Sums(1)}


def test_the_longest_at_rest_gives_its_series_up() -> None:
    books = Books(most=2)
    a, b = Run(books, "a"), Run(books, "b")
    a.done = b.done = Sums(received=1)
    books.close(b.entry)
    books.close(a.entry)
    Run(books, "c")
    assert set(books.by_stream()) == {"a", "c"}
    assert books.total() == Sums(2)
    Run(books, "a")
    assert set(books.by_stream()) == {"a", "c"}, "it runs: its series stays"
    assert Run(books, "b").entry.label == OTHER


def test_a_stream_may_be_called_other() -> None:
    books = Books(most=1)
    Run(books, "a")
    for name in ("x", OTHER, "y"):
        assert Run(books, name).entry.label == OTHER


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 9), st.booleans()), max_size=60))
def test_no_counter_ever_falls(steps: list[tuple[str, int, bool]]) -> None:
    books = Books(most=3)
    runs: dict[Entry, Run] = {}
    before, other = Sums(), Sums()
    for name, received, ends in steps:
        if ends and runs:
            books.close(runs.pop(next(iter(runs))).entry)
        else:
            run = Run(books, name)
            runs[run.entry] = run
        for run in runs.values():
            run.done += Sums(received=received)
        now, others = books.total(), books.by_stream().get(OTHER, Sums())
        assert now.received >= before.received and others.received >= other.received
        assert len(books.by_stream()) <= 4
        before, other = now, others
