"""Which handler answers a path: a tree of path segments.

A pattern is literal segments and parameters, at most one parameter to a segment and with literal text around it if
need be: `/api/relays/{id}`, `/stream/{path}/hls/segment_{n}.ts`. A parameter stands for one segment, which may hold
an encoded slash. A literal wins over a parameter, and more literal text around a parameter over less.
"""

import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from fastrelay.wire.request import Flow, Request, Upload
from fastrelay.wire.response import Headers, Response, Streamed, Takeover, error_response
from fastrelay.wire.target import Target

Answer = Response | Streamed | Takeover
Answering = Answer | Coroutine[Any, Any, Answer]
Handler = Callable[[Request], Answering]
"""A plain function is answered within the same call (the fast path), a coroutine function gets a task of its own.
Raise RequestError to answer with an error."""

Receive = Callable[[Request, Flow], Upload]
"""Called with the head of a request, before its body is read, to say where the body goes. It raises RequestError to
refuse: then nothing of the body is read."""

BODY_MAX = 1 << 20
"""Bytes a request's body may have where the route does not say otherwise."""

_SEGMENT = re.compile(r"([^{}]*)\{([a-z_]+)\}([^{}]*)|([^{}]*)")


@dataclass(frozen=True, slots=True)
class Route:
    """A handler and the largest body (bytes) that its requests may have.

    With `receive`, a body is not gathered in `request.body` but goes where that says, and the handler finds it in
    `request.upload`.
    """

    handler: Handler
    body_limit: int = BODY_MAX
    receive: Receive | None = None


@dataclass(slots=True)
class _Node:
    """The routes that end at one place in the tree, and the segments that may follow."""

    routes: dict[str, Route] = field(default_factory=dict)
    headers: Headers = ()
    """Of what the router itself answers here."""
    literals: dict[str, "_Node"] = field(default_factory=dict)
    patterns: list["_Pattern"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Pattern:
    prefix: str
    name: str
    suffix: str
    node: _Node

    def match(self, segment: str) -> str | None:
        """What the parameter stands for; None when this is another segment. A parameter is never empty."""
        if not (self.prefix or self.suffix):
            return segment or None
        value = segment[len(self.prefix) : len(segment) - len(self.suffix)]
        return value if value and self.prefix + value + self.suffix == segment else None


class Router:
    """Routes by method and path. GET's route also answers HEAD (the handler sees `request.method == "HEAD"`)."""

    def __init__(self) -> None:
        self.routes: list[tuple[str, str]] = []
        """Method and pattern of each route, in the order they were added."""
        self._root = _Node()
        self._exact: dict[str, _Node] = {}

    def add(
        self,
        method: str,
        pattern: str,
        handler: Handler,
        *,
        body_limit: int = BODY_MAX,
        receive: Receive | None = None,
        own_headers: Headers = (),
    ) -> None:
        """Route `method` on `pattern` to `handler`. Raises ValueError for a malformed or doubled route.

        `own_headers` are added to what the router itself answers there, 308 and 405, and below, 404.
        """
        if not pattern.startswith("/"):
            raise ValueError(f"a pattern starts with a slash: {pattern}")
        node = self._root
        for segment in pattern.split("/")[1:]:
            node = _grow(node, segment)
        if method in node.routes:
            raise ValueError(f"{method} {pattern} is routed already")
        node.routes[method] = Route(handler, body_limit, receive)
        node.headers += own_headers
        self.routes.append((method, pattern))
        if method == "GET":
            node.routes.setdefault("HEAD", node.routes[method])
        if "{" not in pattern:
            self._exact[pattern] = node

    def resolve(self, method: str, target: Target) -> tuple[Route, dict[str, str]]:
        """The route and its parameters; where there is none, a route that answers 308, 404, 405 or OPTIONS."""
        params: dict[str, str] = {}
        node = self._exact.get(target.raw_path)
        if node is None:
            if target.raw_path.endswith("/") and target.raw_path != "/":
                return Route(_redirect(target, self._own_headers(target.segments[:-1]))), params
            node = _find(self._root, target.segments, 0, params)
            if node is None:
                if target.text == "*":
                    return _OPTIONS_ANY, params
                return Route(_not_found(self._own_headers(target.segments))), params
        route = node.routes.get(method)
        return route or _other_method(method, node), params

    def _own_headers(self, segments: list[str]) -> Headers:
        """Of what the router itself answers there."""
        node = _find(self._root, segments, 0, {}) or _nearest(self._root, segments, 0)
        return node.headers if node is not None else ()


def _grow(node: _Node, segment: str) -> _Node:
    found = _SEGMENT.fullmatch(segment)
    if found is None:
        raise ValueError(f"not a segment of a pattern: {segment}")
    prefix, name, suffix, literal = found.groups()
    if name is None:
        return node.literals.setdefault(literal, _Node())
    for pattern in node.patterns:
        if (pattern.prefix, pattern.name, pattern.suffix) == (prefix, name, suffix):
            return pattern.node
    pattern = _Pattern(prefix, name, suffix, _Node())
    node.patterns.append(pattern)
    node.patterns.sort(key=lambda each: -len(each.prefix + each.suffix))
    return pattern.node


def _find(node: _Node, segments: list[str], at: int, params: dict[str, str]) -> _Node | None:
    """The first node with routes that the segments lead to, its parameters put into `params`."""
    if at == len(segments):
        return node if node.routes else None
    segment = segments[at]
    literal = node.literals.get(segment)
    if literal is not None and (found := _find(literal, segments, at + 1, params)):
        return found
    for pattern in node.patterns:
        value = pattern.match(segment)
        if value is not None and (found := _find(pattern.node, segments, at + 1, params)):
            params[pattern.name] = value
            return found
    return None


def _nearest(node: _Node, segments: list[str], at: int) -> _Node | None:
    """The node with routes that is furthest on the way of the segments, which lead to none."""
    if at < len(segments):
        segment = segments[at]
        literal = node.literals.get(segment)
        ways = [literal] if literal is not None else []
        ways += [pattern.node for pattern in node.patterns if pattern.match(segment) is not None]
        for way in ways:
            if found := _nearest(way, segments, at + 1):
                return found
    return node if node.routes else None


def _redirect(target: Target, more: Headers) -> Handler:
    """To the form without the slash. With an empty segment (`//evil/`) the rest could be read as another site's
    address, and nothing here has such a name."""
    path = target.raw_path[:-1]
    if "//" in target.raw_path:
        return _not_found(more)
    _, mark, query = target.text.partition("?")
    headers: Headers = (("Location", path + mark + query), *more)
    return lambda request: Response(308, content_type="", headers=headers)


def _other_method(method: str, node: _Node) -> Route:
    allow: Headers = (("Allow", ", ".join(sorted({*node.routes, "OPTIONS"}))),)
    if method == "OPTIONS":
        return Route(lambda request: Response(204, content_type="", headers=allow))
    refusal = error_response(405, "method_not_allowed", f"{method} is not allowed here", (*allow, *node.headers))
    return Route(lambda request: refusal)


def _not_found(more: Headers) -> Handler:
    return lambda request: error_response(404, "not_found", f"nothing is served at {request.path}", more)


_OPTIONS_ANY = Route(
    lambda request: Response(204, content_type="", headers=(("Allow", "DELETE, GET, HEAD, OPTIONS, POST, PUT"),))
)
