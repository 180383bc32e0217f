"""Answers of the management API: JSON that nobody keeps."""

from typing import Any

from fastrelay.endpoints.relay_body import InvalidFieldError
from fastrelay.wire.response import Headers, Response, json_response

_NO_STORE = (("Cache-Control", "no-store"),)

GONE = Response(204, content_type="", headers=(("X-Content-Type-Options", "nosniff"), *_NO_STORE))
"""What was to be deleted is."""


def answer(value: Any, status: int = 200, headers: Headers = ()) -> Response:
    """`value` as JSON."""
    return json_response(value, status, (*headers, *_NO_STORE))


def answer_invalid(error: InvalidFieldError) -> Response:
    """422 that names the field."""
    body = {"code": error.code, "message": error.message, "field": error.field}
    return answer({"error": body}, error.status)
