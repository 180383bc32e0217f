"""UDP and RTP over real sockets; multicast stays on the loopback interface."""

import asyncio
import fcntl
import random
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastrelay.config import Failover
from fastrelay.demo import demo_clip
from fastrelay.errors import ConnectError, FormatError, StallError
from fastrelay.sources.base import Source
from fastrelay.sources.multicast import parse_address
from fastrelay.sources.udp import open_udp

GROUP = "239.255.77.1"
OTHER_GROUP = "239.255.77.2"
PATIENT = Failover(first_byte_timeout=10.0, stall_timeout=10.0)
HASTY = Failover(first_byte_timeout=0.2, stall_timeout=0.2)

Where = tuple[str, int]


def datagram(number: int) -> bytes:
    """Seven packets that carry a number."""
    return b"".join(b"\x47\x01\x00\x10" + (7 * number + n).to_bytes(4) + b"x" * 180 for n in range(7))


def rtp(number: int) -> bytes:
    return b"\x80\x21" + (number & 0xFFFF).to_bytes(2) + b"timessrc" + datagram(number)


def numbers(data: bytes) -> list[int]:
    assert len(data) % (7 * 188) == 0
    return [int.from_bytes(data[at + 4 : at + 8]) // 7 for at in range(0, len(data), 7 * 188)]


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def sender() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
        yield out


async def opened(url: str, sender: socket.socket, where: Where, first: bytes) -> Source:
    """Open while the first datagram is sent again and again, until it was seen; what follows is the test's."""
    opening = asyncio.create_task(open_udp(url, PATIENT))
    while not opening.done():
        sender.sendto(first, where)
        await asyncio.sleep(0.005)
    source = await opening
    async with asyncio.timeout(30):
        while True:
            try:
                async with asyncio.timeout(0.1):
                    await source.read()
            except TimeoutError:
                return source


async def gather(source: Source, size: int) -> bytes:
    data = b""
    async with asyncio.timeout(30):
        while len(data) < size:
            chunk = await source.read()
            assert chunk is not None
            data += chunk.data
    return data


@pytest.mark.parametrize(
    ("form", "target"),
    [
        ("udp://@{group}:{port}?iface=lo", GROUP),
        ("udp://{group}:{port}?iface=127.0.0.1", GROUP),
        ("udp://127.0.0.1@{group}:{port}?iface=lo", GROUP),
        ("udp://127.0.0.1@{group}:{port}?iface=127.0.0.1", GROUP),
        ("udp://@127.0.0.1:{port}", "127.0.0.1"),
        ("udp://@:{port}", "127.0.0.1"),
    ],
)
async def test_what_is_sent_arrives(form: str, target: str, port: int, sender: socket.socket) -> None:
    where = (target, port)
    source = await opened(form.format(group=GROUP, port=port), sender, where, datagram(0))
    assert (source.kind, source.paced) == ("udp", False)
    for number in range(1, 51):
        sender.sendto(datagram(number), where)
    assert numbers(await gather(source, 50 * 1316)) == list(range(1, 51))
    assert source.lost == 0
    await source.close()
    await source.close()


def ipv6_interface() -> tuple[str, int, str]:
    """Name, index and address of an interface with IPv6; Linux loops no IPv6 multicast back on lo."""
    for line in Path("/proc/net/if_inet6").read_text().splitlines():
        digits, index, _, _, _, name = line.split()
        if name != "lo":
            return name, int(index, 16), socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits))
    pytest.skip("no interface but lo has IPv6 here")


async def test_ipv6_groups(port: int) -> None:
    name, index, own_address = ipv6_interface()
    group = "ff11::7701"  # of interface-local scope: nothing goes out (RFC 4291 §2.7)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        for iface in (name, own_address):
            source = await opened(f"udp://@[{group}]:{port}?iface={iface}", sender, (group, port), datagram(0))
            sender.sendto(datagram(1), (group, port))
            assert numbers(await gather(source, 1316)) == [1]
            await source.close()


