"""Conditional requests, ranges and codings, with what clients really send."""

import pytest

from fastrelay.wire.conditional import ByteRange, is_current, parse_range, takes_gzip

TAG = '"1763800000123-6"'


@pytest.mark.parametrize(
    "field",
    [TAG, f"W/{TAG}", f'"older", {TAG}', f'"older",W/{TAG}', "*", " * ", f"{TAG}, "],
)
def test_what_the_client_has_is_current(field: str) -> None:
    assert is_current(field, TAG)


@pytest.mark.parametrize("field", [None, "", '"older"', TAG.strip('"'), 'W/"older"', '"1763800000123-6', "**"])
def test_what_the_client_has_is_not_current(field: str | None) -> None:
    assert not is_current(field, TAG)


@pytest.mark.parametrize(
    ("field", "start", "end"),
    [
        ("bytes=0-", 0, 1000),
        ("bytes=0-0", 0, 1),
        ("bytes=188-375", 188, 376),
        ("bytes=500-5000", 500, 1000),
        ("bytes=-188", 812, 1000),
        ("bytes=-5000", 0, 1000),
        ("Bytes = 1 - 2", 1, 3),
    ],
)
def test_one_range(field: str, start: int, end: int) -> None:
    asked = parse_range(field)
    assert isinstance(asked, ByteRange)
    assert asked.within(1000) == (start, end)


@pytest.mark.parametrize("field", ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=5-3", f"bytes={'9' * 18}-"])
def test_nothing_of_the_range_is_there(field: str) -> None:
    asked = parse_range(field)
    assert asked is not None
    assert asked.within(1000) is None


@pytest.mark.parametrize(
    "field",
    ["", "bytes=-", "bytes=0-1,5-6", "items=0-1", "bytes 0-1", "bytes=a-b", "bytes=-1-2", f"bytes={'9' * 5000}-"],
)
def test_no_range_that_can_be_served(field: str) -> None:
    assert parse_range(field) is None


@pytest.mark.parametrize(
    ("field", "takes"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("GZIP ; q=0.001", True),
        ("x-gzip", True),
        ("*", True),
        ("", False),
        ("identity", False),
        ("br, zstd", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("*;q=0", False),
        ("identity;q=1, *;q=0", False),
        ("*, gzip;q=0", False),
        ("gzipped", False),
    ],
)
def test_gzip_where_it_is_taken(field: str, takes: bool) -> None:
    assert takes_gzip(field) is takes
