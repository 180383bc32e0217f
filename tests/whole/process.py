"""What the server's process holds of its system: children, files, sockets."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from tests.kit.server import POLL, Server


def children(server: Server) -> dict[int, str]:
    """Command lines of the child processes, by their ids."""
    pids = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    return {int(pid): Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in pids}


def group(leader: int) -> list[int]:
    """Ids of the processes that are in the process group of `leader`."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[2]) == leader:
                found.append(int(stat.parent.name))
    return found


def open_files(server: Server) -> set[str]:
    """Paths of open files, and `socket:[inode]` of sockets."""
    found = set()
    for entry in Path(f"/proc/{server.pid}/fd").iterdir():
        # One may have been closed since it was listed.
        with contextlib.suppress(FileNotFoundError):
            found.add(str(entry.readlink()))
    return found


def udp_sockets(server: Server) -> int:
    rows = Path(f"/proc/{server.pid}/net/udp").read_text().splitlines()[1:]
    held = open_files(server)
    return sum(f"socket:[{row.split()[9]}]" in held for row in rows)


async def soon(predicate: Callable[[], bool], within: float = 40) -> None:
    """Until the predicate holds: what a stopped stream held is let go of a little after its status says so."""
    end = asyncio.get_running_loop().time() + within
    while not predicate():
        assert asyncio.get_running_loop().time() < end, f"not within {within} s"
        await asyncio.sleep(POLL)
