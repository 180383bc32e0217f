"""How a peer reads what it was answered: whether it is worth waiting for. Pure."""

from fastrelay.server.limits import Limits


class Reading:
    """Of one connection. What a peer has not acknowledged lies in our memory or in the kernel's, which costs the same:
    so what the kernel took is not yet read."""

    __slots__ = ("_read", "_since", "_written", "owing")

    def __init__(self) -> None:
        self.owing = False
        """Something was written that the peer may not have yet."""
        self._written = 0
        self._read = 0
        """Bytes that the peer had when it last was found to keep up."""
        self._since: float | None = None

    def wrote(self, size: int) -> None:
        """So many bytes more are on their way to the peer."""
        self._written += size
        self.owing = True

    def is_too_slow(self, owed: int, now: float, limits: Limits) -> bool:
        """With `owed` bytes that the peer has not acknowledged at time `now`: has it read next to nothing for
        `write_timeout`? A byte now and then is next to nothing: whoever sends one keeps all the rest in our memory."""
        read = self._written - owed
        if self._since is None or read - self._read >= limits.least_read:
            self._read, self._since = read, now
        return now - self._since >= limits.write_timeout

    def done(self) -> None:
        """Nothing is owed."""
        self.owing = False
        self._since = None
