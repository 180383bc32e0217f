"""The life of a stream as a table: what it is, what happens, what it becomes."""

from enum import Enum, auto


class State(Enum):
    IDLE = auto()
    """Not running: no source, no ring, no timer."""
    STARTING = auto()
    """Somebody waits; no source has delivered a picture yet."""
    ACTIVE = auto()
    """Media flow and somebody watches."""
    ABANDONED = auto()
    """Nobody waits any more and nothing flows yet; the idle timer runs."""
    STOPPING = auto()
    """Media flow, nobody watches; the idle timer runs."""


class Event(Enum):
    VIEWER = auto()
    """The first viewer came, of any kind, waiting or served."""
    FLOWING = auto()
    """The first source is in the ring: PAT, PMT and a random-access point are there."""
    EMPTY = auto()
    """The last viewer left."""
    END = auto()
    """Idle timeout, operator's stop, give-up, or the last source truly ended."""


_TABLE: dict[tuple[State, Event], State] = {
    (State.IDLE, Event.VIEWER): State.STARTING,
    (State.STARTING, Event.FLOWING): State.ACTIVE,
    (State.STARTING, Event.EMPTY): State.ABANDONED,
    (State.STARTING, Event.END): State.IDLE,
    (State.ABANDONED, Event.VIEWER): State.STARTING,
    (State.ABANDONED, Event.FLOWING): State.STOPPING,
    (State.ABANDONED, Event.END): State.IDLE,
    (State.ACTIVE, Event.EMPTY): State.STOPPING,
    (State.ACTIVE, Event.END): State.IDLE,
    (State.STOPPING, Event.VIEWER): State.ACTIVE,
    (State.STOPPING, Event.END): State.IDLE,
}

PUBLIC_NAMES = {
    State.IDLE: "idle",
    State.STARTING: "starting",
    State.ACTIVE: "active",
    State.ABANDONED: "stopping",
    State.STOPPING: "stopping",
}
"""What users are told; whether an abandoned stream had its first picture is no concern of theirs."""

RUNNING = frozenset(State) - {State.IDLE}


def next_state(state: State, event: Event) -> State:
    """The state after `event`; the same where the event changes nothing there (a second viewer, a second END)."""
    return _TABLE.get((state, event), state)
