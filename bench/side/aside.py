"""Something that looks on from a process of its own, where nothing that this one does delays it."""

import multiprocessing
import os
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

Seen = TypeVar("Seen")

NICENESS = -10
"""What keeps itself waiting measures itself. Where it is not allowed, it is as nice as everybody."""


class Aside(Generic[Seen]):
    """`look(asked, …)` runs there and answers whatever comes through `asked` with what it has seen since. It is told
    nothing more when it is to end."""

    def __init__(self, look: Callable[..., None], *arguments: Any) -> None:
        # Not forked: this process may have a running loop.
        spawn = multiprocessing.get_context("spawn")
        self._ours, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_first, args=(look, theirs, arguments), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.join()

    def take(self) -> Seen:
        """What was seen since the last call. Raises EOFError when it has failed; its traceback is on stderr."""
        self._ours.send(None)
        while not self._ours.poll(1.0):
            if not self._process.is_alive():
                raise EOFError(f"{type(self).__name__} has ended")
        seen: Seen = self._ours.recv()
        return seen


def _first(look: Callable[..., None], asked: Connection, arguments: tuple[Any, ...]) -> None:
    with suppress(PermissionError):
        os.nice(NICENESS)
    look(asked, *arguments)
