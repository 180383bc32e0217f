import itertools
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.errors import RequestError
from fastrelay.wire.reader import HeadParser, RequestReader
from fastrelay.wire.response import Response
from fastrelay.wire.router import Router
from tests.wire.refusals import REFUSALS


def make_reader() -> RequestReader:
    router = Router()
    router.add("GET", "/fixed", lambda request: Response())
    router.add("GET", "/item/{id}", lambda request: Response())
    router.add("POST", "/echo", lambda request: Response())
    router.add("POST", "/small", lambda request: Response(), body_limit=8)
    return RequestReader(HeadParser(router))


def read_all(pieces: Iterable[bytes]) -> list[tuple[str, str, bytes]]:
    """Method, target and body of every request that the pieces hold."""
    reader = make_reader()
    found = []
    for piece in pieces:
        reader.feed(piece)
        while (body := reader.read()) is not None:
            found.append((reader.head.method, reader.head.target.text, body))
    return found


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


@pytest.mark.parametrize("split", [lambda data: [data], bytewise], ids=["whole", "bytewise"])
@pytest.mark.parametrize(("data", "status", "code"), REFUSALS)
def test_refuses(data: bytes, status: int, code: str, split: object) -> None:
    with pytest.raises(RequestError) as refused:
        read_all(split(data))  # type: ignore[operator]  # a parameter of the table
    assert (refused.value.status, refused.value.code) == (status, code)


STREAM = (
    b"GET /fixed HTTP/1.1\r\nHost: x\r\n\r\n"
    b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
    b"\r\n"
    b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;name=value\r\nabc\r\n0002\r\nde\r\n0\r\nHost: evil\r\nContent-Length: 7\r\n\r\n"
    b"GET http://other:81/item/1%2F2?x=%20 HTTP/1.1\r\nHost: x\r\n\r\n"
    b"GET /fixed HTTP/1.0\r\n\r\n"
)
REQUESTS = [
    ("GET", "/fixed", b""),
    ("POST", "/echo", b"hello"),
    ("POST", "/echo", b"abcde"),
    ("GET", "/item/1%2F2?x=%20", b""),
    ("GET", "/fixed", b""),
]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_requests_are_the_same_however_their_bytes_are_split(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert read_all(STREAM[a:b] for a, b in itertools.pairwise(edges)) == REQUESTS


def test_requests_byte_by_byte() -> None:
    assert read_all(bytewise(STREAM)) == REQUESTS


def test_trailers_do_not_become_headers() -> None:
    reader = make_reader()
    reader.feed(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Admin: yes\r\n\r\n")
    assert reader.read() == b""
    assert reader.head.headers == {"host": "x", "transfer-encoding": "chunked"}


def test_the_limits_themselves_are_allowed() -> None:
    fields = b"GET /fixed HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 99 + b"\r\n"
    head = b"GET /fixed HTTP/1.1\r\nHost: x\r\nA: "
    head += b"a" * (16384 - len(head) - 4) + b"\r\n\r\n"
    target = b"GET /" + b"a" * 8191 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    body = b"POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n12345678"
    for data in (fields, head, target, body):
        assert len(read_all([data])) == 1
        assert len(read_all(bytewise(data))) == 1


def test_routes_and_parameters_come_with_the_head() -> None:
    reader = make_reader()
    for _ in range(2):  # the second time from memory
        reader.feed(b"GET /item/a%2Fb HTTP/1.1\r\nHost: x\r\n\r\n")
        assert reader.read() == b""
        assert reader.params == {"id": "a/b"}
        assert reader.head.target.path == "/item/a/b"


def test_waits_for_the_word_to_continue_only_before_the_body() -> None:
    reader = make_reader()
    reader.feed(b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n")
    assert reader.read() is None
    assert reader.wants_continue
    reader.feed(b"a")
    assert reader.read() is None
    assert not reader.wants_continue
    reader.feed(b"b")
    assert reader.read() == b"ab"


def test_knows_that_a_refused_request_is_a_head() -> None:
    reader = make_reader()
    reader.feed(b"HEAD /fixed HTTP/1.1\r\n\r\n")
    with pytest.raises(RequestError):
        reader.read()
    assert reader.asks_for_head


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_goes_where_its_route_says(chunked: bool) -> None:
    """Piece by piece, and only that request's: the next one on the connection has its own body again."""
    pieces: list[bytes] = []
    router = Router()
    router.add("POST", "/upload", lambda request: Response(), body_limit=100, receive=lambda request, flow: never())
    router.add("POST", "/plain", lambda request: Response())
    reader = RequestReader(HeadParser(router), lambda: lambda piece: pieces.append(bytes(piece)))
    framing = "Transfer-Encoding: chunked" if chunked else "Content-Length: 6"
    body = ["3\r\nabc", "\r\n3\r\ndef\r\n0\r\n\r\n"] if chunked else ["abc", "def"]
    reader.feed(f"POST /upload HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n{body[0]}".encode())
    assert reader.read() is None
    assert b"".join(pieces) == b"abc"
    reader.feed(f"{body[1]}POST /plain HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nxy".encode())
    assert reader.read() == b""
    assert b"".join(pieces) == b"abcdef"
    assert reader.read() == b"xy"
    assert b"".join(pieces) == b"abcdef"


def test_an_upload_that_is_too_long_is_refused_before_it_is_received() -> None:
    router = Router()
    router.add("POST", "/upload", lambda request: Response(), body_limit=5, receive=lambda request, flow: never())
    reader = RequestReader(HeadParser(router), never)
    reader.feed(b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n")
    with pytest.raises(RequestError, match="longer than 5 bytes"):
        reader.read()


def never() -> Any:
    raise AssertionError("nothing is to be received")
