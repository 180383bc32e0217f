"""A real player that plays while a test looks on, and how many pictures it has shown."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import threading
from types import TracebackType
from typing import Self

import pytest


def installed(program: str, packages: str) -> str:
    """The path of a program; skips the test where it is missing."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed: apt-get install {packages}")
    return path


def as_nobody() -> str | None:
    """The user for programs that refuse to run as root."""
    return "nobody" if os.geteuid() == 0 else None


class Player:
    """Runs a command while the body of the `with` runs, and hears what it says. Its kind knows how it counts."""

    def __init__(self, *command: str, stderr: int, user: str | None = None, env: dict[str, str] | None = None) -> None:
        self.shown = 0
        """Pictures until now."""
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True, user=user, env=env
        )
        self._listener = threading.Thread(target=self._listen, name=type(self).__name__, daemon=True)

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    async def shows(self, more: int, within: float = 40) -> None:
        """Until it has shown `more` pictures from now on."""
        before, end = self.shown, asyncio.get_running_loop().time() + within
        while self.shown < before + more:
            assert self._process.poll() is None, f"{self} has ended"
            assert asyncio.get_running_loop().time() < end, f"{self.shown - before} of {more} pictures in {within} s"
            self.ask()
            await asyncio.sleep(0.1)

    def ask(self) -> None:
        """Where it does not say of itself how many pictures it has shown."""

    def say(self, words: str) -> None:
        """To its standard input."""
        assert self._process.stdin
        self._process.stdin.write(words)
        self._process.stdin.flush()

    def hear(self, line: str) -> None:
        """One line of what it says."""

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.hear(line)
