"""The whole of a body that is in memory, or the part of it that is asked for."""

from dataclasses import replace

from fastrelay.errors import RequestError
from fastrelay.wire.conditional import is_current, parse_range
from fastrelay.wire.request import Request
from fastrelay.wire.response import Response


def part(whole: Response, request: Request) -> Response:
    """The whole, 304, or the one range asked for (RFC 9110 §14); several ranges get the whole. It has an ETag.

    Raises RequestError 416.
    """
    headers = request.headers
    if "range" not in headers and "if-none-match" not in headers:
        return whole
    etag = dict(whole.headers)["ETag"]
    if is_current(headers.get("if-none-match"), etag):
        return Response(304, b"", "", whole.headers)
    asked = parse_range(headers.get("range", ""))
    # A date never stands for a segment, and a weak tag does not: the whole then (§13.1.5).
    if asked is None or headers.get("if-range", etag) != etag:
        return whole
    size = len(whole.body)
    found = asked.within(size)
    if found is None:
        raise not_there(size)
    start, end = found
    fields = (*whole.headers, ("Content-Range", f"bytes {start}-{end - 1}/{size}"))
    return replace(whole, status=206, body=whole.body[start:end], headers=fields)


def not_there(size: int) -> RequestError:
    """416: nothing of the range is there."""
    length = (("Content-Range", f"bytes */{size}"),)
    return RequestError(416, "range_not_satisfiable", f"The segment has {size} bytes.", length)