async def test_neither_other_groups_nor_other_senders_mix_in(port: int, sender: socket.socket) -> None:
    url = f"udp://127.0.0.1@{GROUP}:{port}?iface=lo"
    source = await opened(url, sender, (GROUP, port), datagram(0))
    neighbour = await opened(f"udp://@{OTHER_GROUP}:{port}?iface=lo", sender, (OTHER_GROUP, port), datagram(0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.2", 0))
        stranger.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        for number in range(1, 21):
            stranger.sendto(datagram(1000 + number), (GROUP, port))
            sender.sendto(datagram(2000 + number), (OTHER_GROUP, port))
            sender.sendto(datagram(3000 + number), ("127.0.0.1", port))
            sender.sendto(datagram(number), (GROUP, port))
    assert numbers(await gather(source, 20 * 1316)) == list(range(1, 21))
    assert numbers(await gather(neighbour, 20 * 1316)) == list(range(2001, 2021))
    await source.close()
    await neighbour.close()


def other_interface() -> int:
    """The index of an interface besides lo that has an IPv4 address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for index, name in socket.if_nameindex():
            try:
                fcntl.ioctl(any_socket, 0x8915, name.encode().ljust(40, b"\0"))  # SIOCGIFADDR
            except OSError:
                continue
            if name != "lo":
                return index
    pytest.skip("no interface but lo has IPv4 here")


async def test_the_same_group_on_another_interface_does_not_mix_in(port: int, sender: socket.socket) -> None:
    there = socket.inet_aton(GROUP) + bytes(4) + struct.pack("=i", other_interface())
    source = await opened(f"udp://@{GROUP}:{port}?iface=lo", sender, (GROUP, port), datagram(0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, there)
        stranger.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, there)
        stranger.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)  # it stays on this machine
        for number in range(1, 11):
            stranger.sendto(datagram(1000 + number), (GROUP, port))
            sender.sendto(datagram(number), (GROUP, port))
        assert numbers(await gather(source, 10 * 1316)) == list(range(1, 11))
    await source.close()


def memberships() -> str:
    return Path("/proc/net/igmp").read_text()


async def test_closing_leaves_the_group(port: int, sender: socket.socket) -> None:
    in_hex = f"{struct.unpack('=I', socket.inet_aton(GROUP))[0]:08X}"
    assert in_hex not in memberships()
    source = await opened(f"udp://@{GROUP}:{port}?iface=lo", sender, (GROUP, port), datagram(0))
    assert in_hex in memberships()
    await source.close()
    assert in_hex not in memberships()


@pytest.mark.parametrize("scheme", ["rtp", "udp"])
async def test_rtp_is_put_in_order_and_its_losses_counted(scheme: str, port: int, sender: socket.socket) -> None:
    where = (GROUP, port)
    source = await opened(f"{scheme}://@{GROUP}:{port}?iface=lo", sender, where, rtp(65500))
    assert source.kind == scheme
    missing = {65520, 65530, 65531, 65600}
    shuffle = random.Random(1)
    sent = sorted(set(range(65501, 65700)) - missing, key=lambda n: n + shuffle.uniform(0, 8))
    for number in sent:
        sender.sendto(rtp(number), where)
        if number % 10 == 0:
            sender.sendto(rtp(number), where)
    # The window closes when time has passed and something else comes.
    reading = asyncio.create_task(gather(source, (199 - len(missing)) * 1316))
    number = 65700
    while not reading.done():
        await asyncio.sleep(0.02)
        sender.sendto(rtp(number), where)
        number += 1
    received = numbers(await reading)
    expected = [n for n in range(65501, number) if n not in missing]
    assert received == expected[: len(received)]
    assert source.lost == len(missing)
    await source.close()


async def test_what_the_kernel_drops_is_counted(port: int, sender: socket.socket) -> None:
    where = ("127.0.0.1", port)
    source = await opened(f"udp://@127.0.0.1:{port}", sender, where, datagram(0))
    sent = 0
    while sent < 12_000:
        sent += 1
        sender.sendto(datagram(sent), where)
    received = 0
    async with asyncio.timeout(30):
        while received + source.lost < sent:
            chunk = await source.read()
            assert chunk is not None
            received += len(chunk.data) // 1316
    assert source.lost > 0
    assert received + source.lost == sent
    await source.close()


async def test_a_flood_does_not_hold_the_loop(port: int, sender: socket.socket) -> None:
    where = ("127.0.0.1", port)
    source = await opened(f"udp://@127.0.0.1:{port}", sender, where, datagram(0))
    for number in range(1500):
        sender.sendto(datagram(number), where)
    largest = 0
    yielded = False

    def note() -> None:
        nonlocal yielded
        yielded = True

    received = 0
    while received < 1000 * 1316:
        yielded = False
        asyncio.get_running_loop().call_soon(note)
        chunk = await source.read()
        assert chunk is not None
        received += len(chunk.data)
        largest = max(largest, len(chunk.data))
        assert yielded
    assert largest <= 256 * 1316
    await source.close()


async def test_silence_is_a_stall_at_first_and_later(port: int, sender: socket.socket) -> None:
    url = f"udp://@127.0.0.1:{port}"
    with pytest.raises(StallError, match=r"no datagram came for 0\.2 s"):
        await open_udp(url, HASTY)
    sending = asyncio.create_task(asyncio.sleep(0.05))
    opening = asyncio.create_task(open_udp(url, Failover(first_byte_timeout=10, stall_timeout=0.2)))
    await sending
    sender.sendto(datagram(0), ("127.0.0.1", port))
    source = await opening
    await source.read()
    with pytest.raises(StallError):
        while True:
            await source.read()
    await source.close()


async def test_datagrams_that_are_no_stream_are_refused(port: int, sender: socket.socket) -> None:
    opening = asyncio.create_task(open_udp(f"udp://@127.0.0.1:{port}", PATIENT))
    while not opening.done():
        sender.sendto(b"hello, is anybody there?", ("127.0.0.1", port))
        await asyncio.sleep(0.002)
    with pytest.raises(FormatError, match="neither MPEG-TS nor RTP"):
        await opening
    few = asyncio.create_task(open_udp(f"udp://@127.0.0.1:{port}", HASTY))
    while not few.done():
        sender.sendto(b"hello again", ("127.0.0.1", port))
        await asyncio.sleep(0.05)
    with pytest.raises(FormatError, match="neither MPEG-TS nor RTP"):
        await few


async def test_packets_need_not_begin_with_the_datagram(port: int, sender: socket.socket) -> None:
    clip = demo_clip()[: 1400 * 40]
    where = ("127.0.0.1", port)
    source = await opened(f"udp://@127.0.0.1:{port}", sender, where, datagram(0))
    for at in range(0, len(clip), 1400):
        sender.sendto(clip[at : at + 1400], where)
    assert await gather(source, len(clip)) == clip
    await source.close()


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("udp://@239.1.1.1:5000?iface=nosuch0", "nosuch0|no interface"),
        ("udp://@group.example:5000", "does not appear to be an IPv4 or IPv6 address"),
        ("udp://@239.1.1.1", "port is missing"),
        ("udp://192.0.2.1@127.0.0.1:5000", "needs a multicast group"),
        ("udp://192.0.2.1@[ff3e::1]:5000", "same IP version"),
        ("udp://@203.0.113.7:5000", "cannot listen"),
    ],
)
async def test_addresses_that_cannot_be_are_explained(url: str, text: str) -> None:
    with pytest.raises(ConnectError, match=text):
        await open_udp(url, HASTY)


async def test_a_unicast_port_in_use_is_refused_and_freed(port: int, sender: socket.socket) -> None:
    url = f"udp://@127.0.0.1:{port}"
    source = await opened(url, sender, ("127.0.0.1", port), datagram(0))
    with pytest.raises(ConnectError, match="in use"):
        await open_udp(url, HASTY)
    await source.close()
    again = await opened(url, sender, ("127.0.0.1", port), datagram(0))
    await again.close()


def test_ipv6_sources() -> None:
    address = parse_address("rtp://[2001:db8::1]@[ff3e::1]:5004?iface=lo")
    assert (str(address.source), str(address.host), address.port) == ("2001:db8::1", "ff3e::1", 5004)


async def test_ffmpeg_as_the_sender(port: int, tmp_path: Path) -> None:
    clip = tmp_path / "clip.ts"
    clip.write_bytes(demo_clip())
    target = f"rtp://{GROUP}:{port}?ttl=0&localaddr=127.0.0.1"
    command = ["ffmpeg", "-v", "error", "-nostdin", "-re", "-i", str(clip), "-c", "copy", "-f", "rtp_mpegts", target]
    child = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        source = await open_udp(f"rtp://@{GROUP}:{port}?iface=lo", PATIENT)
        data = await gather(source, 50_000)
        await source.close()
    finally:
        child.kill()
        await child.wait()
    assert set(data[::188]) == {0x47}
    assert source.lost == 0
