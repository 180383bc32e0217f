from fastrelay.hls.discontinuities import BLOCK, EPOCH, Discontinuities


def test_numbers_begin_at_what_was_reserved_or_at_the_clock() -> None:
    saved: list[int] = []
    assert Discontinuities(0, EPOCH + 3600, saved.append).next == 60
    assert Discontinuities(500, EPOCH + 3600, saved.append).next == 500
    assert Discontinuities(0, 0.0, saved.append).next == 0, "a clock that was never set"
    assert saved == [60 + BLOCK, 500 + BLOCK, BLOCK]


def test_they_stay_small() -> None:
    """hls.js copies an array of this length at every discontinuity: ten years from the epoch it may take 0.3 s."""
    assert Discontinuities(0, EPOCH + 10 * 366 * 86_400, lambda number: None).next < 6_000_000


def test_a_restart_begins_behind_everything_given_however_many_that_were() -> None:
    saved: list[int] = []
    numbers = Discontinuities(0, EPOCH, saved.append)
    for number in range(10 * BLOCK):
        numbers.given(number)
        assert saved[-1] - number >= BLOCK // 2, "it is saved well before it is needed: writing takes a while"
    assert len(saved) <= 21
    assert Discontinuities(saved[-1], EPOCH + 1, saved.append).next >= 10 * BLOCK


def test_a_lower_number_of_another_stream_changes_nothing() -> None:
    numbers = Discontinuities(100, EPOCH, lambda number: None)
    numbers.given(103)
    numbers.given(7)
    assert numbers.next == 103
