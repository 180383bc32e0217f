"""A request that a player asks again and again, known by its bytes alone."""

from dataclasses import dataclass

from fastrelay.wire.reader import RequestReader
from fastrelay.wire.request import Again, Request

_REPEATED_MAX = 1024  # bytes of a request that is remembered: every connection may have one


@dataclass(frozen=True, slots=True)
class Repeated:
    """The last request of a connection that may be asked again (see `Request.again`), and its bytes."""

    data: bytes
    request: Request
    answer: Again


def repeated(request: Request, reader: RequestReader) -> Repeated | None:
    """`request`, which is what `reader` read last; None where its bytes alone do not say all that it asks."""
    data, head = reader.alone, reader.head
    if request.again is None or not data or len(data) > _REPEATED_MAX or not head.http11 or not head.keep_alive:
        return None
    return Repeated(data, request, request.again)
