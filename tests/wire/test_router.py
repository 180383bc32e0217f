import pytest

from fastrelay.wire.request import Request
from fastrelay.wire.response import Response
from fastrelay.wire.router import Route, Router
from fastrelay.wire.target import parse_target


def named(name: str) -> Response:
    return Response(content_type=name)


@pytest.fixture
def router() -> Router:
    router = Router()
    for method, pattern in [
        ("GET", "/"),
        ("GET", "/api/streams/status"),
        ("GET", "/api/streams/{id}/status"),
        ("POST", "/api/streams/{id}/stop"),
        ("GET", "/api/relays"),
        ("POST", "/api/relays"),
        ("GET", "/api/relays/{id}"),
        ("GET", "/stream/{path}"),
        ("GET", "/stream/{path}.ts"),
        ("GET", "/stream/{path}/hls/segment_{n}.ts"),
    ]:
        router.add(method, pattern, lambda request, name=f"{method} {pattern}": named(name))
    return router


def answer(router: Router, method: str, text: str) -> tuple[Response, dict[str, str]]:
    target = parse_target(method, text)
    route, params = router.resolve(method, target)
    request = Request(method, target.text, target.path, target.query, {}, ("", 0), ("", 0), params=params)
    response = route.handler(request)
    assert isinstance(response, Response)
    return response, params


@pytest.mark.parametrize(
    ("text", "pattern", "params"),
    [
        ("/", "/", {}),
        ("/?x=1", "/", {}),
        ("/api/relays", "/api/relays", {}),
        ("/%61pi/relays", "/api/relays", {}),
        ("/api/relays/7", "/api/relays/{id}", {"id": "7"}),
        ("/api/relays/a%2Fb%20c", "/api/relays/{id}", {"id": "a/b c"}),
        ("/api/streams/status", "/api/streams/status", {}),
        ("/api/streams/status/status", "/api/streams/{id}/status", {"id": "status"}),
        ("/api/streams/channel:5/status", "/api/streams/{id}/status", {"id": "channel:5"}),
        ("/stream/tv", "/stream/{path}", {"path": "tv"}),
        ("/stream/tv.ts", "/stream/{path}.ts", {"path": "tv"}),
        ("/stream/.ts", "/stream/{path}", {"path": ".ts"}),
        ("/stream/tv/hls/segment_12.ts", "/stream/{path}/hls/segment_{n}.ts", {"path": "tv", "n": "12"}),
    ],
)
def test_finds(router: Router, text: str, pattern: str, params: dict[str, str]) -> None:
    response, found = answer(router, "GET", text)
    assert (response.content_type, found) == (f"GET {pattern}", params)


@pytest.mark.parametrize(
    "text",
    ["/x", "/api", "/api/relays/1/2", "//api/relays", "/api//relays", "/stream/tv/hls/segment_.ts", "//evil/", "/a//"],
)
def test_answers_404(router: Router, text: str) -> None:
    response, params = answer(router, "GET", text)
    assert (response.status, params) == (404, {})
    assert b'"not_found"' in response.body


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("/api/relays/", "/api/relays"),
        ("/stream/tv/?token=a%20b", "/stream/tv?token=a%20b"),
        ("/a%2F/", "/a%2F"),
        ("/%5Cevil/", "/%5Cevil"),
        ("http://other/stream/tv/", "/stream/tv"),
    ],
)
def test_a_trailing_slash_is_redirected_on_this_site(router: Router, text: str, location: str) -> None:
    response, _ = answer(router, "GET", text)
    assert (response.status, response.headers) == (308, (("Location", location),))


def test_a_wrong_method_is_told_the_right_ones(router: Router) -> None:
    response, _ = answer(router, "DELETE", "/api/relays")
    assert response.status == 405
    assert response.headers == (("Allow", "GET, HEAD, OPTIONS, POST"),)
    assert b'"method_not_allowed"' in response.body
    assert answer(router, "HEAD", "/api/streams/x/stop")[0].headers == (("Allow", "OPTIONS, POST"),)


def test_a_path_may_have_headers_of_its_own_for_what_the_router_answers(router: Router) -> None:
    router.add("PUT", "/open/{name}", lambda request: Response(200), own_headers=(("X-Own", "yes"),))
    router.add("POST", "/open/{name}", lambda request: Response(200))
    assert answer(router, "DELETE", "/open/a")[0].headers == (("Allow", "OPTIONS, POST, PUT"), ("X-Own", "yes"))
    assert answer(router, "GET", "/open/a/")[0].headers == (("Location", "/open/a"), ("X-Own", "yes"))
    assert answer(router, "GET", "/closed/a/")[0].headers == (("Location", "/closed/a"),)
    assert answer(router, "GET", "/open/a/b/")[0].headers == (("Location", "/open/a/b"), ("X-Own", "yes"))
    for below in ("/open/a/b", "/open/a/b/c", "/open/a//"):
        response, params = answer(router, "GET", below)
        assert (response.status, response.headers, params) == (404, (("X-Own", "yes"),), {})
    for elsewhere in ("/open", "/opened/a/b", "/a/b", "/api/relays/1/2"):
        response, _ = answer(router, "GET", elsewhere)
        assert (response.status, response.headers) == (404, ())


def test_options(router: Router) -> None:
    response, _ = answer(router, "OPTIONS", "/api/relays/7")
    assert (response.status, response.headers) == (204, (("Allow", "GET, HEAD, OPTIONS"),))
    assert answer(router, "OPTIONS", "*")[0].status == 204


def test_head_takes_the_route_of_get(router: Router) -> None:
    assert answer(router, "HEAD", "/stream/tv")[0].content_type == "GET /stream/{path}"


def test_a_route_has_its_body_limit() -> None:
    router = Router()
    router.add("POST", "/import", lambda request: Response(), body_limit=64 << 20)
    route: Route = router.resolve("POST", parse_target("POST", "/import"))[0]
    assert route.body_limit == 64 << 20
    assert router.resolve("POST", parse_target("POST", "/x"))[0].body_limit == 1 << 20


@pytest.mark.parametrize("pattern", ["x", "/{a}{b}", "/{", "/a}", "/{A}"])
def test_refuses_malformed_patterns(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        Router().add("GET", pattern, lambda request: Response())


def test_refuses_a_route_twice(router: Router) -> None:
    with pytest.raises(ValueError, match="already"):
        router.add("GET", "/api/relays/{id}", lambda request: Response())
