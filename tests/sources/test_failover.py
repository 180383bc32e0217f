from fastrelay.config import Failover
from fastrelay.sources.failover import Attempt, Plan

SETTINGS = Failover()


def plan() -> Plan:
    """Jitter at its most: the whole backoff."""
    return Plan(SETTINGS, lambda: 1.0)


def test_one_failure_uses_up_one_source_and_costs_no_time() -> None:
    failing = plan()
    assert failing.failed(0, 0, 3, now=0) == Attempt(1, 0.0)
    assert failing.failed(1, 0, 3, now=1) == Attempt(2, 0.0)


def test_backing_off_starts_when_all_have_failed_and_doubles_a_round() -> None:
    failing = plan()
    delays = []
    index = 0
    for now in range(16):
        attempt = failing.failed(index, 0, 2, now)
        assert attempt is not None
        delays.append(attempt.delay)
        index = attempt.index
    assert delays == [0, 0.5, 0, 1, 0, 2, 0, 4, 0, 8, 0, 15, 0, 15, 0, 15]


def test_jitter_takes_off_at_most_a_half() -> None:
    attempt = Plan(SETTINGS, lambda: 0.0).failed(0, 0, 1, now=0)
    assert attempt == Attempt(0, 0.25)


def test_a_proven_source_is_dialled_once_more_first() -> None:
    failing = plan()
    assert failing.failed(0, 30.0, 2, now=100) == Attempt(0, 0.0)
    assert failing.failed(0, 0.0, 2, now=101) == Attempt(1, 0.0)


def test_a_proven_source_clears_what_was_held_against_the_others() -> None:
    failing = plan()
    failing.failed(0, 0, 2, now=0)
    failing.failed(1, 0, 2, now=0)
    assert failing.all_failed(2)
    failing.succeeded()
    failing.failed(0, 31, 2, now=40)
    assert not failing.all_failed(2)
    assert failing.failed(0, 0, 2, now=40) == Attempt(1, 0.0)


def test_giving_up_counts_from_the_first_failure_without_a_picture() -> None:
    failing = plan()
    failing.failed(0, 0, 2, now=0)
    failing.succeeded()
    assert failing.failed(1, 3, 2, now=50) is not None
    assert failing.failed(0, 0, 2, now=109.9) is not None
    assert failing.failed(0, 0, 2, now=110) is None


def test_a_source_that_plays_for_a_while_ends_the_backing_off() -> None:
    failing = plan()
    for now in range(4):
        failing.failed(0, 0, 1, now)
    assert failing.failed(0, 10, 1, now=20) == Attempt(0, 0.5)


def test_the_operators_switch_holds_nothing_against_anyone() -> None:
    skipping = plan()
    assert skipping.skipped(1, 2) == Attempt(0, 0.0)
    assert not skipping.all_failed(2)


def test_a_list_that_became_shorter_is_no_fault() -> None:
    assert plan().failed(4, 31, 2, now=0) == Attempt(0, 0.0)
