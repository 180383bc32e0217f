"""The starter of servers, with a stand-in for the real one."""

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.kit.server import Server

COMMAND = (sys.executable, str(Path(__file__).parent / "stand_in.py"))


def server(config: dict[str, Any] | None = None, **options: Any) -> Server:
    return Server(config, command=COMMAND, **options)


async def test_it_starts_answers_and_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTRELAY_SERVER__LISTEN", "127.0.0.1:1")
    async with server({"relays": []}, environment={"OTHER": "1"}) as running:
        reply = await running.get("/x?y=1")
        assert reply.status == 200 and reply.json()["path"] == "/x?y=1"
        assert "OTHER" in reply.json()["environment"]
        assert not [name for name in reply.json()["environment"] if name.startswith("FASTRELAY_")]
        put = await running.post("/api/relays/1", {"name": "A"}, method="PUT")
        assert put.json() == {"method": "PUT", "body": {"name": "A"}}
        await running.wait_log('"allow_networks": ["127.0.0.0/8"]')
        assert str(running.data) in running.log
        assert running.rss > 1 << 20 and running.fds > 3 and running.cpu_seconds > 0
        folder = running.folder
    assert running.returncode == 0 and not folder.exists()


async def test_a_status_is_waited_for() -> None:
    async with server() as running:
        status = await running.wait_status("a", lambda status: status["clients"] >= 3)
        assert status["path"] == "/api/streams/a/status"
        with pytest.raises(AssertionError, match="not within"):
            await running.wait_status("a", lambda status: False, within=0.05)


async def test_it_can_be_started_again() -> None:
    async with server() as running:
        first = running.pid
        await running.stop()
        await running.start()
        assert running.pid != first and (await running.get("/")).status == 200


async def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(AssertionError, match="broken: unknown key"):
        async with server({"broken": True}):
            pass


async def test_an_unclean_exit_fails_the_test_unless_told_otherwise() -> None:
    with pytest.raises(AssertionError, match="exit status 3"):
        async with server({"exit_status": 3}):
            pass
    async with server({"exit_status": 3}, clean_exit=False) as running:
        pass
    assert running.returncode == 3


async def test_a_failure_carries_the_log() -> None:
    with pytest.raises(ValueError, match="mine") as caught:
        async with server():
            raise ValueError("mine")
    assert "listening on" in caught.value.__notes__[0]
