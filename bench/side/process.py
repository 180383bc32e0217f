"""Processes of a comparison: pinned to a core, logged to a file, and gone afterwards whatever happened."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

STOP_WITHIN = 5.0
"""Seconds after SIGTERM until SIGKILL."""


class Pinned:
    """A command on one core, as nice as this process. As another user where root is refused."""

    def __init__(self, command: list[str], core: int, log: Path, user: str | None = None) -> None:
        self.log = log
        own = os.sched_getaffinity(0)
        # Inherited, not set afterwards: by then it may have threads.
        os.sched_setaffinity(0, {core})
        try:
            with log.open("wb") as out:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, user=user,
                    env={**os.environ, "HOME": "/tmp"},
                )  # fmt: skip
        finally:
            os.sched_setaffinity(0, own)
        favour(self.pid, os.getpriority(os.PRIO_PROCESS, 0))

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for_port(self, port: int, within: float = 15.0) -> None:
        """Until it accepts connections. Raises RuntimeError with the end of its log."""
        end = time.monotonic() + within
        while time.monotonic() < end and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
                return
            time.sleep(0.05)
        text = self.log.read_text(errors="replace")[-600:]
        raise RuntimeError(f"{self._process.args!r} does not listen on port {port}: {text}")

    def stop(self) -> None:
        """End it and all it has started. Idempotent."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_WITHIN)
                if number == signal.SIGKILL:
                    return


def favour(pid: int, niceness: int) -> None:
    """Let a niceness hold against the whole machine.

    Where Linux groups processes by session (sched_autogroup), the niceness of a process counts within its session only,
    and the sessions share alike; so it is said of the session as well. Does nothing where that is not allowed.
    """
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness))


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port
