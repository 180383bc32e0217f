"""How soon a server answers, asked all the time by a process of its own: what holds its loop makes an answer late."""

import socket
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from bench.side.aside import Aside

PAUSE = 0.001
"""Seconds between an answer and the next question."""
_REQUEST = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_END = b'{"status":"alive"}'


@dataclass(frozen=True, slots=True)
class Beat:
    """One question. Times in seconds, `at` of the monotonic clock."""

    at: float
    took: float
    ran: float
    """How long the server's loop was on a processor meanwhile …"""
    queued: float
    """… and how long it waited for one: that is the machine. The rest of `took` it was asleep or locked out."""
    overslept: float
    """How late this process came back from the pause before: that is the machine as well."""

    @property
    def held(self) -> float:
        """How long the server let it wait, the machine's part left out."""
        return self.took - self.queued


class Pulse(Aside[list[Beat]]):
    """Beats of the server at a port of this host, since they were last taken."""

    def __init__(self, port: int, pid: int) -> None:
        super().__init__(_beat, port, pid)


def _beat(asked: Connection, port: int, pid: int) -> None:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    loop = Path(f"/proc/{pid}/task/{pid}/schedstat")
    beats: list[Beat] = []
    while True:
        began = time.monotonic()
        time.sleep(PAUSE)
        overslept = time.monotonic() - began - PAUSE
        before = loop.read_text().split()
        at = time.monotonic()
        sock.sendall(_REQUEST)
        answer = b""
        while not answer.endswith(_END):
            piece = sock.recv(4096)
            if not piece:
                return
            answer += piece
        took = time.monotonic() - at
        after = loop.read_text().split()
        ran, queued = ((int(after[field]) - int(before[field])) / 1e9 for field in (0, 1))
        beats.append(Beat(at, took, ran, queued, overslept))
        if asked.poll():
            asked.recv()
            asked.send(beats)
            beats = []
