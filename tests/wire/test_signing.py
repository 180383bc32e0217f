"""Signatures: valid for a path and what is below it, until they expire, and for nothing else."""

import pytest

from fastrelay.wire.signing import is_signed, sign, signed_query

KEY = "a-key"


def valid(signed: str, asked: str, now: float = 99.0, key: str = KEY, expires: str = "100") -> bool:
    return is_signed(key, asked, expires, sign(KEY, signed, 100), now)


def test_the_canonical_form_is_fixed() -> None:
    """URLs that were given out stay valid across versions."""
    assert sign(KEY, "/stream/news", 1767225600) == "tHd5XPMSM_5QSbU5WA8dpoZ5lUu0JyL-6k3OQYd1WPk"
    assert (
        signed_query(KEY, "/stream/news", 1767225600)
        == "expires=1767225600&signature=tHd5XPMSM_5QSbU5WA8dpoZ5lUu0JyL-6k3OQYd1WPk"
    )


@pytest.mark.parametrize(
    ("signed", "asked"),
    [
        ("/stream/news", "/stream/news"),
        ("/stream/news", "/stream/news.ts"),
        ("/stream/news", "/stream/news/hls/segment_1.ts"),
        ("/stream/news/", "/stream/news"),
        ("/stream/news.ts", "/stream/news.ts"),
        ("/stream", "/stream/news"),
        ("/", "/stream/news"),
    ],
)
def test_valid_for_the_path_and_everything_below(signed: str, asked: str) -> None:
    assert valid(signed, asked)


@pytest.mark.parametrize(
    ("signed", "asked"),
    [
        ("/stream/news", "/stream/news2"),
        ("/stream/news", "/stream"),
        ("/stream/news", "/api/proxy/channel/1"),
        ("/stream/news.ts", "/stream/news"),
        ("/stream/news/hls", "/stream/news"),
    ],
)
def test_not_valid_beside_or_above(signed: str, asked: str) -> None:
    assert not valid(signed, asked)


def test_not_valid_later_nor_with_anything_changed() -> None:
    assert not valid("/a", "/a", now=100.0)
    assert not valid("/a", "/a", key="another")
    assert not valid("/a", "/a", expires="101")
    for expires in ("", "1e9", "-1", "\u0661\u0660\u0660", "9" * 13):
        assert not valid("/a", "/a", expires=expires)
    for signature in ("", "x", "ü", sign(KEY, "/a", 100)[:-1]):
        assert not is_signed(KEY, "/a", "100", signature, 99)
