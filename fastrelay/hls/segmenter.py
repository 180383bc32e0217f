"""When a segment ends: decides from marks and media time, and touches bytes only where those are not enough."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import ceil

from fastrelay.hls.borders import Borders
from fastrelay.hls.jumps import Jumps
from fastrelay.hls.steps import Steps
from fastrelay.hls.tables import Tables, read_tables
from fastrelay.mpegts.access import Mark
from fastrelay.mpegts.clock import TICKS_PER_SECOND, ticks_between
from fastrelay.mpegts.packet import PACKET_SIZE
from fastrelay.mpegts.pids import has_payload
from fastrelay.mpegts.programs import main_stream, stand_in_stream
from fastrelay.mpegts.psi import ElementaryStream
from fastrelay.mpegts.timeline import Moment, timeline, usual_step

STRETCH = 1.5
"""TARGETDURATION over the segment duration: room for key frames that do not come on the second."""

LONGEST_FIRST_WAIT = 20.0
"""Seconds that the first key-frame interval of a playlist may take; a viewer waits no longer for his first picture."""

ROUNDS_DOWN = 0.49
"""An EXTINF may pass the TARGETDURATION by so many seconds: rounded to an integer it may not (RFC 8216 §4.3.3.1)."""

LEAST = 1.0
"""Seconds. Media sequences count from the Unix time: segments must not be shorter, the average decides."""

NEARLY = 0.02
"""Seconds that a key frame may come early: stamps are rounded, and 3.999 s is 4 s."""

JUMP = 0.5
"""Seconds by which stamps and media time may part between two key frames before that is a jump."""

HOLE = 2.0
"""Seconds without a picture that are not told as duration where a segment would become too long with them."""

Read = Callable[[int, int], bytes]
"""The whole packets between two absolute positions."""


@dataclass(frozen=True, slots=True)
class Point:
    """Where a segment begins."""

    position: int
    seconds: float
    """Media time, which goes on across wraps and jumps."""
    dts: int | None
    """The stamp there in ticks of 90 kHz, if known."""
    tables: Tables
    random_access: bool = True
    discontinuity: bool = False
    by_stand_in: bool = False
    """An access unit of the stream that stands in for the main one."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A segment that is decided: the bytes from `start.position` to `end`; `duration` in seconds."""

    start: Point
    end: int
    duration: float


