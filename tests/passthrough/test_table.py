"""Names can be asked for while they are listed, and a grace after."""

from math import inf
from time import perf_counter

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
    assert table.expire(15.0, ["a", "b", "c"]) == ["a"]
    assert table.find("a", 0.0) is None, "forgotten"
    assert table.find("nothing", 0.0) is None


def test_it_stays_as_long_as_one_playlist_lists_it() -> None:
    table = Table()
    for owner in ("one", "two"):
        table.publish(owner, version("a"), now=0.0, grace=5.0)
    table.withdraw("one", 0.0, 0.0)
    assert table.find("a", 100.0) is not None
    table.withdraw("two", 100.0, 5.0)
    assert table.find("a", 104.0) is not None
    assert table.expire(104.0, ["a"]) == []
    assert table.expire(105.0, ["a"]) == ["a"]


def test_what_comes_back_does_not_expire() -> None:
    table = Table()
    table.publish("list", version("a"), now=0.0, grace=5.0)
    table.publish("list", version("b"), now=1.0, grace=5.0)
    table.publish("list", version("a"), now=2.0, grace=5.0)
    assert table.expire(100.0, ["a", "b"]) == ["b"]
    assert table.find("a", 100.0) is not None


def test_what_is_in_use_stays() -> None:
    table = Table()
    table.publish("list", version("a"), now=0.0, grace=5.0)
    entry = table.find("a", 0.0)
    assert entry is not None
    table.withdraw("list", 0.0, 5.0)
    table.stay(entry, 30.0)
    assert table.expire(29.0, ["a"]) == []
    assert table.find("a", 29.0) == entry
    assert table.expire(30.0, ["a"]) == ["a"]


def test_ranges_of_the_version_before_can_still_be_asked_for() -> None:
    table = Table()
    spans = [["#EXT-X-BYTERANGE:10@0", "a"], ["#EXT-X-BYTERANGE:10@10", "a"], ["#EXT-X-BYTERANGE:10@20", "a"]]
    for at, lines in enumerate(spans):
        table.publish("list", version(*lines), now=float(at), grace=5.0)
    entry = table.find("a", 3.0)
    assert entry is not None
    assert {(10, 10), (20, 10)} <= entry.spans


def test_a_list_that_changes_all_the_time_forgets_no_sooner_and_not_much_later() -> None:
    table = Table()
    for at in range(100):
        table.publish("list", version(f"s{at}", f"s{at + 1}"), now=at / 10, grace=5.0)
    assert table.find("s0", 5.09) is not None
    names = [f"s{at}" for at in range(101)]
    gone = table.expire(9.9, names)
    # Until 4.9 everything that had left by then has to stay; what left within a second of it may.
    assert "s39" in gone
    assert not {f"s{at}" for at in range(49, 101)} & set(gone)


def test_a_list_of_a_whole_day_costs_a_new_version_little_more_than_looking_at_each_name() -> None:
    versions = [version(*(f"s{at}" for at in range(first, first + 20_000))) for first in range(4)]
    table = Table()
    looking = publishing = inf
    for at, one in enumerate(versions):
        started = perf_counter()
        assert len([name for name in one.mentions if name not in versions[at - 1].mentions]) in (1, 3)
        looked = perf_counter()
        table.publish("list", one, now=float(at), grace=5.0)
        published = perf_counter()
        if at:
            looking, publishing = min(looking, looked - started), min(publishing, published - looked)
    assert publishing < 8 * looking
