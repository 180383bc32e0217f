"""The hot loop over real sockets: contiguous, parked, dropped and finished viewers."""

import asyncio
import socket

import pytest

from fastrelay.mpegts.marks import Mark
from fastrelay.ring.cursor import Watermarks
from fastrelay.ring.index import Index
from fastrelay.ring.retention import Retention
from fastrelay.ring.ring import Ring
from fastrelay.server.live import RawOutlet
from fastrelay.streams import fanout
from fastrelay.streams.fanout import Fanout
from fastrelay.streams.viewers import Viewer


@pytest.fixture(autouse=True)
def grown_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams here gather from their first byte on."""
    monkeypatch.setattr(fanout, "YOUNG_BYTES", 0)


HEAD = b"HTTP/1.1 200 OK\r\n\r\n"
TABLES = b"<tables>"


def pattern(start: int, end: int) -> bytes:
    """Bytes that say their own position: a counter in every 8."""
    first = start // 8
    whole = b"".join(number.to_bytes(8, "big") for number in range(first, end // 8 + 1))
    return whole[start - first * 8 : end - first * 8]


def tcp_pair(send_buffer: int) -> tuple[socket.socket, socket.socket]:
    """Two ends of a connection over loopback: a Unix socket pair would not show a reset."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.socket()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        theirs.connect(listening.getsockname())
        ours, _ = listening.accept()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    return ours, theirs


class Stage:
    """A ring with its fan-out, and viewers at the other end of socket pairs."""

    def __init__(
        self, size: int = 1 << 20, delay: float = 0.01, flush_bytes: int = 1 << 30, patience: float = 60
    ) -> None:
        self.ring = Ring(size)
        self.index = Index()
        self.left: dict[int, str] = {}
        self.left_behind: list[int] = []
        """Whom the bytes before `edge` had not reached when a viewer was dropped."""
        self.departed = asyncio.Event()
        self.fanout = Fanout(
            self.ring,
            self.index,
            Retention(8.0, 0.0, size),
            Watermarks(0.75, patience),
            flush_delay=delay,
            flush_bytes=flush_bytes,
            joined=lambda viewer: None,
            left=self._left,
        )
        self.loop = asyncio.get_running_loop()
        self.viewers: list[Viewer] = []

    def mark(self) -> None:
        """The next byte is a random-access point."""
        self.index.add(Mark(position=self.ring.head, seconds=0.0, pts=None, dts=None, tables=TABLES))

    def append(self, count: int) -> None:
        self.ring.append(pattern(self.ring.head, self.ring.head + count))
        self.index.forget(self.ring.tail)
        self.fanout.appended()

    def join(self, send_buffer: int = 1 << 18) -> tuple[Viewer, socket.socket]:
        ours, theirs = tcp_pair(send_buffer)
        for end in (ours, theirs):
            end.setblocking(False)
        viewer = Viewer(len(self.viewers) + 1, "127.0.0.1", "", 0.0)
        self.viewers.append(viewer)
        outlet = RawOutlet(self.loop, ours, lambda: None)
        viewer.outlet = outlet
        self.fanout.add(viewer, HEAD)
        outlet.listen(lambda: self._depart(viewer))
        return viewer, theirs

    def _left(self, viewer: Viewer, reason: str) -> None:
        self.left[viewer.id] = reason
        others = (each for each in self.viewers if not each.gone)
        self.left_behind += [each.id for each in others if each.cursor < self.fanout.edge]

    def _depart(self, viewer: Viewer) -> None:
        self.fanout.remove(viewer)
        self.departed.set()

    async def read(self, theirs: socket.socket, count: int) -> bytes:
        got = bytearray()
        async with asyncio.timeout(30):
            while len(got) < count:
                part = await self.loop.sock_recv(theirs, count - len(got))
                if not part:
                    break
                got += part
        return bytes(got)

    async def rest(self, theirs: socket.socket) -> bytes:
        """Everything up to the orderly end; raises ConnectionResetError for a reset."""
        got = bytearray()
        async with asyncio.timeout(30):
            while part := await self.loop.sock_recv(theirs, 1 << 16):
                got += part
        return bytes(got)


async def test_viewers_get_head_tables_and_everything_from_the_mark_on() -> None:
    stage = Stage()
    stage.append(1000)
    stage.mark()
    stage.append(500)
    _, early = stage.join()
    stage.append(700)
    _, late = stage.join()
    stage.append(300)
    expected = HEAD + TABLES + pattern(1000, 2500)
    assert await stage.read(early, len(expected)) == expected
    assert await stage.read(late, len(expected)) == expected


