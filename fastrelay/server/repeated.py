"""Requests that are asked again and again, known by their bytes alone: by one player, or by all of a kind."""

from dataclasses import dataclass

from fastrelay.wire.reader import RequestReader
from fastrelay.wire.request import Again, Request

_REPEATED_MAX = 1024  # bytes of a request that is remembered: every connection may have one
_COMMON_MAX = 1024  # requests of all clients: as many segments as are fetched at a time, by as many kinds of players


@dataclass(frozen=True, slots=True)
class Repeated:
    """A request that may be asked again (see `Request.again`), and its bytes."""

    data: bytes
    request: Request
    answer: Again


def repeated(request: Request, reader: RequestReader) -> Repeated | None:
    """`request`, which is what `reader` read last; None where its bytes alone do not say all that it asks."""
    data = _all_that_is_asked(reader)
    return Repeated(data, request, request.again) if request.again is not None and data else None


class Common:
    """What many clients ask with the same bytes, and how they are answered (see `Request.for_all`)."""

    def __init__(self) -> None:
        self._known: dict[bytes, Repeated] = {}

    def find(self, data: bytes) -> Repeated | None:
        """By the bytes of a request. Bodies come this way, too: what is too long is not looked at."""
        return self._known.get(data) if len(data) <= _REPEATED_MAX else None

    def remember(self, request: Request, reader: RequestReader) -> None:
        """`request` is what `reader` read last."""
        data = _all_that_is_asked(reader)
        if request.for_all is None or not data:
            return
        if len(self._known) >= _COMMON_MAX:
            del self._known[next(iter(self._known))]
        self._known[data] = Repeated(data, request, request.for_all)

    def forget(self, data: bytes) -> None:
        """It has to be looked at anew."""
        self._known.pop(data, None)


def _all_that_is_asked(reader: RequestReader) -> bytes | None:
    """The bytes of the request that `reader` read last, where they came alone and their connection goes on."""
    data, head = reader.alone, reader.head
    return data if data and len(data) <= _REPEATED_MAX and head.http11 and head.keep_alive else None
