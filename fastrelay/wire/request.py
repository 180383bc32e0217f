"""A parsed request, as handlers see it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from fastrelay.wire.response import Response

Write = Callable[[bytes | bytearray], object]
"""Takes the next piece of a body."""

_AGENT_MAX = 256
"""Characters: a viewer is known by it for as long as he counts, and a head may have 16 KiB of them."""

Again = Callable[[str], Response | None]
"""Takes the address of whoever asks."""


class Flow(Protocol):
    """What a body comes from: it can be made to wait."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Upload(Protocol):
    """Where a large body goes, piece by piece. Until the handler has it, `discard` is called if it breaks off."""

    def write(self, data: bytes | bytearray) -> object:
        """Take the next piece."""

    def discard(self) -> None:
        """No more is coming and nobody wants it. Idempotent."""


@dataclass(slots=True)
class Request:
    """One complete request. `path` is percent-decoded, without the query; header names are lower case."""

    method: str
    target: str
    """As sent, in origin-form (`/path?query`); of an absolute-form target the part after the authority."""
    path: str
    query: dict[str, str]
    """Percent-decoded, `+` read as a space; of a repeated name the first one counts."""
    headers: dict[str, str]
    """Repeated fields are joined with a comma. `host` is the authority of an absolute-form target, if there was one."""
    peer: tuple[str, int]
    local: tuple[str, int]
    secure: bool = False
    body: bytes = b""
    params: dict[str, str] = field(default_factory=dict)
    """What the route's pattern named, as in `/api/relays/{id}`."""
    upload: Upload | None = None
    """The body, on routes that receive it piece by piece; None where there was none."""
    again: Again | None = None
    """Set by a handler: how the same request of the same connection is answered next time, without all that led here.
    When it returns None everything is looked at anew, and it is not called again."""
    for_all: Again | None = None
    """The same for all connections. Players of one kind ask for a segment with the same bytes."""

    @property
    def who(self) -> tuple[str, str]:
        """Whoever asks, as far as a request tells: address and user agent."""
        return self.peer[0], self.headers.get("user-agent", "")[:_AGENT_MAX]
