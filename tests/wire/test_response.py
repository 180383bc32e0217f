import orjson
import pytest

from fastrelay import __version__
from fastrelay.wire.response import (
    CLOSE,
    KEEP,
    KEEP_HTTP10,
    Response,
    Takeover,
    error_response,
    json_response,
    render,
    render_head,
    render_takeover_head,
    stamp,
)

STAMP = stamp(784111777.0)


def fields(data: bytes) -> dict[str, str]:
    head = data.partition(b"\r\n\r\n")[0].decode("latin-1")
    return dict(line.split(": ", 1) for line in head.split("\r\n")[1:])


def test_renders_a_whole_answer() -> None:
    data = render(Response(200, b"hi", "audio/aac", (("X-A", "b"),)), STAMP)
    assert data == (
        b"HTTP/1.1 200 OK\r\nContent-Type: audio/aac\r\nX-A: b\r\nContent-Length: 2\r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: fastrelay/" + __version__.encode() + b"\r\n\r\nhi"
    )


def test_says_what_becomes_of_the_connection() -> None:
    response = Response()
    assert fields(render(response, STAMP, CLOSE))["Connection"] == "close"
    assert fields(render(response, STAMP, KEEP_HTTP10))["Connection"] == "keep-alive"
    assert "Connection" not in fields(render(response, STAMP, KEEP))


@pytest.mark.parametrize(
    ("content_type", "nosniff"),
    [
        ("application/json", True),
        ("text/html; charset=utf-8", True),
        ("text/plain", True),
        ("video/mp2t", False),
        ("", False),
    ],
)
def test_nosniff_on_api_and_pages(content_type: str, nosniff: bool) -> None:
    head = fields(render(Response(content_type=content_type), STAMP))
    assert (head.get("X-Content-Type-Options") == "nosniff") is nosniff


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_body_and_no_length(status: int) -> None:
    data = render(Response(status, b"not sent"), STAMP)
    assert "Content-Length" not in fields(data)
    assert data.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "header",
    [
        ("Location", "/a\r\nSet-Cookie: b"),
        ("Location", "/a\nb"),
        ("Location", "/a\x00"),
        ("X-Text", "日本"),
        ("X\r\nY", "a"),
        ("X: Y", "a"),
        ("", "a"),
        ("Content-Length", "5"),
        ("connection", "close"),
        ("Transfer-Encoding", "chunked"),
    ],
)
def test_headers_that_would_forge_others_are_refused(header: tuple[str, str]) -> None:
    with pytest.raises(ValueError):  # any text will do
        render_head(Response(headers=(header,)), STAMP, KEEP)
    with pytest.raises(ValueError):  # any text will do
        render_takeover_head(Takeover(lambda outlet, head: lambda: None, headers=(header,)), STAMP)


def test_a_content_type_cannot_forge_headers_either() -> None:
    with pytest.raises(ValueError, match="header"):
        render_head(Response(content_type="text/html\r\nX: y"), STAMP, KEEP)


def test_a_response_rendered_twice_is_the_same_but_for_the_date() -> None:
    response = Response(200, b"abc")
    first = render(response, STAMP)
    again = render(response, stamp(784111778.0))
    assert again == first.replace(b"08:49:37", b"08:49:38")


def test_errors_have_one_shape() -> None:
    response = error_response(404, "relay_not_found", "no relay", (("X-A", "b"),))
    assert orjson.loads(response.body) == {"error": {"code": "relay_not_found", "message": "no relay"}}
    assert (response.status, response.content_type, response.headers) == (404, "application/json", (("X-A", "b"),))


def test_json() -> None:
    assert json_response({"a": [1, "é"]}, 201).body == '{"a":[1,"é"]}'.encode()


def test_a_live_head_has_no_length_and_closes() -> None:
    head = fields(render_takeover_head(Takeover(lambda outlet, head: lambda: None), STAMP))
    assert "Content-Length" not in head
    assert (head["Connection"], head["Content-Type"]) == ("close", "video/mp2t")


def test_an_unknown_status_is_rendered() -> None:
    assert render(Response(599), STAMP).startswith(b"HTTP/1.1 599 Unknown\r\n")
