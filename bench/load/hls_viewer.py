"""A viewer with an HLS player: master, media playlist at its due times, each segment once (RFC 8216 §6.3)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urljoin, urlsplit

from bench.load.fetcher import Fetched, Fetcher
from bench.load.media_playlist import MediaPlaylist, Segment, read_master, read_media
from bench.load.options import Target
from bench.load.reactor import Reactor
from bench.load.record import Viewing

START_BACK = 3
"""A player starts this many segments before the end (§6.3.3)."""


class Check(Protocol):
    """Looks at every segment; returns what is wrong, or nothing."""

    def segment(self, data: bytes, name: str) -> str: ...
    def discontinuity(self) -> None: ...


@dataclass(frozen=True)
class Get:
    url: str
    keep: bool = True


@dataclass(frozen=True)
class Until:
    when: float


Step = Get | Until
"""What the player waits for."""


class HlsViewer:
    """`over` is called when it ends before `stop`."""

    def __init__(
        self,
        reactor: Reactor,
        target: Target,
        viewing: Viewing,
        requests: list[float],
        check: Check | None,
        over: Callable[["HlsViewer"], None],
    ) -> None:
        self.viewing = viewing
        self.receiving = False
        self.measured = False
        self.gaps: list[float] | None = None
        self._reactor = reactor
        self._target = target
        self._requests = requests
        self._check = check
        self._over = over
        self._stopped = False
        self._buffered_until: float | None = None
        self._fetcher = Fetcher(reactor, target, self._fetched, self._end)
        self._player = self._play()
        self._go_on(next(self._player))

    def stop(self) -> None:
        self._stopped = True
        self._fetcher.close()

    def drain(self) -> None:
        """At the end of the run: has the picture stood still until now?"""
        if self._buffered_until is not None and self._reactor.time() > self._buffered_until:
            self.viewing.stalls += 1

    # -- the player ------------------------------------------------------------------------------------------------

    def _play(self) -> Iterator[Step]:
        """The player's whole life; it yields what it waits for. Fetched answers are in `self._answer`."""
        url = self._target.url
        yield Get(url)
        variant = read_master(self._text())
        if variant is not None:
            url = urljoin(url, variant)
        wanted: int | None = None
        while True:
            began = self._reactor.time()
            yield Get(url)
            playlist = read_media(self._text())
            if wanted is None:
                wanted = playlist.segments[-START_BACK:][0].number if playlist.segments else None
            new = _new(playlist, wanted)
            for segment in new:
                yield from self._segment(url, segment)
                wanted = segment.number + 1
            if playlist.ended:
                yield Until(self._buffered_until or 0.0)
                return
            yield Until(began + playlist.target * (1.0 if new else 0.5))

    def _segment(self, url: str, segment: Segment) -> Iterator[Step]:
        name = urljoin(url, segment.uri)
        yield Get(name, keep=self._check is not None)
        fetched = self._expect_200()
        self.viewing.segments += 1
        self._played(segment.seconds)
        if self._check is not None:
            if segment.discontinuity:
                self._check.discontinuity()
            self.viewing.wrong = self._check.segment(fetched.body, name)
            if self.viewing.wrong:
                raise ValueError("wrong bytes")

    def _played(self, seconds: float) -> None:
        """A segment is there: later than the buffer lasted, and the picture has stood still."""
        now = self._reactor.time()
        if self._buffered_until is None:
            self._buffered_until = now
        elif now > self._buffered_until:
            self.viewing.stalls += self.measured
            self._buffered_until = now
        self._buffered_until += seconds

    def _text(self) -> str:
        return self._expect_200().body.decode(errors="replace")

    def _expect_200(self) -> Fetched:
        if self._answer.status != 200:
            raise ValueError(f"status {self._answer.status}")
        return self._answer

    # -- what drives it --------------------------------------------------------------------------------------------

    def _go_on(self, step: Step) -> None:
        if isinstance(step, Until):
            self._reactor.at(step.when, self._advance)
            return
        parts = urlsplit(step.url)
        if f"{parts.hostname}:{parts.port or 80}" != f"{urlsplit(self._target.url).hostname}:{self._target.address[1]}":
            self._end(f"{step.url} is on another server")
            return
        self._step = step
        self._fetcher.get(parts.path + (f"?{parts.query}" if parts.query else ""), step.keep)

    def _fetched(self, fetched: Fetched) -> None:
        viewing = self.viewing
        self.receiving = True
        viewing.received = self._fetcher.received
        if viewing.first_byte is None:
            viewing.first_byte = self._reactor.time()
        if self.measured:
            self._requests.append(fetched.waited)
        self._answer = fetched
        self._advance()

    def _advance(self) -> None:
        if self._stopped:
            return
        try:
            step = next(self._player, None)
        except ValueError as error:
            self._end(f"{self._step.url}: {error}")
            return
        if step is None:
            self._end("played to its end")
        else:
            self._go_on(step)

    def _end(self, why: str) -> None:
        self.viewing.over = why
        self.viewing.over_at = self._reactor.time()
        self.stop()
        self._over(self)


def _new(playlist: MediaPlaylist, wanted: int | None) -> tuple[Segment, ...]:
    """What is to be fetched now. Raises ValueError when the window has moved past what was wanted."""
    if wanted is None:
        return ()
    if playlist.segments and playlist.segments[0].number > wanted:
        raise ValueError(f"segment {wanted} is not listed any more, the first is {playlist.segments[0].number}")
    return tuple(segment for segment in playlist.segments if segment.number >= wanted)
