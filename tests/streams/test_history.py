from fastrelay.streams.history import KEPT, STEP, History, Reading, Sample


def reading(stream_id: str = "a", received: int = 0, delivered: int = 0, ts: int = 0, hls: int = 0) -> Reading:
    return Reading(stream_id, ts, hls, received, delivered)


def test_rates_are_between_two_samples_and_viewers_are_now() -> None:
    history = History()
    history.take([reading(received=1000), reading("b", ts=5)], 10.0)
    sample = history.take([reading(received=2000, delivered=500, ts=1, hls=2), reading("b", received=3000, ts=3)], 12.0)
    assert sample == Sample(4, 2, 8 * 4000 // 2, 8 * 500 // 2)


def test_a_run_that_began_meanwhile_counts_from_its_beginning() -> None:
    history = History()
    history.take([reading(received=9000)], 0.0)
    assert history.take([reading(received=600)], 2.0).bits_in == 8 * 600 // 2
    assert history.take([], 4.0) == Sample(0, 0, 0, 0)
    assert history.take([reading(received=700)], 6.0).bits_in == 8 * 700 // 2


def test_it_is_bounded() -> None:
    history = History()
    for number in range(KEPT + 50):
        history.take([reading(str(number))], number * STEP)
    assert len(history.samples) == KEPT
    assert KEPT * STEP == 600
