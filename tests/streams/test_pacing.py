from fastrelay.streams.pacing import Pacer


def test_a_burst_is_held_where_it_runs_ahead() -> None:
    pacer = Pacer(4.0)
    assert pacer.delay(0.0, 100.0) == 0
    assert pacer.delay(4.0, 100.0) == 0
    assert pacer.delay(5.0, 100.0) == 1
    assert pacer.delay(5.0, 101.0) == 0


def test_a_live_source_is_never_held() -> None:
    pacer = Pacer(4.0)
    assert all(pacer.delay(second, 50.0 + second) == 0 for second in range(100))


def test_after_a_stall_the_source_may_catch_up_only_by_the_same_measure() -> None:
    pacer = Pacer(4.0)
    pacer.delay(0.0, 0.0)
    assert pacer.delay(10.0, 20.0) == 0
    assert pacer.delay(14.0, 20.0) == 0
    assert pacer.delay(16.0, 20.0) == 2


def test_a_clock_that_stands_still_holds_nothing() -> None:
    pacer = Pacer(4.0)
    assert all(pacer.delay(0.0, second / 1000) == 0 for second in range(100))