class Segmenter:
    """Cuts one stream, whose bytes are named by absolute positions. Media time is its only clock.

    Segments begin at random-access points, the first one past the segment duration. Only where none comes in time for
    the target duration a segment begins elsewhere. Positions may be told ahead of the bytes: those of switches and of
    the upstream's own borders wait until the stream has come to them.

    `from_start`: what stands before the first random-access point is not skipped but part of the first segment.
    """

    def __init__(self, duration: float, read: Read, *, from_start: bool = False) -> None:
        self.target: int | None = None
        """TARGETDURATION in seconds; fixed with the first cut for good."""
        self.upstream_target = 0.0
        """The target duration of an HLS source, in seconds."""
        self._duration = duration
        self._read = read
        self._from_start = from_start
        self._least = min(LEAST, duration)
        self._longest_interval = 0.0
        self._broken = False
        """What comes next does not continue the last segment."""
        self._open: Point | None = None
        self._last: Point | None = None
        """The last random-access point of the open segment, its start included."""
        self._stamped: Point | None = None
        """The last one, or cut, that tells whether the stamps of the next one have jumped."""
        self._switches: deque[int] = deque()
        self._borders = Borders()
        self._seen = -1
        self._jumps = Jumps(self._least)
        self._steps = Steps(read)
        self._cuts: list[Cut] = []

    @property
    def needed(self) -> int | None:
        """The bytes from this position on must be kept; None when none of them must."""
        return self._open.position if self._open else None

    def switch(self, position: int) -> None:
        """The bytes from `position` on come from another source, or do not continue those before."""
        self._switches.append(position)

    def border(self, position: int) -> None:
        """A segment of the upstream begins at `position`: borders are kept while they are random-access points."""
        self._borders.add(position)

    def feed(self, marks: Iterable[Mark], head: int, seconds: float, tail: int = 0) -> list[Cut]:
        """The stream now reaches to `head`, where media time is `seconds`; `marks` are the new ones, in order.

        Marks that were told before do no harm. `tail`: bytes before it are lost.
        Returns the segments that are decided; read their bytes before any are lost.
        """
        self._cuts = []
        if self._open is not None and self._open.position < tail:
            self._open, self._broken = None, True
        for mark in marks:
            if mark.position >= tail and mark.position > self._seen:
                self._seen = mark.position
                self._take(mark)
        while self._switches and self._switches[0] <= head:
            self._switch(self._switches.popleft())
        if self._open is not None:
            self._keep_limit(head, seconds)
        return self._cuts

    def finish(self, head: int) -> list[Cut]:
        """The stream ends at `head`: the last segment lasts until one access unit's time after its last stamp."""
        self._cuts = []
        if self._open is not None:
            self._close(head)
        return self._cuts

    # --- what comes ---

    def _take(self, mark: Mark) -> None:
        while self._switches and self._switches[0] <= mark.position:
            self._switch(self._switches.popleft())
        tables = read_tables(mark.tables)
        if tables is None:
            return
        point = Point(mark.position, mark.seconds, mark.dts, tables)
        if self._open is None or self._last is None:
            self._begin(point)
        elif point.position >= self._open.position:
            self._go_on(point)

    def _begin(self, point: Point) -> None:
        self._open = self._last = replace(point, discontinuity=self._broken)
        self._broken = False
        if self._from_start:
            self._from_start = False
            self._open = self._start_of_all(point)
            if self._open.random_access:
                # Nothing can be cut between the start of all and its first picture.
                self._last = self._open
        self._stamped = self._last

    def _start_of_all(self, point: Point) -> Point:
        """The beginning of a stream whose first random-access point is `point`."""
        main = main_stream(point.tables.program)
        if main is None or not has_payload(self._read(0, point.position), main.pid):
            return replace(point, position=0)
        before = self._moments(0, point.position + PACKET_SIZE)
        seconds = point.seconds - (before[-1].seconds if before else 0.0)
        return replace(point, position=0, seconds=seconds, dts=None, random_access=False)

    def _go_on(self, point: Point) -> None:
        """A random-access point in the open segment."""
        assert self._open is not None and self._last is not None
        while self._has_jumped(point) and self._jumps.take(point.seconds):
            if not self._cut_at_jump(point):
                break
        self._keep_limit(point.position, point.seconds, PACKET_SIZE)
        interval = point.seconds - self._last.seconds
        self._longest_interval = max(self._longest_interval, interval)
        if point.position == self._open.position:
            # A segment that had to be cut before this was known to be a random-access point.
            broken = self._open.discontinuity or point.tables.tracks != self._open.tables.tracks
            self._open = self._last = replace(point, discontinuity=broken)
        elif point.tables.tracks != self._open.tables.tracks:
            self._cut(replace(point, discontinuity=True))
        elif self._ends_segment(point, interval):
            self._cut(point)
        else:
            self._last = point
        if point.dts is not None:
            self._stamped = point

    def _switch(self, position: int) -> None:
        if self._open is not None:
            self._close(position)
            self._broken = True
        self._borders.start_over(position)

    # --- policy ---

    @property
    def _limit(self) -> float:
        """Seconds that a segment may last. Until the first cut there is time to see one key-frame interval."""
        if self.target is not None:
            return self.target
        return self._target_now() if self._longest_interval else max(self._target_now(), LONGEST_FIRST_WAIT)

    def _target_now(self) -> int:
        interval = min(self._longest_interval, LONGEST_FIRST_WAIT)
        return ceil(max(STRETCH * self._duration, interval, self.upstream_target))

    def _ends_segment(self, point: Point, interval: float) -> bool:
        """Whether to cut at this random-access point, which is `interval` seconds behind the one before."""
        assert self._open is not None
        length = self._distance(point)
        at_border = self._borders.is_at(point.position, self._open.position, self._has_moments)
        if self._last is self._open and not self._open.random_access:
            # Cut where no decoder can start: the sooner this ends, the better.
            return True
        if self._borders.kept:
            return at_border and length >= self._least
        if length >= max(self._least, self._duration - NEARLY):
            return True
        # One that is as far away as this one was would come too late: better here than in the middle of its pictures.
        return length >= self._least and length + interval > self._limit + ROUNDS_DOWN

    def _has_jumped(self, point: Point) -> bool:
        """Whether the stamps jumped on the way from the last random-access point, with nothing that announced it."""
        last = self._stamped
        if last is None or last.dts is None or point.dts is None:
            return False
        stamped = ticks_between(last.dts, point.dts) / TICKS_PER_SECOND
        # The sound says how long the pictures were silent, and it is not interleaved the same before and after.
        most = HOLE if self._open is not None and self._open.by_stand_in else JUMP
        return abs(stamped - (point.seconds - last.seconds)) > most

    def _distance(self, point: Point) -> float:
        """Seconds from the start of the open segment, by the stamps of both where they are on one time line."""
        start = self._open
        assert start is not None
        seconds = point.seconds - start.seconds
        if start.dts is None or point.dts is None:
            return seconds
        stamped = ticks_between(start.dts, point.dts) / TICKS_PER_SECOND
        return stamped if abs(stamped - seconds) <= JUMP else seconds

    # --- cutting ---

    def _cut(self, point: Point, duration: float | None = None) -> None:
        """End the open segment where `point` begins the next."""
        start = self._open
        assert start is not None
        self._end(point.position, self._distance(point) if duration is None else duration)
        self._open = self._last = point
        if point.dts is not None or not (point.random_access or point.by_stand_in):
            self._stamped = point

    def _end(self, position: int, duration: float) -> None:
        assert self._open is not None
        if self.target is None:
            self.target = max(self._target_now(), ceil(duration - ROUNDS_DOWN))
        self._cuts.append(Cut(self._open, position, min(max(duration, 0.001), self.target + ROUNDS_DOWN)))
        if not self._steps.known:
            self._steps.learn(self._main, self._moments(self._open.position, position), position)
        self._open = self._last = None

    def _keep_limit(self, end: int, seconds: float, more: int = 0) -> None:
        """Cut somewhere before `end`, where media time is `seconds`, as often as segments would become too long.

        `more`: so many bytes beyond the end are there to be looked at, the access unit that begins at it.
        """
        while (start := self._open) is not None and seconds - start.seconds > self._limit + ROUNDS_DOWN:
            if start.position >= end:
                # It begins there: what made it seem long lies before it.
                return
            if self._last is not None and self._last.position > start.position:
                self._cut(self._last)
            elif not self._cut_between(end + more):
                # A stream without stamps: nothing tells where its pictures begin.
                self._cut(Point(end, seconds, None, start.tables, random_access=False), self._limit)

    def _cut_between(self, end: int) -> bool:
        """Cut at the last access unit within the limit that begins before `end`, no random-access point as it is.

        Before that, where stamps jump or there is a hole in time: what follows does not continue. Where the pictures
        have stopped and the sound goes on, there is no hole: the sound says where to cut.
        """
        start = self._open
        assert start is not None
        moments = self._moments(start.position, end)
        limit = self._limit
        late = next((index for index, moment in enumerate(moments) if moment.seconds > limit or moment.jumped), None)
        index = len(moments) - 1 if late is None else late - 1
        jumped = late is not None and moments[late].jumped and not self._is_heard(moments[index], moments[late])
        if (index <= 0 or start.by_stand_in) and not jumped and self._cut_by_stand_in(end):
            return True
        if late is not None and (index == 0 or jumped or self._is_hole(moments[index], moments[late])):
            whole = moments[index].seconds + self._steps.usual(moments[:late])
            self._cut(replace(self._point(moments[late]), discontinuity=True), whole)
        elif index > 0:
            self._cut(self._point(moments[index]), moments[index].seconds)
        else:
            return False
        return True

    def _cut_by_stand_in(self, end: int) -> bool:
        """The same at the access units of the stream that stands in for the main one."""
        fitting = [moment for moment in self._stand_in(end) if 0 < moment.seconds <= self._limit]
        if not fitting:
            return False
        # Its stamps need not be on the time line of the main stream.
        self._cut(replace(self._point(fitting[-1]), dts=None, by_stand_in=True), fitting[-1].seconds)
        return True

    def _is_hole(self, before: Moment, after: Moment) -> bool:
        """Whether nothing is heard, either, between two pictures that are far apart."""
        return after.seconds - before.seconds > HOLE and not self._is_heard(before, after)

    def _is_heard(self, before: Moment, after: Moment) -> bool:
        """Whether the sound goes on between two pictures for so long that what looks like a jump is a silence."""
        heard = [moment.seconds for moment in self._stand_in(after.offset) if moment.offset > before.offset]
        return bool(heard) and heard[-1] - heard[0] > HOLE

    def _cut_at_jump(self, point: Point) -> bool:
        """Cut at the access unit whose stamp jumped, somewhere behind the start and no later than `point`.

        The next random-access point ends what lies between. False where it was a silence of the pictures instead, and
        nothing was cut.
        """
        start = self._open
        assert start is not None
        moments = self._moments(start.position, point.position + PACKET_SIZE)
        jump = next((index for index, moment in enumerate(moments) if moment.jumped), None)
        if jump is None:
            # Another stream's stamps: there is no telling where on the way they took over.
            self._cut(replace(point, discontinuity=True))
            return True
        if self._is_heard(moments[jump - 1], moments[jump]):
            return False
        at = point if moments[jump].offset == point.position else self._point(moments[jump])
        self._cut(replace(at, discontinuity=True), moments[jump - 1].seconds + self._steps.usual(moments[:jump]))
        return True

    def _close(self, end: int) -> None:
        """The open segment ends at `end`, and no random-access point there tells when that is."""
        if self._open is not None and self._open.position >= end:
            # It was cut just here: nothing is in it.
            self._open = self._last = None
        while (start := self._open) is not None:
            moments = self._moments(start.position, end)
            whole = (moments[-1].seconds if moments else 0.0) + self._steps.last(self._main, moments, end)
            heard = self._stand_in(end)
            if heard and (start.by_stand_in or heard[-1].seconds > whole + HOLE):
                whole = max(whole, heard[-1].seconds + usual_step(heard))
            fits = whole <= self._limit + ROUNDS_DOWN and not any(moment.jumped for moment in moments)
            if fits or not self._cut_between(end):
                self._end(end, whole)

    @property
    def _main(self) -> ElementaryStream | None:
        """The main stream of the open segment."""
        assert self._open is not None
        return main_stream(self._open.tables.program)

    def _moments(self, start: int, end: int) -> list[Moment]:
        """The access units of the main stream that begin in [start, end); reads all of these bytes."""
        return self._moments_of(self._main, start, end)

    def _has_moments(self, start: int, end: int) -> bool:
        return bool(self._moments(start, end))

    def _stand_in(self, end: int) -> list[Moment]:
        """Those of the stream that stands in for it, from the start of the open segment on."""
        assert self._open is not None
        return self._moments_of(stand_in_stream(self._open.tables.program), self._open.position, end)

    def _moments_of(self, stream: ElementaryStream | None, start: int, end: int) -> list[Moment]:
        return timeline(self._read(start, end), stream.pid, start) if stream is not None else []

    def _point(self, moment: Moment) -> Point:
        """A place inside the open segment that is no random-access point."""
        assert self._open is not None
        return Point(
            moment.offset, self._open.seconds + moment.seconds, moment.dts, self._open.tables, random_access=False
        )