async def test_small_pieces_are_written_together_after_the_delay() -> None:
    stage = Stage(delay=0.05)
    stage.mark()
    stage.append(8)
    _, theirs = stage.join()
    await stage.read(theirs, len(HEAD + TABLES) + 8)
    for _ in range(10):
        stage.append(8)
        await asyncio.sleep(0)
    assert stage.fanout.edge == 8
    assert await stage.read(theirs, 80) == pattern(8, 88)
    assert stage.fanout.edge == 88


async def test_much_at_once_is_written_at_once() -> None:
    stage = Stage(delay=60, flush_bytes=1000)
    stage.mark()
    stage.append(1000)
    _, theirs = stage.join()
    stage.append(1000)
    assert await stage.read(theirs, len(HEAD + TABLES) + 2000) == HEAD + TABLES + pattern(0, 2000)


async def test_without_a_mark_a_viewer_waits_for_the_next() -> None:
    stage = Stage()
    stage.append(1000)
    _, theirs = stage.join()
    with pytest.raises(BlockingIOError):
        theirs.recv(1)
    stage.mark()
    stage.append(1000)
    expected = HEAD + TABLES + pattern(1000, 2000)
    assert await stage.read(theirs, len(expected)) == expected


async def test_a_full_socket_parks_the_viewer_who_then_pulls_without_a_gap() -> None:
    stage = Stage(size=1 << 22)
    stage.mark()
    stage.append(1 << 16)
    viewer, slow = stage.join(send_buffer=1 << 14)
    _, healthy = stage.join()
    reader = asyncio.ensure_future(stage.read(healthy, len(HEAD + TABLES) + (40 << 16)))
    for _ in range(39):
        stage.append(1 << 16)
        await asyncio.sleep(0.001)
    assert stage.fanout.lag(viewer) > 1 << 20
    expected = HEAD + TABLES + pattern(0, 40 << 16)
    assert await reader == expected
    assert await stage.read(slow, len(expected)) == expected
    stage.append(1 << 16)
    assert await stage.read(slow, 1 << 16) == pattern(40 << 16, 41 << 16)
    assert stage.left == {}


async def test_a_stalled_viewer_is_reset_at_the_high_watermark_and_never_served_wrong_bytes() -> None:
    stage = Stage(size=1 << 20)
    stage.mark()
    stage.append(1 << 12)
    stalled, theirs = stage.join(send_buffer=1 << 14)
    while stalled.id not in stage.left:
        stage.append(1 << 15)
        stage.fanout.flush()
        assert stage.ring.head < 4 << 20
    assert stage.left[stalled.id].startswith("slow")
    assert stalled.cursor >= stage.ring.tail, "dropped before the overwrite, not after"
    for _ in range(40):
        stage.append(1 << 15)
    got = bytearray()
    with pytest.raises(ConnectionResetError):
        while part := theirs.recv(1 << 16):
            got += part
    assert bytes(got) == (HEAD + TABLES + pattern(0, stalled.cursor))[: len(got)]


