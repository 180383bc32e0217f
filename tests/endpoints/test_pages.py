"""The pages as a browser gets them, from the package."""

import gzip
import re

import pytest

from fastrelay import web
from fastrelay.endpoints.pages import Pages
from fastrelay.errors import RequestError
from fastrelay.wire.request import Request
from fastrelay.wire.response import Response


def request(path: str, query: dict[str, str] | None = None, headers: dict[str, str] | None = None) -> Request:
    peer = ("127.0.0.1", 1)
    name = path.rpartition("/")[2]
    return Request("GET", path, path, query or {}, headers or {}, peer, peer, params={"name": name, "id": name})


def header(response: Response, name: str) -> str | None:
    return dict(response.headers).get(name)


async def test_a_page_runs_nothing_but_our_files_and_cannot_be_framed() -> None:
    page = await Pages().dashboard(request("/"))
    assert (page.status, page.content_type) == (200, "text/html; charset=utf-8")
    policy = header(page, "Content-Security-Policy") or ""
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "connect-src 'self';" in policy
    assert policy.endswith("frame-ancestors 'none'")
    assert "unsafe" not in policy
    assert header(page, "Referrer-Policy") == "no-referrer"
    assert not re.search(rb"<script(?! type=\"module\" src=)|<style|\sstyle=|\son\w+=|https?://", page.body)


async def test_only_the_embedded_player_may_be_framed() -> None:
    pages = Pages()
    alone = await pages.player(request("/watch/demo"))
    framed = await pages.player(request("/watch/demo", {"embed": ""}))
    assert (header(alone, "Content-Security-Policy") or "").endswith("frame-ancestors 'none'")
    assert (header(framed, "Content-Security-Policy") or "").endswith("frame-ancestors *")
    assert alone.body == framed.body


async def test_a_file_is_compressed_where_asked_and_sent_once() -> None:
    pages = Pages()
    plain = await pages.file(request("/web/dashboard.js"))
    packed = await pages.file(request("/web/dashboard.js", headers={"accept-encoding": "br, gzip"}))
    assert gzip.decompress(packed.body) == plain.body
    assert header(packed, "Content-Encoding") == "gzip"
    assert header(plain, "Vary") == "Accept-Encoding"
    etag = header(plain, "ETag")
    assert etag
    again = await pages.file(request("/web/dashboard.js", headers={"if-none-match": etag}))
    assert (again.status, again.body, header(again, "ETag")) == (304, b"", etag)
    assert plain is await pages.file(request("/web/dashboard.js"))


@pytest.mark.parametrize("name", ["package.json", "__init__.py", "nothing.js", ".js", "..", "%2e%2e/app.py", "js"])
async def test_what_is_no_file_of_the_pages_is_not_found(name: str) -> None:
    asked = request("/web/x")
    asked.params["name"] = name
    with pytest.raises(RequestError) as caught:
        await Pages().file(asked)
    assert (caught.value.status, caught.value.code) == (404, "not_found")
    with pytest.raises(RequestError):
        await Pages().vendor_file(asked)


async def test_what_was_not_installed_defines_nothing_and_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser's console would show a 404; the pages say themselves what is missing."""
    monkeypatch.setattr(web, "read", lambda name: None)
    for name, kind in (("hls.js", "text/javascript"), ("uplot.css", "text/css")):
        missing = await Pages().vendor_file(request(f"/web/vendor/{name}"))
        assert (missing.status, missing.body) == (200, b"/* not installed */\n")
        assert missing.content_type.startswith(kind)
        with pytest.raises(RequestError):
            await Pages().file(request(f"/web/{name}"))


async def test_a_name_cannot_climb_out_of_the_folder() -> None:
    asked = request("/web/x")
    for name in ("../pages.py", "../../app.py", "../style.css", "vendor/../style.css", "/etc/x.css"):
        asked.params["name"] = name
        with pytest.raises(RequestError):
            await Pages().vendor_file(asked)
