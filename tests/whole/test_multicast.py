"""UDP and RTP multicast on the loopback interface: played to several viewers, and what gets lost is counted."""

import asyncio
import itertools
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import pytest

from tests.kit.checker import Checker
from tests.kit.clips import clip, ffprobe
from tests.kit.position_coded import PositionCoded
from tests.kit.server import Server, Status
from tests.kit.ts_packets import PACKET
from tests.kit.viewer import Viewer, connect
from tests.whole.process import soon, udp_sockets
from tests.whole.relay import PATH, relay

SOURCE = PositionCoded(byte_rate=400_000)
GROUP = "239.255.77.{}"
PER_DATAGRAM = 7
TICK = 0.01


@dataclass
class Network:
    """Carries datagrams, with faults that a test may set at any time."""

    lose: int = 0
    """So many of the next datagrams get lost."""
    shuffle: bool = False
    """Of each four datagrams the first comes twice, and the others come in reverse order."""

    def carry(self, datagrams: Iterator[bytes]) -> Iterator[list[bytes]]:
        """What arrives for each four datagrams that are sent."""
        while True:
            while self.lose:
                self.lose -= 1
                next(datagrams)
            first, second, third, fourth = (next(datagrams) for _ in range(4))
            yield [first, first, fourth, third, second] if self.shuffle else [first, second, third, fourth]


def udp(source: PositionCoded) -> Iterator[bytes]:
    return (source.packets(PER_DATAGRAM, at) for at in itertools.count(0, PER_DATAGRAM))


def rtp(source: PositionCoded) -> Iterator[bytes]:
    """RFC 3550 §5.1, payload type 33; the sequence numbers wrap soon."""
    for number, payload in enumerate(udp(source), 0xFF80):
        yield b"\x80\x21" + (number & 0xFFFF).to_bytes(2, "big") + b"\0\0\0\0" + b"seed" + payload


FORMATS = {"udp": udp, "rtp": rtp}


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _send(sock: socket.socket, to: tuple[str, int], arriving: Iterator[list[bytes]]) -> None:
    """At the source's own rate, for ever."""
    loop = asyncio.get_running_loop()
    began, sent = loop.time(), 0
    while True:
        due = int((loop.time() - began) * SOURCE.byte_rate) // (4 * PER_DATAGRAM * PACKET)
        for datagrams in itertools.islice(arriving, due - sent):
            for datagram in datagrams:
                sock.sendto(datagram, to)
        sent = due
        await asyncio.sleep(TICK)


@asynccontextmanager
async def sending(scheme: str, network: Network) -> AsyncIterator[str]:
    """Sends to a group of its own meanwhile; the source URL of it."""
    port = _free_port()
    to = (GROUP.format(port % 250 + 1), port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
        task = asyncio.create_task(_send(sock, to, network.carry(FORMATS[scheme](SOURCE))))
        try:
            yield f"{scheme}://@{to[0]}:{to[1]}?iface=lo"
        finally:
            task.cancel()
            await asyncio.wait([task])


async def _first_viewer(server: Server) -> Viewer:
    viewer = await connect(server.url(PATH), Checker(SOURCE))
    await viewer.received(SOURCE.byte_rate // 2)
    status = await server.status("a")
    assert (status["continuity_errors"], status["packets_lost"]) == (0, 0)
    return viewer


def _above(key: str, least: int, status: Status) -> bool:
    return bool(status[key] > least)


@pytest.mark.parametrize("scheme", FORMATS)
async def test_two_viewers_of_a_group_miss_nothing(scheme: str) -> None:
    """One starts the stream, the other finds it running. RTP also mends what the network repeats and reorders."""
    network = Network()
    async with sending(scheme, network) as url, relay(url, streams={"idle_timeout": "100ms"}) as server:
        viewers = [await _first_viewer(server)]
        network.shuffle = scheme == "rtp"
        await viewers[0].received(viewers[0].total + SOURCE.byte_rate // 2)
        viewers.append(await connect(server.url(PATH), Checker(SOURCE)))
        await asyncio.gather(*(viewer.received(viewer.total + SOURCE.byte_rate) for viewer in viewers))
        for viewer in viewers:
            viewer.verify(least=SOURCE.byte_rate, switches=0)
        status = await server.status("a")
        assert (status["continuity_errors"], status["packets_lost"], status["clients"]) == (0, 0, 2)
        for viewer in viewers:
            viewer.close()
        assert udp_sockets(server) == 1
        await server.wait_status("a", lambda status: status["state"] == "idle")
        await soon(lambda: udp_sockets(server) == 0)


async def test_lost_datagrams_show_as_continuity_errors() -> None:
    network = Network()
    async with sending("udp", network) as url, relay(url, streams={"idle_timeout": "100ms"}) as server:
        viewer = await _first_viewer(server)
        for count in (1, 2):
            seen = (await server.status("a"))["continuity_errors"]
            network.lose = count
            status = await server.wait_status("a", partial(_above, "continuity_errors", seen))
        assert status["switches"] == 0
        # A viewer lives with it: the stream goes on.
        await viewer.received(viewer.total + SOURCE.byte_rate // 2)


async def test_lost_rtp_packets_are_counted_one_by_one() -> None:
    network = Network()
    async with sending("rtp", network) as url, relay(url, streams={"idle_timeout": "100ms"}) as server:
        viewer = await _first_viewer(server)
        for count, lost in ((1, 1), (20, 21)):
            network.lose = count
            status = await server.wait_status("a", partial(_above, "packets_lost", lost - 1))
            assert status["packets_lost"] == lost
        assert status["continuity_errors"] > 0
        await viewer.received(viewer.total + SOURCE.byte_rate // 2)


async def test_ffmpeg_is_the_sender() -> None:
    """As an encoder would: the group is fed whether anyone listens or not, and ffprobe sees picture and sound."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        pytest.skip("ffmpeg is not installed: apt-get install ffmpeg")
    port = _free_port()
    address = f"{GROUP.format(port % 250 + 1)}:{port}"
    target = f"udp://{address}?localaddr=127.0.0.1&ttl=0&pkt_size={PER_DATAGRAM * PACKET}"
    command = [ffmpeg, "-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", str(clip("h264_gop1"))]
    sender = await asyncio.create_subprocess_exec(*command, "-c", "copy", "-f", "mpegts", target)
    try:
        async with relay(f"udp://@{address}?iface=lo") as server:
            viewer = await connect(server.url(PATH))
            await viewer.received(50_000, within=60)
            found = await asyncio.to_thread(ffprobe, server.url(PATH), "-analyzeduration", "1M", "-show_streams")
            assert {stream["codec_name"] for stream in found["streams"]} == {"h264", "aac"}
            status = await server.status("a")
            assert (status["continuity_errors"], status["switches"]) == (0, 0)
    finally:
        sender.terminate()
        await sender.wait()
