"""`GET /openapi.json`: the table of operations as OpenAPI 3.1. `GET /docs`: the same as a page."""

import hashlib
import re
from http import HTTPStatus
from typing import Any

import orjson

from fastrelay import __version__
from fastrelay.endpoints.api_operations import ADMIN, NOTHING, OPERATIONS, TAGS, VIEWER, Operation
from fastrelay.endpoints.api_schemas import SCHEMAS, Schema, ref
from fastrelay.endpoints.docs import page
from fastrelay.wire.request import Request
from fastrelay.wire.response import Headers, Response
from fastrelay.wire.router import Router

SECURITY = {
    ADMIN: {
        "type": "http",
        "scheme": "bearer",
        "description": "`auth.admin_token`. Where none is set, only a person at the server's machine may manage it.",
    },
    "token": {"type": "apiKey", "in": "query", "name": "token", "description": "`auth.stream_token`, where it is set."},
    "signature": {
        "type": "apiKey",
        "in": "query",
        "name": "signature",
        "description": "With `expires`, as `fastrelay sign` makes it; where `auth.signing_key` is set.",
    },
}
_REQUIRED: dict[str, list[dict[str, list[str]]]] = {
    ADMIN: [{ADMIN: []}],
    VIEWER: [{}, {"token": []}, {"signature": []}, {ADMIN: []}],
}
_REFUSED = {ADMIN: (401, 403), VIEWER: (401, 403)}
_PARAMETER = re.compile(r"\{([a-z_]+)\}")
_NUMBERS = ("/api/relays/", "/api/channels/", "/api/playlists/", "/api/proxy/channel/")
"""Below these, `id` is a number."""
_PRINTABLE = {"pattern": "^[^\\u0000-\\u001f\\u007f]*$"}
"""What the target of a request may have in it."""


def describe() -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "fastrelay",
            "version": __version__,
            "license": {"name": "MIT", "identifier": "MIT"},
            "description": 'IPTV and live-stream relay. Errors are JSON: `{"error": {"code", "message"}}`. HEAD is '
            "answered wherever GET is: at once, and without starting anything. A trailing slash is answered with 308.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {"schemas": SCHEMAS, "securitySchemes": SECURITY},
    }


def _described(operation: Operation) -> dict[str, Any]:
    words = re.findall(r"[a-z0-9]+", operation.path) or ["dashboard"]
    described: dict[str, Any] = {
        "operationId": "_".join((operation.method.lower(), *words)),
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": _responses(operation),
        "security": _REQUIRED.get(operation.access, []),
    }
    if operation.body:
        required = operation.body != ("NewRelayOfChannel",)
        described["requestBody"] = {"required": required, "content": _content(operation.body)}
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    of_path = [
        {"name": name, "in": "path", "required": True, "schema": _path_schema(operation.path, name)}
        for name in _PARAMETER.findall(operation.path)
    ]
    of_query = []
    for name, schema in operation.query:
        about = {"description": schema["description"]} if "description" in schema else {}
        shape = {**_PRINTABLE, **schema} if schema.get("type") == "string" else schema
        of_query.append({"name": name, "in": "query", **about, "schema": shape})
    return [*of_path, *of_query]


def _path_schema(path: str, name: str) -> Schema:
    number = name == "n" or (name == "id" and path.startswith(_NUMBERS))
    return {"type": "integer", "minimum": 0} if number else {"type": "string", "minLength": 1, **_PRINTABLE}


def _responses(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, what in operation.answers.items():
        found[str(status)] = {"description": HTTPStatus(status).phrase}
        if what != NOTHING:
            found[str(status)]["content"] = _content((what,))
        if status == 201:
            found["201"]["headers"] = {"Location": {"required": True, "schema": {"type": "string"}}}
    unreadable = (400,) if operation.body or operation.query or "{" in operation.path else ()
    for status in sorted({*operation.errors, *unreadable, *_REFUSED.get(operation.access, ())}):
        found[str(status)] = {"description": HTTPStatus(status).phrase, "content": _content(("Error",))}
    return found


def _content(kinds: tuple[str, ...]) -> dict[str, Any]:
    """Schemas are of JSON; a media type speaks for itself."""
    return {
        "application/json" if kind in SCHEMAS else kind: {"schema": ref(kind)} if kind in SCHEMAS else {}
        for kind in kinds
    }


class OpenApiEndpoint:
    """Both are made when first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[str, Response]] = {}

    def register(self, router: Router) -> None:
        router.add("GET", "/openapi.json", self.description)
        router.add("GET", "/docs", self.docs)

    def description(self, request: Request) -> Response:
        return self._answer(request, "application/json", ())

    def docs(self, request: Request) -> Response:
        """A page without scripts: the description is all there is in it."""
        return self._answer(request, "text/html; charset=utf-8", (("Referrer-Policy", "no-referrer"),))

    def _answer(self, request: Request, kind: str, headers: Headers) -> Response:
        if kind not in self._made:
            document = describe()
            if kind.startswith("text/html"):
                body, policy = page(document)
                headers = (*headers, ("Content-Security-Policy", policy))
            else:
                body = orjson.dumps(document)
            etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
            self._made[kind] = (
                etag,
                Response(200, body, kind, (*headers, ("Cache-Control", "no-cache"), ("ETag", etag))),
            )
        etag, whole = self._made[kind]
        if request.headers.get("if-none-match") == etag:
            return Response(304, b"", "", whole.headers)
        return whole
