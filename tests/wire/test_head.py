import pytest

from fastrelay.wire.head import find_head, parse_head


@pytest.mark.parametrize(
    ("version", "connection", "keep"),
    [
        (b"1.1", None, True),
        (b"1.1", b"close", False),
        (b"1.1", b"Keep-Alive, Close", False),
        (b"1.1", b"x-close", True),
        (b"1.0", None, False),
        (b"1.0", b"Keep-Alive", True),
        (b"1.0", b"keep-alive, close", False),
        (b"1.1", b"Upgrade\r\nUpgrade: h2c", False),
    ],
)
def test_keep_alive(version: bytes, connection: bytes | None, keep: bool) -> None:
    field = b"" if connection is None else b"Connection: " + connection + b"\r\n"
    assert parse_head(b"GET / HTTP/" + version + b"\r\nHost: x\r\n" + field + b"\r\n").keep_alive is keep


@pytest.mark.parametrize("host", ["x", "localhost:8080", "127.0.0.1", "[::1]:80", "[fe80::1]", "a_b.example", "x:"])
def test_hosts(host: str) -> None:
    assert parse_head(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).headers["host"] == host


def test_absolute_form_replaces_the_host() -> None:
    head = parse_head(b"GET HTTP://other:81/path?q=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (head.target.text, head.headers["host"]) == ("/path?q=1", "other:81")
    assert parse_head(b"GET http://other HTTP/1.1\r\nHost: x\r\n\r\n").target.text == "/"
    assert parse_head(b"GET http://other?q HTTP/1.1\r\nHost: x\r\n\r\n").target.text == "/?q"


def test_http_1_0_needs_no_host() -> None:
    head = parse_head(b"GET / HTTP/1.0\r\n\r\n")
    assert not head.http11
    assert head.headers == {}


def test_fields_are_lower_case_trimmed_and_joined() -> None:
    head = parse_head(b"GET / HTTP/1.1\r\nHOST: x\r\nX-A:\t one \r\nx-a: two\t\r\nX-Latin: \xe9\r\nX-Empty:\r\n\r\n")
    assert head.headers == {"host": "x", "x-a": "one, two", "x-latin": "é", "x-empty": ""}


def test_expectation_of_http_1_0_is_ignored() -> None:
    assert not parse_head(b"POST / HTTP/1.0\r\nExpect: anything\r\n\r\n").expects_continue


def test_a_head_ends_behind_its_empty_line() -> None:
    data = b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET"
    assert find_head(data) == len(data) - 3
    assert find_head(b"xyz" + data, 3) == len(data)
    assert find_head(data[:-4]) == 0
    assert find_head(b"\r\n\r\n" + data) == len(data) + 1
