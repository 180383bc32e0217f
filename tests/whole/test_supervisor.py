"""What systemd is told, over a real datagram socket."""

import asyncio
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kit.server import Server


@contextmanager
def notifications(name: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name.replace("@", "\0", 1))
        sock.setblocking(False)
        yield sock


async def said(sock: socket.socket) -> str:
    async with asyncio.timeout(40):
        return (await asyncio.get_running_loop().sock_recv(sock, 4096)).decode()


async def heard(sock: socket.socket, text: str) -> None:
    """The next that is no sign of life starts like this."""
    while (state := await said(sock)) == "WATCHDOG=1":
        pass
    assert state.startswith(text), state


@pytest.mark.parametrize("abstract", [False, True])
async def test_the_life_of_a_service(abstract: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        name = f"@fastrelay-{Path(folder).name}" if abstract else f"{folder}/notify"
        with notifications(name) as sock:
            environment = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "200000"}
            async with Server(environment=environment) as server:
                await heard(sock, "READY=1")
                assert (await server.get("/readyz")).status == 200
                for _ in range(3):
                    assert await said(sock) == "WATCHDOG=1"
                server.signal(signal.SIGHUP)
                await heard(sock, "RELOADING=1\nMONOTONIC_USEC=")
                await heard(sock, "READY=1")
                server.config_file.write_text("nonsense: 1\n")
                server.signal(signal.SIGHUP)
                await heard(sock, "RELOADING=1")
                await heard(sock, "READY=1")
                server.signal(signal.SIGTERM)
                await heard(sock, "STOPPING=1")


async def test_a_loop_that_hangs_gives_no_sign_of_life() -> None:
    """SIGSTOP stands for the hang: what systemd then does is its own business."""
    with tempfile.TemporaryDirectory() as folder, notifications(f"{folder}/notify") as sock:
        environment = {"NOTIFY_SOCKET": f"{folder}/notify", "WATCHDOG_USEC": "100000"}
        async with Server(environment=environment) as server:
            await heard(sock, "READY=1")
            server.signal(signal.SIGSTOP)
            with pytest.raises(BlockingIOError):
                while True:
                    await asyncio.sleep(0.3)
                    while sock.recv(4096) == b"WATCHDOG=1":
                        pass
            server.signal(signal.SIGCONT)
            assert await said(sock) == "WATCHDOG=1"


@pytest.mark.parametrize(
    "environment",
    [
        {"NOTIFY_SOCKET": "/nobody/listens/here", "WATCHDOG_USEC": "100000"},
        {"NOTIFY_SOCKET": "vsock:2:1234"},
        {"NOTIFY_SOCKET": "", "WATCHDOG_USEC": "x"},
        {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"},
    ],
)
async def test_a_supervisor_that_is_not_there_is_no_reason_not_to_serve(environment: dict[str, str]) -> None:
    async with Server(environment=environment) as server:
        assert (await server.get("/readyz")).status == 200