async def test_who_is_too_slow_is_dropped_when_the_round_has_reached_all_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Closing hundreds takes as long as writing to a thousand, who need not wait for it."""
    monkeypatch.setattr(fanout, "SLICE_SECONDS", -1.0)
    stage = Stage(size=1 << 18, delay=60)
    stage.mark()
    stage.append(1 << 12)
    healthy = [stage.join()[1] for _ in range(2 * fanout.LOOK_AT_CLOCK_EVERY)]
    stalled, _ = stage.join(send_buffer=1 << 12)
    got = 1 << 12
    for end in healthy:
        await stage.read(end, len(HEAD + TABLES) + got)
    async with asyncio.timeout(30):
        while stalled.id not in stage.left:
            stage.append(1 << 14)
            stage.fanout.flush()
            assert stalled.id not in stage.left, "not while the round runs"
            for end in healthy:
                assert await stage.read(end, 1 << 14) == pattern(got, got + (1 << 14))
            got += 1 << 14
            await asyncio.sleep(0)
    assert stage.left[stalled.id].startswith("slow")
    assert stage.left_behind == []


async def test_a_lag_that_stays_grown_is_dropped_by_the_low_watermark() -> None:
    stage = Stage(size=1 << 20, patience=0.3)
    stage.mark()
    stage.append(1 << 12)
    lagging, theirs = stage.join(send_buffer=1 << 14)
    while stage.fanout.lag(lagging) < 0.4 * (1 << 20):
        stage.append(1 << 15)
    # From here on he keeps up: his lag is far below the high watermark and stays where it is.
    async with asyncio.timeout(30):
        while lagging.id not in stage.left:
            stage.append(1 << 12)
            if lagging.id not in stage.left and stage.fanout.lag(lagging) > 0.5 * (1 << 20):
                await stage.read(theirs, 1 << 14)
            await asyncio.sleep(0.002)
    assert "stayed there" in stage.left[lagging.id]


async def test_a_viewer_behind_the_tail_is_dropped_not_served() -> None:
    stage = Stage(size=1 << 16, delay=60)
    stage.mark()
    stage.append(1 << 12)
    viewer, _ = stage.join()
    stage.append(1 << 15)
    stage.append(1 << 16)
    stage.fanout.flush()
    assert stage.left == {viewer.id: "overrun"}


async def test_a_parked_viewer_behind_the_tail_is_dropped_when_his_socket_has_room_again() -> None:
    stage = Stage(size=1 << 20, delay=60)
    stage.mark()
    stage.append(1 << 19)
    viewer, theirs = stage.join(send_buffer=1 << 14)
    assert stage.fanout.lag(viewer) > 0
    stage.append(1 << 20)
    with pytest.raises(ConnectionResetError):
        await stage.rest(theirs)
    assert stage.left == {viewer.id: "overrun"}


async def test_a_far_start_is_no_falling_back() -> None:
    """A viewer who joins half a ring behind and holds that distance is not slow."""
    stage = Stage(size=1 << 20, patience=0.3)
    stage.mark()
    stage.append(1 << 19)
    viewer, theirs = stage.join(send_buffer=1 << 12)
    theirs_rate = 1 << 12
    loop_until = stage.loop.time() + 0.5
    while stage.loop.time() < loop_until:
        stage.append(theirs_rate)
        await stage.read(theirs, theirs_rate)
        assert stage.fanout.lag(viewer) > 1 << 18
        await asyncio.sleep(0.005)
    assert stage.left == {}


async def test_who_caught_up_may_lag_anew() -> None:
    """The patience of the low watermark starts over when a viewer has been at the edge."""
    stage = Stage(size=1 << 20, patience=0.3)
    stage.mark()
    stage.append(1 << 12)
    viewer, theirs = stage.join(send_buffer=1 << 14)
    for _ in range(2):
        behind = stage.loop.time()
        while stage.fanout.lag(viewer) < 0.4 * (1 << 20):
            stage.append(1 << 15)
        stage.fanout.flush()
        assert viewer.growing_since is None or viewer.growing_since >= behind
        async with asyncio.timeout(30):
            while stage.fanout.lag(viewer):
                theirs.setblocking(False)
                await stage.loop.sock_recv(theirs, 1 << 20)
                await asyncio.sleep(0)
        await asyncio.sleep(0.2)
    assert stage.left == {}


async def test_the_ring_may_grow_between_two_flushes() -> None:
    stage = Stage(size=1 << 16)
    stage.mark()
    stage.append(1 << 15)
    _, theirs = stage.join(send_buffer=1 << 13)
    stage.append(1 << 14)
    stage.ring.grow(1 << 20)
    stage.append(1 << 15)
    expected = HEAD + TABLES + pattern(0, (1 << 16) + (1 << 14))
    assert await stage.read(theirs, len(expected)) == expected


async def test_who_leaves_is_forgotten_and_disturbs_nobody() -> None:
    stage = Stage()
    stage.mark()
    stage.append(1000)
    leaver, gone = stage.join()
    _, stays = stage.join()
    gone.close()
    async with asyncio.timeout(30):
        await stage.departed.wait()
    assert leaver.gone
    stage.append(1000)
    assert await stage.read(stays, len(HEAD + TABLES) + 2000) == HEAD + TABLES + pattern(0, 2000)


async def test_the_end_means_finish_for_the_fast_and_the_slow() -> None:
    stage = Stage(size=1 << 21)
    stage.mark()
    stage.append(1 << 10)
    _, fast = stage.join()
    slow_viewer, slow = stage.join(send_buffer=1 << 14)
    for _ in range(16):
        stage.append(1 << 16)
    stage.fanout.finish()
    expected = HEAD + TABLES + pattern(0, (1 << 10) + (16 << 16))
    assert slow_viewer.id not in stage.left
    assert await stage.rest(fast) == expected
    assert await stage.rest(slow) == expected
    assert set(stage.left.values()) == {"ended"}


async def test_a_long_round_goes_in_slices_and_the_loop_breathes_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is appended and who joins between two slices is served like anybody else."""
    monkeypatch.setattr(fanout, "SLICE_SECONDS", -1.0)
    stage = Stage(size=1 << 22, delay=60)
    stage.mark()
    stage.append(8)
    ends = [stage.join()[1] for _ in range(100)]
    for end in ends:
        assert await stage.read(end, len(HEAD + TABLES) + 8)
    stage.append(1 << 12)
    stage.fanout.flush()
    served = stage.fanout.delivered
    stage.append(1 << 12)
    stage.mark()
    stage.append(1 << 12)
    newcomer, late = stage.join()
    assert newcomer.cursor > stage.fanout.edge
    await asyncio.sleep(0)
    assert stage.fanout.delivered > served
    for end in ends:
        assert await stage.read(end, 1 << 12) == pattern(8, 8 + (1 << 12))
    stage.fanout.flush()
    for end in ends:
        assert await stage.read(end, 2 << 12) == pattern(8 + (1 << 12), 8 + (3 << 12))
    expected = HEAD + TABLES + pattern(8 + (2 << 12), 8 + (3 << 12))
    assert await stage.read(late, len(expected)) == expected
    stage.append(1 << 12)
    stage.fanout.flush()
    assert await stage.read(late, 1 << 12) == pattern(8 + (3 << 12), 8 + (4 << 12))


