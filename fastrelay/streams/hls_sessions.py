"""Who watches HLS. Nobody of them stays connected: each is known by a key, and there as long as he asks for more."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeVar

Key = TypeVar("Key")

ASKED_ONCE = 64
"""Sessions of one address that have asked only once. A player asks again within moments; when it does so later and has
had to give way to others, it is taken in anew. So nobody makes viewers by asking for master playlists in a loop."""

CROWD = 10_000
"""Sessions of one address, of one stream. Those above are counted as one: a proxy with a crowd behind it, or somebody
who makes up sessions and plays each of them for a moment."""


class Session:
    """One HLS viewer: known by the key its master playlist gave it, there as long as it asks for something.

    `came`: he has asked for the stream, and is not a player that still asks on after his session was over.
    `now` is the loop's time.
    """

    __slots__ = (
        "address", "asked_again", "came", "id", "key", "last_request", "over", "sent", "since", "user_agent", "waiting",
    )  # fmt: skip

    def __init__(self, viewer_id: int, key: str, address: str, user_agent: str, now: float, *, came: bool) -> None:
        self.id = viewer_id
        self.key = key
        self.address = address
        self.user_agent = user_agent
        self.came = came
        self.since = time.time()
        self.last_request = now
        """Loop time."""
        self.asked_again = False
        self.over = False
        """He is gone; if he asks again he is a new viewer."""
        self.waiting = 0
        """Requests that are still to be answered: who waits has not left."""
        self.sent = 0
        """Bytes of playlists and segments answered to it."""

    @property
    def who(self) -> tuple[str, str]:
        """As what requests show him: address and user agent."""
        return self.address, self.user_agent

    def asks(self, now: float) -> None:
        """He has asked for one thing more."""
        self.last_request = now
        self.asked_again = True


class Sessions:
    """All sessions of one stream. `gone(session)` is called for one that had to give way."""

    def __init__(self, gone: Callable[[Session], None]) -> None:
        self._gone = gone
        self._by_key: dict[str, Session] = {}
        self._by_who: dict[tuple[str, str], dict[Session, None]] = {}
        """By address and user agent, the newest last."""
        self._of_address: Counter[str] = Counter()
        self._unproven: dict[str, dict[Session, None]] = {}
        """By address: those not yet seen to have asked again, the newest last."""

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._by_key.values())

    def find(self, key: str, address: str) -> Session | None:
        """The session of that key; of a newcomer, where his address has a crowd already, the one for all of them."""
        return self._by_key.get(key) or self._by_key.get(self.key_for(key, address))

    def key_for(self, key: str, address: str) -> str:
        """The key under which a newcomer enters."""
        return key if self._of_address[address] < CROWD else address

    def newest(self, address: str, user_agent: str) -> Session | None:
        """Whose request it is that does not say so: of the newest one from there who plays with that."""
        found = self._by_who.get((address, user_agent))
        return next(reversed(found)) if found else None

    def enter(self, session: Session) -> None:
        """A new viewer."""
        self._by_key[session.key] = session
        self._by_who.setdefault(session.who, {})[session] = None
        self._of_address[session.address] += 1
        unproven = self._unproven.setdefault(session.address, {})
        unproven[session] = None
        if len(unproven) > ASKED_ONCE:
            oldest = next(iter(unproven))
            del unproven[oldest]
            if not (oldest.asked_again or oldest.waiting):
                self.leave(oldest)
                self._gone(oldest)

    def leave(self, session: Session) -> bool:
        """The viewer is gone; False when he already was."""
        if self._by_key.get(session.key) is not session:
            return False
        del self._by_key[session.key]
        session.over = True
        _drop(self._by_who, session.who, session)
        _drop(self._unproven, session.address, session)
        self._of_address[session.address] -= 1
        if not self._of_address[session.address]:
            del self._of_address[session.address]
        return True

    def silent_since(self, moment: float) -> list[Session]:
        """Those who wait for nothing and have asked for nothing after this loop time."""
        return [one for one in self._by_key.values() if not one.waiting and one.last_request <= moment]

    def clear(self) -> None:
        self._by_key.clear()
        self._by_who.clear()
        self._of_address.clear()
        self._unproven.clear()


def _drop(groups: dict[Key, dict[Session, None]], key: Key, session: Session) -> None:
    group = groups.get(key)
    if group is not None:
        group.pop(session, None)
        if not group:
            del groups[key]
