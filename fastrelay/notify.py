"""What systemd wants to hear of a service of `Type=notify` (sd_notify(3)): datagrams to the socket that it names."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Mapping


class Supervisor:
    """Named by the variables that systemd sets in `environ`; where there is none, nothing is said."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        for_us = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = environ.get("WATCHDOG_USEC", "") if for_us else ""
        self._every = int(usec) / 2e6 if usec.isascii() and usec.isdecimal() else 0.0
        self._timer: asyncio.TimerHandle | None = None

    def ready(self) -> None:
        """The service serves; from now on the watchdog is told so, by the loop: if that hangs, it hears nothing."""
        self._say("READY=1")
        if self._every and self._timer is None:
            self._alive()

    def reloading(self) -> None:
        """The configuration is read again; `ready` when that is done. The time is CLOCK_MONOTONIC's."""
        self._say(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._say("STOPPING=1")

    def close(self) -> None:
        """Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _alive(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._every, self._alive)
        self._say("WATCHDOG=1")

    def _say(self, state: str) -> None:
        if not self._address.startswith(("/", "@")):
            return
        # A name that begins with @ is of the abstract namespace (unix(7)).
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setblocking(False)
            # A supervisor that does not listen is no reason to stop serving.
            with contextlib.suppress(OSError):
                sock.sendto(state.encode(), address)