async def test_one_slice_serves_as_many_as_its_time_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "SLICE_SECONDS", -1.0)
    stage = Stage(delay=60)
    stage.mark()
    stage.append(8)
    viewers = [stage.join()[0] for _ in range(100)]
    stage.append(1 << 12)
    stage.fanout.flush()
    assert sum(viewer.cursor == stage.ring.head for viewer in viewers) <= fanout.LOOK_AT_CLOCK_EVERY


async def test_a_young_stream_is_flushed_without_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "YOUNG_BYTES", 1 << 13)
    stage = Stage(delay=60)
    stage.mark()
    stage.append(1 << 12)
    _, theirs = stage.join()
    stage.append(1 << 12)
    assert await stage.read(theirs, len(HEAD + TABLES) + (1 << 13)) == HEAD + TABLES + pattern(0, 1 << 13)
    stage.append(1 << 12)
    assert stage.fanout.edge == 1 << 13


async def test_the_delay_counts_from_round_to_round() -> None:
    """What gathered before it came here has waited already: after a quiet delay it is written at once."""
    stage = Stage(delay=0.2)
    stage.mark()
    stage.append(8)
    _, theirs = stage.join()
    await stage.read(theirs, len(HEAD + TABLES) + 8)
    await asyncio.sleep(0.25)
    assert stage.fanout.spare()[0] == 0.0
    stage.append(8)
    assert stage.fanout.edge == 16
    stage.append(8)
    assert stage.fanout.edge == 16
    assert 0.0 < stage.fanout.spare()[0] < 0.201
    assert await stage.read(theirs, 16) == pattern(8, 24)


async def test_nothing_may_gather_while_somebody_waits_for_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(delay=60)
    stage.append(1000)
    assert stage.fanout.spare()[0] > 0
    stage.join()
    assert stage.fanout.spare() == (0.0, 0)
    stage.mark()
    stage.append(1000)
    assert stage.fanout.spare()[0] > 0
    monkeypatch.setattr(fanout, "YOUNG_BYTES", 1 << 20)
    assert stage.fanout.spare() == (0.0, 0)


async def test_a_round_with_a_full_socket_counts_what_was_taken() -> None:
    stage = Stage(size=1 << 22, delay=60)
    stage.mark()
    stage.append(1 << 12)
    ends = [stage.join(send_buffer=1 << 14)[1] for _ in range(3)]
    for end in ends:
        await stage.read(end, len(HEAD + TABLES) + (1 << 12))
    before = stage.fanout.delivered
    stage.append(1 << 20)
    stage.fanout.flush()
    taken = stage.fanout.delivered - before
    assert 0 < taken < 3 << 20
    rest = [await stage.read(end, 1 << 20) for end in ends]
    assert rest == [pattern(1 << 12, (1 << 12) + (1 << 20))] * 3
    assert stage.fanout.delivered - before == 3 << 20
