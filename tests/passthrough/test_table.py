"""Names can be asked for while they are listed, and a grace after."""

from fastrelay.hls.names import Mention, Role
from fastrelay.hls.rewrite import Rewriter, Rewritten
from fastrelay.passthrough.table import Table


def version(*lines: str) -> Rewritten:
    """A playlist whose names are its URIs."""
    text = "\n".join(("#EXTM3U", "#EXT-X-TARGETDURATION:1", *lines))
    rewriter = Rewriter(text, "http://h/", lambda one: one.url.removeprefix("http://h/"), lambda first: None, {})
    while rewriter.step(10):
        pass
    return rewriter.result()


def test_what_has_left_expires_after_the_grace() -> None:
    table = Table()
    table.publish("list", version("a", "b"), now=0.0, grace=5.0)
    table.publish("list", version("b", "c"), now=10.0, grace=5.0)
    assert table.find("a", 14.9) is not None
    assert table.find("a", 15.0) is None
    found = table.find("b", 1000.0)
    assert found is not None
    assert found.mention == Mention("http://h/b", Role.SEGMENT, 0)
    assert [entry.name for entry in table.expire(15.0)] == ["a"]
    assert len(table) == 2
    assert table.find("nothing", 0.0) is None


def test_it_stays_as_long_as_one_playlist_lists_it() -> None:
    table = Table()
    for owner in ("one", "two"):
        table.publish(owner, version("a"), now=0.0, grace=5.0)
    table.withdraw("one", 0.0, 0.0)
    assert table.find("a", 100.0) is not None
    table.withdraw("two", 100.0, 5.0)
    assert table.find("a", 104.0) is not None
    assert table.expire(104.0) == []
    assert [entry.name for entry in table.expire(105.0)] == ["a"]


def test_what_comes_back_does_not_expire() -> None:
    table = Table()
    table.publish("list", version("a"), now=0.0, grace=5.0)
    table.publish("list", version("b"), now=1.0, grace=5.0)
    table.publish("list", version("a"), now=2.0, grace=5.0)
    assert [entry.name for entry in table.expire(100.0)] == ["b"]
    assert table.find("a", 100.0) is not None


def test_what_is_in_use_stays() -> None:
    table = Table()
    table.publish("list", version("a"), now=0.0, grace=5.0)
    entry = table.find("a", 0.0)
    assert entry is not None
    table.withdraw("list", 0.0, 5.0)
    table.stay(entry, 30.0)
    assert table.expire(29.0) == []
    assert table.find("a", 29.0) is entry
    assert table.expire(30.0) == [entry]


def test_ranges_of_the_version_before_can_still_be_asked_for() -> None:
    table = Table()
    spans = [["#EXT-X-BYTERANGE:10@0", "a"], ["#EXT-X-BYTERANGE:10@10", "a"], ["#EXT-X-BYTERANGE:10@20", "a"]]
    for at, lines in enumerate(spans):
        table.publish("list", version(*lines), now=float(at), grace=5.0)
    entry = table.find("a", 3.0)
    assert entry is not None
    assert {(10, 10), (20, 10)} <= entry.spans
