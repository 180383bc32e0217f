import pytest

from fastrelay.errors import RequestError
from fastrelay.wire.target import check_authority, parse_target


def test_decodes_path_and_query() -> None:
    target = parse_target("GET", "/stream/sport%20tv?token=a%2Bb&name=caf%C3%A9+au+lait&flag&empty=")
    assert target.path == "/stream/sport tv"
    assert target.raw_path == "/stream/sport%20tv"
    assert target.segments == ["stream", "sport tv"]
    assert target.query == {"token": "a+b", "name": "café au lait", "flag": "", "empty": ""}


def test_an_encoded_slash_does_not_split_a_segment() -> None:
    assert parse_target("GET", "/a%2Fb/c").segments == ["a/b", "c"]


def test_the_first_of_a_repeated_name_counts() -> None:
    assert parse_target("GET", "/?token=mine&token=appended").query == {"token": "mine"}


def test_separators_alone_are_no_fields() -> None:
    assert parse_target("GET", "/?&&=x&").query == {}


def test_plus_in_a_path_is_a_plus() -> None:
    assert parse_target("GET", "/a+b").path == "/a+b"


def test_asterisk_is_for_options() -> None:
    assert parse_target("OPTIONS", "*").text == "*"
    with pytest.raises(RequestError):
        parse_target("GET", "*")


def test_dots_inside_a_segment_are_fine() -> None:
    assert parse_target("GET", "/a..b/.c/d./...").segments == ["a..b", ".c", "d.", "..."]


@pytest.mark.parametrize("text", ["", "u@x", "x y", "x/y", "x:port", "[::1", "x,y", "é"])
def test_refuses_what_is_no_authority(text: str) -> None:
    with pytest.raises(RequestError):
        check_authority(text)
