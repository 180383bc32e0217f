"""Who watches HLS, and what is made of those who only pretend to."""

import pytest

from fastrelay.streams import hls_sessions
from fastrelay.streams.hls_sessions import ASKED_ONCE, Session, Sessions


class Door:
    """Lets viewers in as the streams do."""

    def __init__(self) -> None:
        self.gone: list[str] = []
        self.sessions = Sessions(lambda session: self.gone.append(session.key))
        self._now = 0.0

    def asks(self, key: str, address: str = "192.0.2.1", user_agent: str = "VLC") -> Session:
        self._now += 1
        session = self.sessions.find(key, address)
        if session is None:
            key = self.sessions.key_for(key, address)
            session = Session(int(self._now), key, address, user_agent, self._now, came=True)
            self.sessions.enter(session)
        else:
            session.asks(self._now)
        return session


def test_who_asks_only_once_gives_way_to_others_of_his_address() -> None:
    door = Door()
    for number in range(1000):
        door.asks(f"s{number}")
        door.asks(f"t{number}", "192.0.2.2")
    assert len(door.sessions) == 2 * ASKED_ONCE
    assert [key for key in door.gone if key[0] == "s"] == [f"s{number}" for number in range(1000 - ASKED_ONCE)]


def test_whoever_has_asked_again_stays_however_many_come_from_his_address() -> None:
    door = Door()
    for number in range(500):
        door.asks(f"s{number}")
        door.asks(f"s{number}")
    for number in range(1000):
        door.asks(f"t{number}")
    assert all(door.sessions.find(f"s{number}", "192.0.2.1") for number in range(500))
    assert len(door.sessions) == 500 + ASKED_ONCE


def test_who_waits_for_a_cold_stream_stays() -> None:
    door = Door()
    for number in range(500):
        door.asks(f"s{number}").waiting = 1
    assert len(door.sessions) == 500
    assert door.gone == []


def test_who_had_to_give_way_comes_back_when_he_asks_after_all() -> None:
    door = Door()
    first = door.asks("first")
    for number in range(ASKED_ONCE):
        door.asks(f"s{number}")
    assert (first.over, door.gone) == (True, ["first"])
    assert door.asks("first") is not first
    assert door.sessions.find("first", "192.0.2.1") is not None


def test_a_crowd_of_one_address_is_counted_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hls_sessions, "CROWD", 10)
    door = Door()
    for number in range(50):
        door.asks(f"s{number}")
        door.asks(f"s{number}")
    assert len(door.sessions) == 11
    assert door.asks("s3").key == "s3"
    assert door.asks("s30") is door.asks("s49") is door.asks("new")
    assert door.asks("other", "192.0.2.2").key == "other"
    # There is room again: newcomers are told apart.
    for session in list(door.sessions)[:5]:
        door.sessions.leave(session)
    assert door.asks("later").key == "later"


def test_the_newest_of_a_kind_is_known_also_when_newer_ones_have_gone() -> None:
    door = Door()
    older, newer, other = door.asks("a"), door.asks("b"), door.asks("c", user_agent="mpv")
    assert door.sessions.newest("192.0.2.1", "VLC") is newer
    assert door.sessions.newest("192.0.2.1", "mpv") is other
    assert door.sessions.leave(newer)
    assert not door.sessions.leave(newer)
    assert door.sessions.newest("192.0.2.1", "VLC") is older
    door.sessions.leave(older)
    assert door.sessions.newest("192.0.2.1", "VLC") is None


def test_who_has_asked_for_nothing_since_a_moment_and_waits_for_nothing() -> None:
    door = Door()
    first, second, third = door.asks("a"), door.asks("b"), door.asks("c")
    second.waiting = 1
    door.asks("c")
    assert door.sessions.silent_since(first.last_request) == [first]
    assert door.sessions.silent_since(third.last_request) == [first, third]
