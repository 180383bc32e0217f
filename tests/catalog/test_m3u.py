"""Lists as providers send them: nothing of an entry is lost, a bad line costs its own entry only."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.catalog.m3u import (
    DIRECTIVES_MAX,
    LINE_MAX,
    Entry,
    NotAListError,
    Parser,
    for_viewers,
    read_entry,
    source_url,
    write_entry,
    write_header,
)
from fastrelay.wire.source_url import parse_source_url
from tests.media import media

LIST = """\
#EXTM3U url-tvg="http://epg.example/a.xml.gz,http://epg.example/b.xml" x-tvg-url="http://c.example/" refresh="60"
#EXTINF:-1 tvg-id="news.de" tvg-chno="7" x-own="kept" group-title="News, world",News "24", live
#EXTVLCOPT:http-user-agent=Box/1.0 (tv)
#KODIPROP:inputstream.adaptive.license_type=clearkey
http://provider.example/news.ts|Referer=http://provider.example/
#EXTINF:-1 radio=true tvg-logo='http://l.example/x.png',Radio, with commas, and = signs
#EXTGRP:Radio
radio/1.mp3
#EXTINF:0,
udp://@239.1.1.1:5000
"""


def parse(data: bytes | str, base: str | None = None) -> tuple[list[Entry], Parser]:
    parser = Parser(base)
    raw = data.encode() if isinstance(data, str) else data
    return parser.feed(raw) + parser.finish(), parser


def reasons(data: bytes | str) -> list[tuple[int, str]]:
    parser = parse(data)[1]
    assert parser.rejected == len(parser.rejections)
    return [(each.line, each.reason) for each in parser.rejections]


def test_everything_of_an_entry_is_kept() -> None:
    (news, radio, nameless), parser = parse(LIST, "http://provider.example/lists/all.m3u?user=me")
    assert parser.header == [
        ("url-tvg", "http://epg.example/a.xml.gz,http://epg.example/b.xml"),
        ("x-tvg-url", "http://c.example/"),
        ("refresh", "60"),
    ]
    assert (news.line, news.name, news.group) == (2, 'News "24", live', "News, world")
    assert news.attributes == (
        ("tvg-id", "news.de"), ("tvg-chno", "7"), ("x-own", "kept"), ("group-title", "News, world"),
    )  # fmt: skip
    assert news.directives == (
        "#EXTVLCOPT:http-user-agent=Box/1.0 (tv)",
        "#KODIPROP:inputstream.adaptive.license_type=clearkey",
    )
    assert (radio.name, radio.group) == ("Radio, with commas, and = signs", "Radio")
    assert radio.attributes == (("radio", "true"), ("tvg-logo", "http://l.example/x.png"))
    assert radio.url == "http://provider.example/lists/radio/1.mp3"
    assert (nameless.name, nameless.url) == ("@239.1.1.1:5000", "udp://@239.1.1.1:5000")
    assert parser.rejected == 0


@given(cuts=st.lists(st.integers(0, len(LIST.encode())), max_size=20))
@settings(max_examples=60, deadline=None)
def test_pieces_do_not_matter(cuts: list[int]) -> None:
    raw = LIST.encode()
    parser, entries = Parser(), []
    at = 0
    for cut in [*sorted(cuts), len(raw)]:
        entries += parser.feed(raw[at:cut])
        at = cut
    assert entries + parser.finish() == parse(LIST)[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: b"\xef\xbb\xbf" + raw,
        lambda raw: raw.replace(b"\n", b"\r\n"),
        lambda raw: raw.replace(b"\n", b"\n\n# a comment\n  \n").replace(b"#EXTM3U", b"#extm3u"),
        lambda raw: raw.rstrip(b"\n"),
    ],
    ids=["byte order mark", "CRLF", "blank lines and comments", "no last line end"],
)
def test_the_same_list_in_another_dress(change: object) -> None:
    assert callable(change)
    plain = [(e.name, e.url, e.attributes, e.directives) for e in parse(LIST)[0]]
    assert [(e.name, e.url, e.attributes, e.directives) for e in parse(change(LIST.encode()))[0]] == plain


def test_each_line_has_its_own_encoding() -> None:
    entries, _ = parse(
        "#EXTM3U\n#EXTINF:-1,Müller Ⓢ\nhttp://a/1\n".encode() + "#EXTINF:-1,Köln\nhttp://a/2\n".encode("latin-1")
    )
    assert [entry.name for entry in entries] == ["Müller Ⓢ", "Köln"]


@pytest.mark.parametrize(
    ("text", "attributes", "name"),
    [
        ('a="x" b="y z",N', (("a", "x"), ("b", "y z")), "N"),
        ('a="The "Best" Show" b="y",N', (("a", 'The "Best" Show'), ("b", "y")), "N"),
        ('a="x, y" ,N "q", r', (("a", "x, y"),), 'N "q", r'),
        ("a=1 b=2,N", (("a", "1"), ("b", "2")), "N"),
        ('a="" b="y",N', (("a", ""), ("b", "y")), "N"),
        ('a="x"b="y",N', (("a", "x"), ("b", "y")), "N"),
        ('a="x" a="y" flag,N', (("a", "x"), ("a", "y"), ("flag", "")), "N"),
        ('a="http://h/?x=1&y=2",N', (("a", "http://h/?x=1&y=2"),), "N"),
        ('a = "x",N', (("a", "x"),), "N"),
        ('tvg-name="T"', (("tvg-name", "T"),), "T"),
        ('a="never closed,N', (("closed", ""),), "N"),
    ],
)
def test_attributes(text: str, attributes: tuple[tuple[str, str], ...], name: str) -> None:
    (entry,), _ = parse(f"#EXTM3U\n#EXTINF:-1 {text}\nhttp://a/last\n")
    assert (entry.attributes, entry.name) == (attributes, name)
    again = read_entry(write_entry(entry), entry.url)
    assert (again.attributes, again.name) == (attributes, name)


def test_bad_lines_cost_their_own_entry_only() -> None:
    text = (
        "#EXTM3U\n"
        "#EXTINF:-1,without a URL\n"  # 2
        "#EXTINF:-1,good\n"
        "http://a/1\n"
        "what is this\n"  # 5
        "#EXTINF without a colon\n"  # 6
        "http://a/2\n"
        f"#EXTINF:-1,{'x' * LINE_MAX}\n"  # 8
        "http://a/3\n"
        "http://a/plain.ts\n"
        "#EXTINF:-1,long\n"  # 11
        f"http://a/{'x' * 9000}\n"
        "#EXTINF:-1,at the end\n"  # 13
    )
    entries, _ = parse(text)
    assert [(entry.name, entry.url) for entry in entries] == [("good", "http://a/1"), ("plain.ts", "http://a/plain.ts")]
    assert [line for line, _ in reasons(text)] == [2, 5, 6, 8, 12, 13]


@pytest.mark.parametrize("piece", ['a="b ', "x=/live/a/b/", "#", "a=&", "a "])
def test_no_line_takes_out_of_proportion(piece: str) -> None:
    """Against an ordinary line as long as this one. What is quadratic would take hundreds of times as long."""

    def seconds(text: str) -> float:
        lines = text * (240_000 // len(text))
        started = time.perf_counter()
        for entry in parse(f'#EXTM3U {lines}\n#EXTM3U {lines}\n#EXTINF:-1 {lines}" c="http://{lines}",N\nhttp://a/1\n')[
            0
        ]:
            for_viewers(entry)
        return time.perf_counter() - started

    assert seconds(piece) < 30 * seconds('a="b" ')


def test_a_line_without_end_is_not_kept() -> None:
    parser = Parser()
    parser.feed(b"#EXTM3U\n#EXTINF:-1,")
    for _ in range(100):
        parser.feed(b"x" * LINE_MAX)
        assert len(parser._rest) <= LINE_MAX
    assert [entry.url for entry in parser.feed(b"\nhttp://a/1\nhttp://a/2\n")] == ["http://a/2"]
    assert [rejection.line for rejection in parser.rejections] == [2]


def test_rejections_are_all_counted_and_the_first_ones_kept() -> None:
    parser = parse("#EXTM3U\n" + "rubbish\n" * 1000)[1]
    assert (parser.rejected, len(parser.rejections)) == (1000, 100)


@pytest.mark.parametrize(
    "text",
    [
        "", "\n\n", "<html><body>expired</body></html>", '{"error": "login"}', "\x00\x01\x02",
        "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\na.ts\n",
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n",
    ],
)  # fmt: skip
def test_what_is_no_list(text: str) -> None:
    with pytest.raises(NotAListError):
        parse(text)


def test_a_plain_list_of_urls_is_one() -> None:
    entries, _ = parse("http://a/one.ts\nhttp://a/two%20too.ts?user=x\n")
    assert [entry.name for entry in entries] == ["one.ts", "two too.ts"]


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        ("b.ts", "http://h/dir/b.ts"),
        ("/b.ts|User-Agent=x", "http://h/b.ts|User-Agent=x"),
        ("//other/b.ts", "http://other/b.ts"),
        ("rtmp://x/y", "rtmp://x/y"),
        ("[NO PUBLIC STREAM]", "[NO PUBLIC STREAM]"),
    ],
)
def test_relative_urls(url: str, resolved: str) -> None:
    (entry,), _ = parse(f"#EXTM3U\n#EXTINF:-1,N\n{url}\n", "http://h/dir/list.m3u")
    assert entry.url == resolved


def test_a_group_heading_holds_until_the_next() -> None:
    entries, _ = parse(
        "#EXTM3U\n#EXTGRP:A\n#EXTINF:-1,1\nhttp://a/1\n#EXTINF:-1,2\n#EXTGRP:Own\nhttp://a/2\n"
        "#EXTINF:-1,3\nhttp://a/3\n#EXTGRP:B\n#EXTINF:-1,4\nhttp://a/4\n"
    )
    assert [entry.group for entry in entries] == ["A", "Own", "A", "B"]


def test_an_entry_with_as_many_lines_as_may_be_keeps_them_all_below_a_heading() -> None:
    lines = [f"#EXTVLCOPT:option-{n}" for n in range(DIRECTIVES_MAX)]
    (entry,), parser = parse("\n".join(("#EXTM3U", "#EXTGRP:A", "#EXTINF:-1,1", *lines, "http://a/1")))
    assert parser.rejected == 0
    assert entry.directives == ("#EXTGRP:A", *lines)
    again = read_entry(write_entry(entry), entry.url)
    assert (again.group, again.directives) == ("A", entry.directives)


def test_options_for_players_become_request_headers() -> None:
    news = parse(LIST)[0][0]
    assert source_url(news) == (
        "http://provider.example/news.ts|Referer=http://provider.example/&User-Agent=Box/1.0 (tv)"
    )
    kodi = "#KODIPROP:inputstream.adaptive.stream_headers=User-Agent=Box%20%26%20Co&Host=x&Cookie=a%3Db"
    both = Entry(1, "N", "http://a/", directives=("#EXTVLCOPT:http-referrer=http://b/", kodi))
    assert parse_source_url(source_url(both)).headers == (
        ("Referer", "http://b/"), ("User-Agent", "Box & Co"), ("Cookie", "a=b"),
    )  # fmt: skip
    own = Entry(1, "N", "http://a/|user-agent=Mine", directives=("#EXTVLCOPT:http-user-agent=Other",))
    assert source_url(own) == "http://a/|user-agent=Mine"


def test_viewers_do_not_get_the_providers_credentials() -> None:
    secret = (
        ("catchup-source", "http://p/live/me/pass/1.ts"),
        ("catchup-source", "?utc={utc}&username=me&password=pass"),
        ("x", "http://me:pass@h/"),
    )
    kept = (
        ("tvg-logo", "http://l/x.png?token=abc"),
        ("tvg-id", "a"),
        ("y", "http://h/plain"),
        ("catchup-source", "?utc={utc}&lutc={lutc}"),
    )
    directives = (
        "#KODIPROP:inputstream.adaptive.license_key=00:11",
        "#EXTVLCOPT:http-user-agent=Box with cookies",
        "#EXTVLCOPT:http-referrer=http://u:p@h/",
        "#KODIPROP:inputstream.adaptive.stream_headers=Authorization=Bearer%20x",
        '#EXTHTTP:{"cookie": "a=b"}',
        "#EXTVLCOPT:http-cookie=sid=abc",
        "#EXTVLCOPT:sftp-pwd=abc",
    )
    shown = for_viewers(Entry(1, "N", "http://a/", attributes=(*secret, *kept), directives=directives))
    assert (shown.attributes, shown.directives) == (kept, directives[:2])


@pytest.mark.parametrize(
    ("attributes", "name"), [(b"a=b " * 60_000, b"N"), (b"", b"\xe9" * 200_000), (b"a " * 100_000, b"N")]
)
def test_an_entry_that_is_longer_when_written_can_be_read(attributes: bytes, name: bytes) -> None:
    (entry,), _ = parse(b"#EXTM3U\n#EXTINF:-1 " + attributes + b"," + name + b"\nhttp://a/1\n")
    assert len(write_entry(entry).encode()) > LINE_MAX
    again = read_entry(write_entry(entry), entry.url)
    assert (again.name, again.attributes, again.url) == (entry.name, entry.attributes, entry.url)


def test_the_real_list_survives_being_written() -> None:
    entries, parser = parse(Path(media("iptv/free-tv.m3u8")).read_bytes())
    assert (len(entries), parser.rejected) == (2059, 0)
    text = write_header(parser.header) + "".join(f"{write_entry(entry)}{entry.url}{os.linesep}" for entry in entries)
    again, second = parse(text)
    assert second.header == parser.header
    assert again == entries
