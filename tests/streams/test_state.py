import pytest

from fastrelay.streams.state import PUBLIC_NAMES, RUNNING, Event, State, next_state


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], "idle"),
        ([Event.VIEWER], "starting"),
        ([Event.VIEWER, Event.VIEWER], "starting"),
        ([Event.VIEWER, Event.FLOWING], "active"),
        ([Event.VIEWER, Event.FLOWING, Event.FLOWING], "active"),
        ([Event.VIEWER, Event.EMPTY], "stopping"),
        ([Event.VIEWER, Event.EMPTY, Event.VIEWER], "starting"),
        ([Event.VIEWER, Event.EMPTY, Event.FLOWING], "stopping"),
        ([Event.VIEWER, Event.EMPTY, Event.FLOWING, Event.VIEWER], "active"),
        ([Event.VIEWER, Event.FLOWING, Event.EMPTY], "stopping"),
        ([Event.VIEWER, Event.FLOWING, Event.EMPTY, Event.VIEWER], "active"),
        ([Event.VIEWER, Event.FLOWING, Event.EMPTY, Event.END], "idle"),
        ([Event.VIEWER, Event.FLOWING, Event.END], "idle"),
        ([Event.VIEWER, Event.END], "idle"),
        ([Event.VIEWER, Event.END, Event.VIEWER], "starting"),
    ],
)
def test_life(events: list[Event], state: str) -> None:
    current = State.IDLE
    for event in events:
        current = next_state(current, event)
    assert PUBLIC_NAMES[current] == state


def test_a_viewer_is_served_in_every_state() -> None:
    for state in State:
        assert next_state(state, Event.VIEWER) in {State.STARTING, State.ACTIVE}


def test_every_state_can_end() -> None:
    for state in RUNNING:
        assert next_state(state, Event.END) is State.IDLE
