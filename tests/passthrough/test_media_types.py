import pytest

from fastrelay.passthrough.media_types import media_type


@pytest.mark.parametrize(
    ("given", "name", "expected"),
    [
        ("video/MP2T", "x.ts", "video/mp2t"),
        ("text/vtt; charset=utf-8", "x.vtt", "text/vtt"),
        ("application/octet-stream", "x.m4s", "video/iso.segment"),
        ("binary/octet-stream", "x.key", "application/octet-stream"),
        ("", "x.aac", "audio/aac"),
        # A browser would run these under our own name.
        ("text/html", "x.ts", "video/mp2t"),
        ("image/svg+xml", "x.json", "application/json"),
        ("application/javascript", "x.key", "application/octet-stream"),
        ("video/mp4\r\nSet-Cookie: a", "x.mp4", "video/mp4"),
    ],
)
def test_types(given: str, name: str, expected: str) -> None:
    assert media_type(given, name) == expected
