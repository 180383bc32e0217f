"""Opaque names: unguessable, stable, and never the same for other bytes."""

import re

import pytest

from fastrelay.hls.names import Lives, Mention, Namer, Role

KEY = bytes(32)


def name(url: str, role: Role = Role.SEGMENT, *, key: bytes = KEY, scope: str = "1", life: str = "") -> str:
    return Namer(key, scope).name(Mention(url, role), life)


def test_a_name_is_the_same_thing_s_alone() -> None:
    mine = name("http://h/a.ts?x=1&y=2")
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}\.ts", mine)
    assert mine == name("http://h/a.ts?y=2&x=1") == name("http://h/a.ts?x=1&y=2#there")
    others = {
        name("http://h/b.ts?x=1&y=2"),
        name("http://h/a.ts?x=2&y=1"),
        name("http://h/a.ts?x=1&y=2", scope="2"),
        name("http://h/a.ts?x=1&y=2", key=bytes(31) + b"1"),
        name("http://h/a.ts?x=1&y=2", life="7"),
    }
    assert len({mine} | others) == 6


@pytest.mark.parametrize(
    ("url", "role", "extension"),
    [
        ("http://h/a.m4s?x=.ts", Role.SEGMENT, ".m4s"),
        ("http://h/A.AAC", Role.SEGMENT, ".aac"),
        ("http://h/sub.vtt", Role.SEGMENT, ".vtt"),
        ("http://h/segment", Role.SEGMENT, ".ts"),
        ("http://h/page.html", Role.SEGMENT, ".ts"),
        ("http://h/image.svg", Role.SEGMENT, ".ts"),
        ("http://h/init", Role.INIT, ".mp4"),
        ("http://h/key.php?r=52", Role.KEY, ".key"),
        ("http://h/list.php", Role.PLAYLIST, ".m3u8"),
        ("http://h/x.ts", Role.PLAYLIST, ".m3u8"),
        ("http://h/data", Role.DATA, ".json"),
    ],
)
def test_players_see_an_extension_they_know(url: str, role: Role, extension: str) -> None:
    assert name(url, role).rpartition(".")[2] == extension[1:]


class Following:
    """The lives of the segments in one version after the other."""

    def __init__(self) -> None:
        self.lives = Lives()

    def version(self, first: int, *urls: str) -> list[str]:
        self.lives.begin(first)
        return [self.lives.of(Mention(url, Role.SEGMENT, first + at)) for at, url in enumerate(urls)]


def test_a_segment_keeps_its_life_while_it_is_listed() -> None:
    following = Following()
    first = following.version(1, "a", "b", "c")
    assert len(set(first)) == 3
    assert following.version(2, "b", "c", "d")[:2] == first[1:]
    # An edge that lags behind lists what was gone.
    assert following.version(1, "a", "b", "c") == first


def test_a_reused_url_is_another_segment() -> None:
    following = Following()
    first = following.version(0, "0.ts", "1.ts", "2.ts")
    again = following.version(3, "0.ts", "1.ts", "2.ts")
    assert not set(first) & set(again)


def test_a_slate_that_is_repeated_is_one_resource() -> None:
    following = Following()
    first = following.version(5, "slate", "slate", "slate")
    assert len(set(first)) == 1
    assert following.version(6, "slate", "slate", "slate") == first


def test_after_a_restart_of_the_encoder_everything_is_new() -> None:
    following = Following()
    before = following.version(100, "0.ts", "1.ts")
    key = following.lives.of(Mention("key", Role.KEY))
    assert following.version(0, "0.ts", "1.ts") != before
    assert following.lives.of(Mention("key", Role.KEY)) != key
    assert following.lives.of(Mention("v", Role.PLAYLIST)) == ""
