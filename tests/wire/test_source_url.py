import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.wire.source_url import MAX_LENGTH, parse_source_url


@pytest.mark.parametrize(
    ("text", "scheme", "url"),
    [
        ("http://h/x.ts", "http", "http://h/x.ts"),
        (" HTTP://h:8080/x.ts\n", "http", "http://h:8080/x.ts"),
        ("https://user:pw@h/x?a=b#c", "https", "https://user:pw@h/x?a=b#c"),
        ("http://[::1]:80/x", "http", "http://[::1]:80/x"),
        ("http://münchen.example/ü x.ts", "http", "http://münchen.example/ü x.ts"),
        ("udp://@239.1.1.1:5000?iface=eth0", "udp", "udp://@239.1.1.1:5000?iface=eth0"),
        ("udp://239.1.1.1:5000", "udp", "udp://239.1.1.1:5000"),
        ("rtp://@:5004", "rtp", "rtp://@:5004"),
        ("file:///srv/a|b.ts", "file", "file:///srv/a|b.ts"),
        ("file://localhost/srv/a.ts", "file", "file:///srv/a.ts"),
        ("exec:ffmpeg -i x | tee y", "exec", "exec:ffmpeg -i x | tee y"),
    ],
)
def test_accepted(text: str, scheme: str, url: str) -> None:
    parsed = parse_source_url(text)
    assert (parsed.scheme, parsed.url, parsed.headers) == (scheme, url, ())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "beginning with one of"),
        ("h/x.ts", "beginning with one of"),
        ("ftp://h/x", "'ftp' is not supported"),
        ("javascript:alert(1)", "'javascript' is not supported"),
        ("http:/h/x", "expected http://"),
        ("http:///x", "names no host"),
        ("http://:80/x", "names no host"),
        ("http://user@/x", "names no host"),
        ("http://a b/x", "characters that a host name cannot have"),
        ("http://a\\@b/x", "characters that a host name cannot have"),
        ("http://a%00b/x", "characters that a host name cannot have"),
        ("http://[::1/x", "not valid"),
        ("http://[::g]/x", "not valid"),
        ("http://[v1.x]/x", "not a valid IPv6 address"),
        ("http://h:0/x", "port"),
        ("http://h:65536/x", "port"),
        ("http://h:http/x", "port"),
        ("http://h/a\r\nb", "control characters"),
        ("http://h/a\x00", "control characters"),
        ("http://h/a\u2028b", "control characters"),
        ("http://h/" + "x" * MAX_LENGTH, "8192 characters"),
        ("udp://239.1.1.1", "port is missing"),
        ("file://server/share/x.ts", "absolute path"),
        ("file:///a%00b", "control characters"),
        ("exec:  ", "expected a command"),
    ],
)
def test_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace("[", r"\[")):
        parse_source_url(text)


def test_header_suffix_is_taken_apart_and_decoded() -> None:
    parsed = parse_source_url("http://host/x.ts|User-Agent=Foo%20(a+b)&Referer=http://bar/&X-Key=a%26b%3Dc")
    assert parsed.url == "http://host/x.ts"
    assert parsed.headers == (("User-Agent", "Foo (a+b)"), ("Referer", "http://bar/"), ("X-Key", "a&b=c"))


@pytest.mark.parametrize(
    ("suffix", "reason"),
    [
        ("Foo", "expected"),
        ("Fo o=1", "valid header names"),
        ("Fo%0d%0ao=1", "valid header names"),
        ("Foo=1%0d%0aBar: 2", "control characters"),
        ("Foo=%00", "control characters"),
        ("Transfer-Encoding=chunked", "cannot be set"),
        ("host=other", "cannot be set"),
        ("Proxy-Authorization=x", "cannot be set"),
    ],
)
def test_header_suffix_refused(suffix: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_source_url(f"http://host/x.ts|{suffix}")


def test_neither_errors_nor_repr_repeat_a_credential() -> None:
    assert "secret" not in repr(parse_source_url("http://u:secret@h/x?token=secret|Authorization=secret"))
    for text in (
        "http://u:secret@h:x/",
        "secret://u:secret@/",
        "http://u:secret@/",
        "http://u:secret@[/",
        "http://u:se/cret@h/",
    ):
        with pytest.raises(ValueError) as caught:
            parse_source_url(text)
        assert "u:secret" not in str(caught.value) and caught.value.__cause__ is None


@settings(deadline=None, max_examples=300)
@given(
    st.one_of(st.text(), st.text().map("http://".__add__), st.text(alphabet="[]:@/|=&%0h\\.").map("http://h".__add__))
)
def test_any_text_is_parsed_or_refused_with_value_error(text: str) -> None:
    try:
        parsed = parse_source_url(text)
    except ValueError:
        return
    assert "\n" not in parsed.url
