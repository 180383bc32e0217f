"""Who may watch, with a token, a signature, both or none configured; and what lists carry on."""

from typing import Any

import pytest

from fastrelay.endpoints.auth import Access
from fastrelay.endpoints.viewers import ViewerAccess, carried
from fastrelay.errors import RequestError
from fastrelay.wire.request import Request
from fastrelay.wire.signing import is_signed, signed_query

NOW = 1000.0


def access(token: str | None = None, key: str | None = None, admin: str | None = None) -> ViewerAccess:
    return ViewerAccess(token, key, Access(admin), lambda: NOW)


def asking(path: str, query: str = "", **headers: str) -> Request:
    pairs: Any = dict(pair.split("=") for pair in query.split("&") if pair)
    return Request("GET", path, path, pairs, headers, ("10.0.0.1", 1), ("10.0.0.2", 2))


def refusal(rule: ViewerAccess, request: Request) -> int:
    with pytest.raises(RequestError) as caught:
        rule.require(request)
    return caught.value.status


def test_open_to_all_where_nothing_is_configured() -> None:
    access().require(asking("/stream/a"))
    access(admin="x").require(asking("/stream/a"))


def test_the_token() -> None:
    rule = access(token="tok", admin="boss")
    rule.require(asking("/stream/a", "token=tok"))
    rule.require(asking("/stream/a", authorization="Bearer boss"))
    for query in ("", "token=", "token=to", "token=tok2", "token=ü"):
        assert refusal(rule, asking("/stream/a", query)) == 401
    assert refusal(rule, asking("/stream/a", signed_query("tok", "/stream/a", 2000))) == 403


def test_a_key_alone_closes_the_streams_too() -> None:
    rule = access(key="key")
    rule.require(asking("/stream/a/hls", signed_query("key", "/stream/a", 1001)))
    assert refusal(rule, asking("/stream/a")) == 401
    assert refusal(rule, asking("/stream/a", signed_query("key", "/stream/a", 1000))) == 403
    assert refusal(rule, asking("/stream/b", signed_query("key", "/stream/a", 1001))) == 403


def test_what_is_carried_on() -> None:
    assert carried(asking("/x", "type=ts&token=a%20b")) == "token=a%2520b"
    rule = access(token="tok", key="key")
    assert rule.query_below(asking("/playlist.m3u", "token=tok"), "/stream") == "token=tok"
    assert rule.query_below(asking("/playlist.m3u"), "/stream") == ""
    below = rule.query_below(asking("/playlist.m3u", signed_query("key", "/playlist.m3u", 1500)), "/stream")
    expires, signature = (pair.partition("=")[2] for pair in below.split("&"))
    assert expires == "1500"
    assert is_signed("key", "/stream/a", expires, signature, NOW)
    forged = asking("/playlist.m3u", "token=tok&expires=9999&signature=forged")
    assert not is_signed(
        "key", "/stream/a", "9999", rule.query_below(forged, "/stream").partition("signature=")[2], NOW
    )


def test_the_administrators_list_is_one_that_players_can_use() -> None:
    asked = asking("/playlist.m3u", authorization="Bearer boss")
    assert access(token="tök", admin="boss").query_below(asked, "/stream") == "token=t%C3%B6k"
    assert access(key="key", admin="boss").query_below(asked, "/stream") == ""
    assert access(admin="boss").query_below(asked, "/stream") == ""
    foreign = asking("/playlist.m3u", authorization="Bearer bos")
    assert access(token="tok", admin="boss").query_below(foreign, "/stream") == ""
