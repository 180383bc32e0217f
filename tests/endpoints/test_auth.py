"""The management rule as a table: one thing changed at a time from a request that is let in."""

import pytest

from fastrelay.endpoints.auth import Access
from fastrelay.errors import RequestError
from fastrelay.wire.request import Request

TOKEN = "right-token"


def request(
    *, peer: str = "127.0.0.1", local: str = "127.0.0.1", secure: bool = False, body: bytes = b"", **headers: str
) -> Request:
    named = {"host": "127.0.0.1:8080"} | {name.replace("_", "-"): value for name, value in headers.items()}
    method = "POST" if body else "GET"
    return Request(method, "/x", "/x", {}, named, (peer, 40000), (local, 8080), secure, body)


def outcome(access: Access, made: Request) -> int:
    try:
        access.require_admin(made)
    except RequestError as error:
        return error.status
    return 200


LOCAL = [
    request(),
    request(peer="::1", local="::1", host="[::1]:8080"),
    request(peer="::ffff:127.0.0.1", local="::ffff:127.0.0.1"),
    request(peer="127.5.5.5", local="127.0.0.2", host="127.0.0.2"),
    request(host="localhost:8080"),
    request(host="LocalHost"),
    request(host="tv.localhost:8080"),
    request(origin="http://127.0.0.1:8080"),
    request(host="localhost", origin="http://LOCALHOST:80"),
    request(host="localhost:443", origin="https://localhost", secure=True),
    request(sec_fetch_site="same-origin", origin="http://127.0.0.1:8080"),
    request(sec_fetch_site="none"),
    request(body=b"{}", content_type="application/json"),
    request(body=b"{}", content_type="Application/JSON; charset=utf-8"),
]


@pytest.mark.parametrize("made", LOCAL)
def test_without_a_token_a_local_person_may(made: Request) -> None:
    assert outcome(Access(None), made) == 200
    assert not Access(None).is_admin(made)


FOREIGN = [
    (request(peer="192.168.1.7"), "not over loopback"),
    (request(peer="192.168.1.7", local="192.168.1.5"), "not over loopback"),
    (request(local="192.168.1.5"), "not over loopback"),
    (request(peer="::ffff:192.168.1.7"), "not over loopback"),
    (request(peer="", local=""), "not over loopback"),
    (request(forwarded="for=1.2.3.4"), "the header forwarded shows a proxy"),
    (request(x_forwarded_for="127.0.0.1"), "the header x-forwarded-for shows a proxy"),
    (request(x_forwarded_host=""), "the header x-forwarded-host shows a proxy"),
    (request(via="1.1 nginx"), "the header via shows a proxy"),
    (request(x_real_ip="127.0.0.1"), "the header x-real-ip shows a proxy"),
    (request(host="tv.example.org"), "the Host header is not a loopback name"),
    (request(host="127.0.0.1.evil.example"), "the Host header is not a loopback name"),
    (request(host="notlocalhost"), "the Host header is not a loopback name"),
    (request(host="localhost.evil.example:8080"), "the Host header is not a loopback name"),
    (request(host="evil@localhost"), "the Host header is not a loopback name"),
    (request(host="localhost/evil"), "the Host header is not a loopback name"),
    (request(host="192.168.1.5:8080"), "the Host header is not a loopback name"),
    (request(host="localhost:x"), "the Host header is not a loopback name"),
    (request(host=""), "the Host header is not a loopback name"),
    (request(origin="null"), "the Origin header is not this server's"),
    (request(origin=""), "the Origin header is not this server's"),
    (request(origin="http://evil.example"), "the Origin header is not this server's"),
    (request(origin="http://127.0.0.1:3000"), "the Origin header is not this server's"),
    (request(origin="http://localhost:8080"), "the Origin header is not this server's"),
    (request(origin="https://127.0.0.1:8080"), "the Origin header is not this server's"),
    (request(origin="http://127.0.0.1:8080@evil.example"), "the Origin header is not this server's"),
    (request(origin="http://127.0.0.1:8080, http://evil.example"), "the Origin header is not this server's"),
    (request(sec_fetch_site="cross-site"), "the Sec-Fetch-Site header"),
    (request(sec_fetch_site="same-site"), "the Sec-Fetch-Site header"),
    (request(body=b"{}"), "the Content-Type of the body"),
    (request(body=b"{}", content_type="text/plain"), "the Content-Type of the body"),
    (request(body=b"a=b", content_type="application/x-www-form-urlencoded"), "the Content-Type of the body"),
    (request(body=b"{}", content_type="text/plain; application/json"), "the Content-Type of the body"),
    (request(content_type="multipart/form-data; boundary=x"), "the Content-Type of the body"),
    (request(content_length="5"), "the Content-Type of the body"),
    (request(transfer_encoding="chunked"), "the Content-Type of the body"),
    (request(content_type="audio/x-mpegurl", body=b"#EXTM3U"), "the Content-Type of the body"),
]


@pytest.mark.parametrize(("made", "reason"), FOREIGN)
def test_without_a_token_everyone_else_is_told_the_setting(made: Request, reason: str) -> None:
    with pytest.raises(RequestError) as caught:
        Access(None).require_admin(made)
    assert (caught.value.status, caught.value.code) == (403, "forbidden")
    assert caught.value.message.startswith("auth.admin_token is not set")
    assert reason in caught.value.message


@pytest.mark.parametrize("content_type", ["", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded"])
def test_an_uploaded_file_is_never_what_a_foreign_page_can_send(content_type: str) -> None:
    uploads = frozenset({"audio/x-mpegurl"})
    Access(None).require_admin(request(content_type="Audio/X-MPEGURL; charset=utf-8", content_length="5"), uploads)
    Access(None).require_admin(request(content_type="application/json", content_length="5"), uploads)
    headers = {"content_type": content_type} if content_type else {}
    with pytest.raises(RequestError, match="application/json or audio/x-mpegurl"):
        Access(None).require_admin(request(content_length="5", **headers), uploads)


@pytest.mark.parametrize("made", [made for made, _ in FOREIGN])
def test_with_the_token_everyone_may(made: Request) -> None:
    made.headers["authorization"] = f"Bearer {TOKEN}"
    assert outcome(Access(TOKEN), made) == 200
    assert Access(TOKEN).is_admin(made)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        TOKEN,
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        "Bearer \udc80é",
    ],
)
def test_with_a_token_configured_nobody_may_without_it(header: str | None) -> None:
    """Not even the local person."""
    made = request() if header is None else request(authorization=header)
    with pytest.raises(RequestError) as caught:
        Access(TOKEN).require_admin(made)
    assert (caught.value.status, caught.value.code) == (401, "unauthorized")
    assert dict(caught.value.headers)["WWW-Authenticate"].startswith("Bearer")
    assert TOKEN not in caught.value.message
    assert not Access(TOKEN).is_admin(made)


@pytest.mark.parametrize("header", [f"bearer {TOKEN}", f"BEARER  {TOKEN} "])
def test_the_scheme_is_any_case(header: str) -> None:
    assert outcome(Access(TOKEN), request(authorization=header)) == 200


@pytest.mark.parametrize("token", [None, ""])
@pytest.mark.parametrize("header", ["Bearer ", "Bearer None", "Bearer x"])
def test_no_token_is_no_admin(token: str | None, header: str) -> None:
    assert not Access(token).is_admin(request(authorization=header))
    assert outcome(Access(token), request(authorization=header, peer="10.0.0.1")) == 403
