"""What is kept, and what goes when memory is short."""

from dataclasses import dataclass

from fastrelay.passthrough.cache import Cache


@dataclass
class Item:
    size: int
    busy: bool = False


def test_what_was_used_longest_ago_goes_first() -> None:
    cache: Cache[Item] = Cache(channel_max=30, all_max=100)
    shelf = cache.shelf()
    for name in "abc":
        shelf.put(name, Item(10))
    assert shelf.get("a") is not None
    shelf.put("d", Item(10))
    assert list(shelf.items) == ["c", "a", "d"]
    assert (shelf.size, cache.size) == (30, 30)


def test_the_bound_of_all_takes_from_whoever_used_it_longest_ago() -> None:
    cache: Cache[Item] = Cache(channel_max=30, all_max=40)
    one, two = cache.shelf(), cache.shelf()
    one.put("a", Item(20))
    two.put("b", Item(20))
    one.put("c", Item(10))
    assert (list(one.items), list(two.items)) == (["c"], ["b"])
    assert cache.size == 30


def test_what_is_coming_in_counts_and_stays() -> None:
    cache: Cache[Item] = Cache(channel_max=30, all_max=40)
    shelf = cache.shelf()
    shelf.put("a", Item(20))
    coming = Item(0, busy=True)
    shelf.put("b", coming)
    coming.size = 50
    shelf.grown(50)
    assert list(shelf.items) == ["b"]
    assert cache.size == 50
    # Complete, and larger than all that may be kept: whoever reads it has it, nobody else.
    coming.busy = False
    shelf.grown(0)
    assert (list(shelf.items), cache.size) == ([], 0)


def test_another_of_the_same_name_takes_its_place() -> None:
    cache: Cache[Item] = Cache(channel_max=30, all_max=40)
    shelf = cache.shelf()
    first, second = Item(10), Item(20)
    shelf.put("a", first)
    shelf.put("a", second)
    assert (shelf.size, shelf.holds("a", second), shelf.holds("a", first)) == (20, True, False)
    shelf.close()
    assert (cache.size, cache.shelves) == (0, set())
