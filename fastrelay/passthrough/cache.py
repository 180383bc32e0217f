"""What of the passed-through resources is kept in memory: the ones used last, within a bound per channel and one for
all. Pure."""

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, Protocol, TypeVar


class Kept(Protocol):
    """Something that takes memory."""

    size: int
    """Bytes; it may grow."""

    @property
    def busy(self) -> bool:
        """It is still coming in, and cannot be given up."""


Item = TypeVar("Item", bound=Kept)


class Shelf(Generic[Item]):
    """The resources of one channel, the one used last at the end. Who reads one keeps it alive by himself."""

    def __init__(self, cache: "Cache[Item]") -> None:
        self._cache = cache
        self.items: OrderedDict[Hashable, tuple[int, Item]] = OrderedDict()
        """With the number of the use."""
        self.size = 0

    def get(self, key: Hashable) -> Item | None:
        """What is kept there; counts as a use."""
        found = self.items.get(key)
        if found is None:
            return None
        self.items[key] = (self._cache.next_use(), found[1])
        self.items.move_to_end(key)
        return found[1]

    def put(self, key: Hashable, item: Item) -> None:
        """Keep it from now on; an item of the same key goes."""
        self.drop(key)
        self._cache.shelves.add(self)
        self.items[key] = (self._cache.next_use(), item)
        self.grown(item.size)

    def grown(self, size: int) -> None:
        """An item that is kept has grown by `size` bytes: others go as far as the bounds ask for it."""
        self.size += size
        self._cache.size += size
        self._cache.fit(self)

    def drop(self, key: Hashable) -> None:
        """Keep it no more. Harmless where there is none."""
        found = self.items.pop(key, None)
        if found is not None:
            self.size -= found[1].size
            self._cache.size -= found[1].size

    def holds(self, key: Hashable, item: Item) -> bool:
        """Whether it is this one that is kept there."""
        found = self.items.get(key)
        return found is not None and found[1] is item

    def close(self) -> None:
        """Keep nothing."""
        for key in list(self.items):
            self.drop(key)
        self._cache.shelves.discard(self)

    def oldest(self) -> tuple[int, Hashable] | None:
        """The use and key of what was used longest ago of all that may go."""
        return next(self._idle(), None)

    def _idle(self) -> Iterator[tuple[int, Hashable]]:
        return ((use, key) for key, (use, item) in self.items.items() if not item.busy)


class Cache(Generic[Item]):
    """Bounds in bytes: for each channel, and for all together. What is coming in counts, but is never given up."""

    def __init__(self, channel_max: int, all_max: int) -> None:
        self._channel_max = channel_max
        self._all_max = all_max
        self._uses = 0
        self.shelves: set[Shelf[Item]] = set()
        self.size = 0

    def shelf(self) -> Shelf[Item]:
        """Room for one channel."""
        return Shelf(self)

    def next_use(self) -> int:
        self._uses += 1
        return self._uses

    def fit(self, shelf: Shelf[Item]) -> None:
        """Give up what was used longest ago, until the bounds hold."""
        while shelf.size > self._channel_max and (own := shelf.oldest()) is not None:
            shelf.drop(own[1])
        while self.size > self._all_max:
            aged = [(*oldest, other) for other in self.shelves if (oldest := other.oldest()) is not None]
            if not aged:
                return
            _, key, other = min(aged, key=lambda one: one[0])
            other.drop(key)
