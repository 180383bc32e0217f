"""Answers that players in web pages of any origin may read (the Fetch standard's CORS)."""

from collections.abc import Coroutine
from types import CoroutineType
from typing import Any

from fastrelay.errors import RequestError
from fastrelay.streams.hls_answers import CORS
from fastrelay.wire.request import Request
from fastrelay.wire.response import Response
from fastrelay.wire.router import Answer, Answering, Handler, Router

PREFLIGHT = Response(
    204, content_type="",
    headers=(
        ("Allow", "GET, HEAD, OPTIONS"),
        ("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"),
        # The star does not stand for this one.
        ("Access-Control-Allow-Headers", "*, Authorization"),
        ("Access-Control-Max-Age", "86400"),
        *CORS,
    ),
)  # fmt: skip


def add_for_any_origin(router: Router, pattern: str, handler: Handler) -> None:
    """Route GET, and the asking before it, so that a player in a web page can read every answer at this path."""
    router.add("GET", pattern, _for_any_origin(handler), own_headers=CORS)
    router.add("OPTIONS", pattern, lambda request: PREFLIGHT)


def _for_any_origin(handler: Handler) -> Handler:
    """The handler whose refusals a player in a web page can read, too; the browser hides them from it otherwise."""

    def answering(request: Request) -> Answering:
        try:
            answer = handler(request)
        except RequestError as error:
            raise _readable(error) from None
        return _later(answer) if isinstance(answer, CoroutineType) else answer

    return answering


async def _later(answer: Coroutine[Any, Any, Answer]) -> Answer:
    try:
        return await answer
    except RequestError as error:
        raise _readable(error) from None


def _readable(error: RequestError) -> RequestError:
    return RequestError(error.status, error.code, error.message, (*error.headers, *CORS))
