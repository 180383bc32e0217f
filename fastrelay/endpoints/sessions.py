"""The sessions of HLS viewers: a key that the master playlist gives out and every further request brings back."""

import re

from fastrelay.endpoints.viewers import carried
from fastrelay.wire.request import Request

_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")


def session_of(request: Request) -> str:
    """The key that the request brings; empty where there is none, or none of ours."""
    given = request.query.get("session", "")
    return given if _KEY.fullmatch(given) else ""


def query_of(key: str, request: Request) -> str:
    """The query of what a playlist names: the session, where there is one, and what lets the viewer in."""
    return "&".join(part for part in (f"session={key}" if key else "", carried(request)) if part)
