"""One viewer of a stream, from its request until its socket is closed."""

from fastrelay.wire.response import Outlet


class Viewer:
    """A cursor into the ring and the outlet it writes to; before it is attached, a request that waits.

    Plain attributes and slots: the fan-out touches these thousands of times per flush.
    """

    __slots__ = (
        "address",
        "cursor",
        "gone",
        "growing_since",
        "id",
        "joined_at",
        "lag_at_join",
        "outlet",
        "prefix",
        "prefix_sent",
        "since",
        "user_agent",
        "waited",
    )

    def __init__(self, viewer_id: int, address: str, user_agent: str, since: float) -> None:
        self.id = viewer_id
        self.address = address
        self.user_agent = user_agent
        self.since = since
        """Unix time of the request."""
        self.waited = False
        """He came before the stream's first picture and gets it from its beginning."""
        self.outlet: Outlet | None = None
        self.gone = False
        self.cursor = 0
        """The next position this viewer reads; meaningless until it has joined."""
        self.joined_at: int | None = None
        """Position of the mark it joined at; None while it waits for one."""
        self.lag_at_join = 0
        self.prefix: memoryview | None = None
        """Head, PAT and PMT not yet taken by the socket. While there is one, the viewer is not at the head."""
        self.prefix_sent = 0
        """Bytes of head and prefix that the kernel has taken."""
        self.growing_since: float | None = None
        """Loop time since which its lag has been a quarter of the ring above where it joined."""

    @property
    def who(self) -> tuple[str, str]:
        """As what requests show him: address and user agent."""
        return self.address, self.user_agent

    @property
    def sent(self) -> int:
        """Bytes the kernel has taken, head and prefix included."""
        return self.prefix_sent + (0 if self.joined_at is None else self.cursor - self.joined_at)
