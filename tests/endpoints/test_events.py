"""Readers of the events who read slowly, or not at all, and those for whom there is nothing new."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from fastrelay.endpoints import events
from fastrelay.endpoints.auth import Access
from fastrelay.endpoints.events import SLOW, EventsEndpoint, Reader
from fastrelay.wire.request import Request


class Socket:
    """Takes `room` bytes, then no more until there is room again."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.got = b""
        self.writable: Callable[[], None] | None = None
        self.ended = ""
        self.gone = False

    def send(self, *parts: memoryview) -> int:
        if self.gone:
            raise ConnectionResetError
        taken = bytes(parts[0][: self.room])
        self.room -= len(taken)
        self.got += taken
        return len(taken)

    def watch(self, writable: Callable[[], None]) -> None:
        self.writable = writable

    def unwatch(self) -> None:
        self.writable = None

    def finish(self) -> None:
        self.ended = self.ended or "finish"

    def reset(self) -> None:
        self.ended = self.ended or "reset"


def test_a_message_goes_on_where_it_stopped_and_one_meanwhile_is_missed() -> None:
    socket, left = Socket(4), list[Reader]()
    reader = Reader(socket, left.append)
    reader.offer(b"abcdef", 0.0)
    assert (socket.got, reader.idle, reader.behind) == (b"abcd", False, False)
    reader.offer(b"missed", 1.0)
    assert reader.behind
    socket.room = 100
    assert socket.writable is not None
    socket.writable()
    assert (socket.got, reader.idle, socket.writable) == (b"abcdef", True, None)
    reader.offer(b"whole", 2.0)
    assert (socket.got, reader.behind, left) == (b"abcdefwhole", False, [])


def test_who_takes_nothing_is_dropped_and_forgotten() -> None:
    socket, left = Socket(0), list[Reader]()
    reader = Reader(socket, left.append)
    reader.offer(b"abc", 5.0)
    reader.check(5.0 + SLOW - 0.1)
    assert (socket.ended, left) == ("", [])
    reader.check(5.0 + SLOW)
    assert (socket.ended, socket.writable, left) == ("reset", None, [reader])


def test_who_has_taken_everything_may_be_silent_for_ever() -> None:
    socket = Socket(100)
    reader = Reader(socket, lambda reader: None)
    reader.offer(b"abc", 5.0)
    reader.check(5.0 + 100 * SLOW)
    assert socket.ended == ""


def test_who_is_gone_is_forgotten() -> None:
    socket, left = Socket(100), list[Reader]()
    reader = Reader(socket, left.append)
    socket.gone = True
    reader.offer(b"abc", 5.0)
    assert (socket.ended, left) == ("reset", [reader])


def test_the_end_comes_in_order_unless_it_would_cut_a_message() -> None:
    whole, cut = Socket(100), Socket(1)
    for socket in (whole, cut):
        reader = Reader(socket, lambda reader: None)
        reader.offer(b"abc", 0.0)
        reader.finish()
    assert (whole.ended, cut.ended) == ("finish", "reset")


@pytest.fixture
async def endpoint(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EventsEndpoint]:
    """Where nothing runs, with updates that come fast."""
    monkeypatch.setattr(events, "EVERY", 0.01)
    monkeypatch.setattr(events, "KEEP_ALIVE", 0.05)
    made = EventsEndpoint(list, Access(None))
    made.start()
    yield made
    made.stop()


def attached(endpoint: EventsEndpoint, socket: Socket) -> Socket:
    peer = ("127.0.0.1", 1)
    endpoint.read(Request("GET", "/api/events", "/api/events", {}, {}, peer, peer)).attach(socket, b"")
    return socket


async def until(predicate: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not predicate():  # noqa: ASYNC110  # nothing announces it
            await asyncio.sleep(0.005)


async def test_who_missed_an_update_gets_the_whole_picture_again(endpoint: EventsEndpoint) -> None:
    other, slow = attached(endpoint, Socket(1 << 20)), attached(endpoint, Socket(1))
    await until(lambda: b"event: update" in other.got)
    slow.room = 1 << 20
    assert slow.writable is not None
    slow.writable()
    await until(lambda: slow.got.count(b"event: snapshot") == 2)
    assert other.got.count(b"event: snapshot") == 1


async def test_where_nothing_is_new_a_comment_shows_that_the_connection_is_in_use(endpoint: EventsEndpoint) -> None:
    reader = attached(endpoint, Socket(1 << 20))
    await until(lambda: reader.got.count(b": nothing new") == 2)
    assert reader.got.count(b"event: update") == 1
