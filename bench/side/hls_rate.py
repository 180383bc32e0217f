"""How many playlists and segments a server answers in a second, and in a second of its processor."""

import re
import selectors
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.load.answer import read_head, request
from bench.load.connection import DISCARD, SCRAP, dial
from bench.load.options import Target, target_of
from bench.load.watch import family, use_of

PLAYLIST_CONNECTIONS = 64
SEGMENT_CONNECTIONS = 16
SESSIONS = 8

_WRK = """\
local number = 0
setup = function(thread) thread:set("number", number) number = number + 1 end
init = function(args) asking = wrk.format("GET", "{path}" .. string.format("%04d", number)) end
request = function() return asking end
done = function(summary, latency, requests)
  local e = summary.errors
  print("DONE " .. summary.requests .. " FAULTS " .. e.connect + e.read + e.write + e.status + e.timeout)
end
"""
"""A connection polls for one session, as players do, with the same bytes each time."""


@dataclass(frozen=True)
class Rate:
    """What was answered in one run."""

    answers: int
    seconds: float
    cpu: float
    """Seconds of processor time that the server used."""

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds

    @property
    def per_cpu_second(self) -> float:
        """What it would answer with a core for itself, whatever else the machine does meanwhile."""
        return self.answers / self.cpu if self.cpu else 0.0


def playlists(url: str, pid: int, seconds: float) -> Rate:
    """Asked for by many sessions over keep-alive connections, with wrk. Raises RuntimeError for a wrong answer."""
    target = target_of(url)
    mark = "&" if "?" in target.path else "?"
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_WRK.format(path=f"{target.path}{mark}session=bench"))
        script.flush()
        host = f"http://{target.address[0]}:{target.address[1]}"
        command = ["wrk", f"-t{SESSIONS}", f"-c{PLAYLIST_CONNECTIONS}", f"-d{seconds:.0f}s", "-s", script.name, host]
        return _measured(lambda: _wrk(command), pid)


def _wrk(command: list[str]) -> int:
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"DONE (\d+) FAULTS (\d+)", said)
    if found is None or int(found[2]):
        raise RuntimeError(f"{' '.join(command)}: {said[-400:]}")
    return int(found[1])


def segments(url: str, pid: int, seconds: float) -> Rate:
    """One segment again and again over keep-alive connections; its bytes are not looked at, but counted."""
    target = target_of(url)
    size = answer_size(target)
    return _measured(lambda: _fetch(target, size, seconds), pid)


def answer_size(target: Target) -> int:
    """Head and body of its answer together. Raises RuntimeError when that is no 200 with a length."""
    with socket.create_connection(target.address, 10.0) as sock:
        sock.sendall(_get(target))
        data = b""
        while (head := read_head(data)) is None:
            data += sock.recv(4096)
    answer, size = head
    if answer.status != 200 or answer.length is None:
        raise RuntimeError(f"{target.path}: {answer}")
    return size + answer.length


def _fetch(target: Target, size: int, seconds: float) -> int:
    selector, wanted = selectors.EpollSelector(), dict[socket.socket, int]()
    for _ in range(SEGMENT_CONNECTIONS):
        sock = dial(target)
        selector.register(sock, selectors.EVENT_WRITE)
        wanted[sock] = 0
    answers, end, asking = 0, time.monotonic() + seconds, _get(target)
    try:
        while time.monotonic() < end:
            for key, _ in selector.select(1.0):
                asked = key.fileobj
                assert isinstance(asked, socket.socket)
                if key.events == selectors.EVENT_WRITE:
                    selector.modify(asked, selectors.EVENT_READ)
                    asked.sendall(asking)
                    wanted[asked] = size
                    continue
                got = asked.recv_into(SCRAP, 0, DISCARD)
                if not got:
                    raise RuntimeError(f"{target.path}: closed in the middle")
                wanted[asked] -= got
                if not wanted[asked]:
                    answers += 1
                    asked.sendall(asking)
                    wanted[asked] = size
    finally:
        for sock in wanted:
            sock.close()
        selector.close()
    return answers


def _get(target: Target) -> bytes:
    return request("127.0.0.1", target.path, keep=True)


def _measured(run: Callable[[], int], pid: int) -> Rate:
    pids = family(pid)
    before, began = use_of(pids, 0.0).cpu, time.monotonic()
    answers = run()
    return Rate(answers, time.monotonic() - began, use_of(pids, 0.0).cpu - before)


def snapshot(url: str) -> bytes:
    """A body, as it is now. Raises RuntimeError."""
    target = target_of(url)
    with socket.create_connection(target.address, 30.0) as sock:
        sock.sendall(request("127.0.0.1", target.path, keep=False))
        data = bytearray()
        while piece := sock.recv(1 << 20):
            data += piece
    head = read_head(data)
    if head is None or head[0].status != 200:
        raise RuntimeError(f"{url}: {bytes(data[:200])!r}")
    return bytes(data[head[1] :])
