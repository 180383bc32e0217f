"""The hot loop: what the ring took in goes to every viewer, straight into his socket.

A viewer is in one place. *At the edge*: he has everything up to `edge`, and the next flush writes the same
memoryview to all of these. *In the round*: the part of those a running flush has not reached yet. *Parked*: his socket
was full; he pulls from his own cursor when it is writable again. *Waiting*: attached, but the ring holds no
random-access point for him yet (*early*: it does, in bytes that the next flush will reach).

Nothing is ever queued here: a byte is either in the ring or in the kernel. So the lag of a viewer, head - cursor, is
his whole write buffer, and dropping him before the ring overwrites his cursor is the only overflow there is.
"""

import asyncio
import errno
from collections.abc import Callable

from fastrelay.mpegts.marks import Mark
from fastrelay.ring.cursor import Watermarks, first_point, join_point
from fastrelay.ring.index import Index
from fastrelay.ring.retention import Retention
from fastrelay.ring.ring import Ring
from fastrelay.streams.viewers import Viewer

SLICE_SECONDS = 0.020
"""A flush gives way to the loop after this long, so that ingest, accepts and the API breathe between its slices."""

LOOK_AT_CLOCK_EVERY = 32
"""Viewers served between two looks at the clock: a send costs about 25 µs."""

PULL_BYTES = 1 << 20
"""Most bytes offered to one parked viewer per wake-up: the kernel takes less than its send buffer anyway."""

YOUNG_BYTES = 512 * 1024
"""A stream is flushed without delay until it is so long: its first viewers wait for their first picture."""

LOADED, UNLOADED = 0.10, 0.05
"""The loop is loaded from the round on that takes this part of the flush delay (a thousand viewers do), until one takes
less than the smaller."""

STRETCHED_DELAY = 0.200
"""Flush delay in seconds while the loop is loaded: with fewer, larger writes a gigabyte costs an eighth less."""

LOADED_BYTES = 1 << 20
"""… and only so much at once is written earlier."""

AT_ONCE = 0.005
"""Seconds a round may be early: a timer that is a millisecond off must not cost another one."""


class Fanout:
    """Writes one ring to its viewers.

    `joined(viewer)` is called once for everyone who has his place in the ring and was offered his first bytes,
    `left(viewer, reason)` once for everyone who is closed here.
    """

    def __init__(
        self,
        ring: Ring,
        index: Index,
        retention: Retention,
        watermarks: Watermarks,
        *,
        flush_delay: float,
        flush_bytes: int,
        joined: Callable[[Viewer], None],
        left: Callable[[Viewer, str], None],
    ) -> None:
        self._ring = ring
        self._index = index
        self._retention = retention
        self._watermarks = watermarks
        self._flush_delay = flush_delay
        self._flush_bytes = flush_bytes
        self._joined = joined
        self._left = left
        self._loop = asyncio.get_running_loop()
        self.edge = 0
        """Everyone at the edge has, or in a running round gets, every byte before this position."""
        self.delivered = 0
        """Bytes all viewers' sockets have taken."""
        self._at_edge: list[Viewer] = []
        self._round: list[Viewer] = []
        self._round_start = 0
        self._next = 0
        self._round_began = 0.0
        self._parked: dict[Viewer, None] = {}
        self._early: list[Viewer] = []
        self._waiting: dict[Viewer, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._slice_handle: asyncio.Handle | None = None
        self._loaded = False
        self._finishing = False

    # -- viewers come and go ---------------------------------------------------------------------------------------

    def add(self, viewer: Viewer, head: bytes) -> None:
        """Start serving an attached viewer: at a random-access point of the ring, or at the next to come."""
        viewer.prefix = memoryview(head)
        ring, index, retention = self._ring, self._index, self._retention
        if viewer.waited:
            mark = first_point(ring, index, retention.room(ring, index))
        else:
            mark = join_point(ring, index, retention.behind(index))
        if mark is None:
            self._waiting[viewer] = None
        else:
            self._join(viewer, mark)

    def remove(self, viewer: Viewer) -> None:
        """The viewer's socket is gone or about to be closed by the caller; touch it no more. O(1)."""
        viewer.gone = True
        self._parked.pop(viewer, None)
        self._waiting.pop(viewer, None)
        # In the two lists he is passed over when they are next walked.

    def lag(self, viewer: Viewer) -> int:
        """Bytes between the viewer and the ring's head."""
        return 0 if viewer.joined_at is None else self._ring.head - viewer.cursor

    def _join(self, viewer: Viewer, mark: Mark) -> None:
        # The tables in force at the mark, not the newest: after a switch they describe another source.
        assert viewer.prefix is not None
        viewer.prefix = memoryview(viewer.prefix.tobytes() + mark.tables)
        viewer.joined_at = viewer.cursor = mark.position
        viewer.lag_at_join = self._ring.head - mark.position
        if mark.position >= self.edge:
            # He starts in bytes that still gather for the next flush: his picture is worth an early one.
            self.flush()
        self._pull(viewer)
        self._joined(viewer)

    # -- flushing --------------------------------------------------------------------------------------------------

    def appended(self) -> None:
        """The ring's head moved. Flushes at once when a round is due or enough has gathered, else when it is due."""
        while self._waiting and self._index.marks:
            viewer, _ = self._waiting.popitem()
            self._join(viewer, self._index.marks[-1])
        if self._round:
            return
        seconds, size = self.spare()
        if seconds <= AT_ONCE or self._ring.head - self.edge >= size:
            self.flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(seconds, self.flush)

    def spare(self) -> tuple[float, int]:
        """Seconds until the next round is due, and the bytes that make it due earlier.

        So long the source may let its bytes gather in the kernel: one read, one look at them and one round for all. The
        delay counts from round to round, so what has waited there waits no more here.
        """
        if self.edge < YOUNG_BYTES or self._waiting:
            return 0.0, 0
        delay, size = self._flush_delay, self._flush_bytes
        if self._loaded:
            delay, size = max(delay, STRETCHED_DELAY), max(size, LOADED_BYTES)
        return max(0.0, self._round_began + delay - self._loop.time()), size

    def flush(self) -> None:
        """Begin a round: bring everyone at the edge to the ring's head."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._round or self._ring.head == self.edge:
            return
        self._round_began = self._loop.time()
        self._round_start, self.edge = self.edge, self._ring.head
        self._round, self._at_edge, self._next = self._at_edge, [], 0
        early, self._early = self._early, []
        for viewer in early:
            self._pull(viewer)
        self._slice()

    def _slice(self) -> None:
        """Write the round's bytes to as many of its viewers as fit into one slice of time."""
        self._slice_handle = None
        if self._round_start < self._ring.tail:
            # The ring went round while this flush waited for its turn: those left would get other bytes.
            self._overrun()
            return
        parts = self._ring.views(self._round_start, self.edge)
        deadline = self._loop.time() + SLICE_SECONDS
        while self._next < len(self._round):
            some = self._round[self._next : self._next + LOOK_AT_CLOCK_EVERY]
            self._next += len(some)
            self._write(some, parts)
            if self._loop.time() > deadline:
                self._slice_handle = self._loop.call_soon(self._slice)
                return
        self._end_round()

    def _write(self, viewers: list[Viewer], parts: tuple[memoryview, ...]) -> None:
        """The innermost loop, made some 7 times a second for each viewer of each stream.

        It costs about 1 µs beside the 10 of the call to the kernel: hence the bare `write`, looked up as an attribute
        because a method call on it would be slower, and nothing that could be counted for all of them afterwards.
        """
        size, edge, part, wraps = self.edge - self._round_start, self.edge, parts[0], len(parts) > 1
        keep, kept, partly = self._at_edge.append, len(self._at_edge), 0
        for viewer in viewers:
            if viewer.gone:
                continue
            try:
                write = viewer.outlet.send if wraps else viewer.outlet.write  # type: ignore[union-attr]  # attached
                taken = write(*parts) if wraps else write(part)
            except BlockingIOError:
                taken = 0
            except OSError as error:
                self._lost(viewer, error)
                continue
            if taken == size:
                viewer.cursor = edge
                keep(viewer)
            else:
                viewer.cursor += taken
                partly += taken
                self._park(viewer)
        self.delivered += (len(self._at_edge) - kept) * size + partly

    def _end_round(self) -> None:
        self._round = []
        spent = self._loop.time() - self._round_began
        self._loaded = spent > self._flush_delay * (UNLOADED if self._loaded else LOADED)
        # After the round, not before: closing hundreds takes as long as writing to a thousand, who need not wait.
        self._drop_slow()
        if self._finishing:
            self._finish_edge()
        elif self._ring.head > self.edge:
            self.appended()

    def _overrun(self) -> None:
        late, self._round = self._round[self._next :], []
        for viewer in late:
            if not viewer.gone:
                self._drop(viewer, "overrun")
        self._end_round()

    # -- one viewer at his own pace --------------------------------------------------------------------------------

    def _pull(self, viewer: Viewer) -> None:
        """Offer a viewer who is not at the edge what he has not got, once.

        The check against the tail and the write are one step: nothing can overwrite in between.
        """
        if viewer.gone:
            return
        if viewer.cursor < self._ring.tail:
            self._drop(viewer, "overrun")
            return
        end = max(viewer.cursor, min(self.edge, viewer.cursor + PULL_BYTES))
        parts = self._ring.views(viewer.cursor, end)
        if viewer.prefix is not None:
            parts = (viewer.prefix, *parts)
        try:
            taken = viewer.outlet.send(*parts) if parts else 0  # type: ignore[union-attr]  # attached: he has joined
        except OSError as error:
            self._lost(viewer, error)
            return
        self._advance(viewer, taken)
        if viewer.prefix is not None or viewer.cursor < self.edge:
            self._park(viewer)
        else:
            self._unpark(viewer)

    def _advance(self, viewer: Viewer, taken: int) -> None:
        self.delivered += taken
        if viewer.prefix is not None:
            from_prefix = min(taken, len(viewer.prefix))
            viewer.prefix_sent += from_prefix
            viewer.prefix = viewer.prefix[from_prefix:] if from_prefix < len(viewer.prefix) else None
            taken -= from_prefix
        viewer.cursor += taken

    def _park(self, viewer: Viewer) -> None:
        if viewer not in self._parked and viewer.outlet is not None:
            self._parked[viewer] = None
            viewer.outlet.watch(lambda: self._pull(viewer))

    def _unpark(self, viewer: Viewer) -> None:
        if viewer in self._parked and viewer.outlet is not None:
            del self._parked[viewer]
            viewer.outlet.unwatch()
            viewer.growing_since = None
        if viewer.cursor > self.edge:
            # Joined at a mark that is not flushed yet: he comes to the edge with the next flush.
            self._early.append(viewer)
        elif self._finishing:
            self._close(viewer, "ended")
        else:
            self._at_edge.append(viewer)

    # -- the end of a viewer ---------------------------------------------------------------------------------------

    def _drop_slow(self) -> None:
        """Drop who passed a watermark. Only parked viewers can have: the others are at the edge."""
        head, size, now = self._ring.head, self._ring.size, self._loop.time()
        room = self._retention.room(self._ring, self._index)
        for viewer in list(self._parked):
            lag = head - viewer.cursor
            if self._watermarks.is_over(lag, room):
                self._drop(viewer, f"slow: {lag} bytes behind, ring of {size}")
            elif not self._watermarks.is_growing(lag, viewer.lag_at_join, size):
                viewer.growing_since = None
            elif viewer.growing_since is None:
                viewer.growing_since = now
            elif now - viewer.growing_since > self._watermarks.patience:
                grown = lag - viewer.lag_at_join
                self._drop(viewer, f"slow: fell back {grown} bytes in a ring of {size} and stayed there")

    def _drop(self, viewer: Viewer, reason: str) -> None:
        self.remove(viewer)
        if viewer.outlet is not None:
            viewer.outlet.reset()
        self._left(viewer, reason)

    def _lost(self, viewer: Viewer, error: OSError) -> None:
        self._drop(viewer, "timed out" if error.errno == errno.ETIMEDOUT else "left")

    def _close(self, viewer: Viewer, reason: str) -> None:
        self.remove(viewer)
        if viewer.outlet is not None:
            viewer.outlet.finish()
        self._left(viewer, reason)

    def finish(self) -> None:
        """No more bytes will come: everyone gets what he has not got, then an orderly end."""
        self._finishing = True
        for viewer in list(self._waiting):
            self._drop(viewer, "ended")
        self.flush()
        if not self._round:
            self._finish_edge()

    def _finish_edge(self) -> None:
        viewers, self._at_edge = self._at_edge, []
        for viewer in viewers:
            if not viewer.gone:
                self._close(viewer, "ended")

    def stop(self) -> None:
        """Stop every timer and let go of every viewer; the caller has closed or closes their outlets."""
        for handle in (self._timer, self._slice_handle):
            if handle is not None:
                handle.cancel()
        self._timer = self._slice_handle = None
        self._at_edge, self._round, self._early = [], [], []
        self._parked.clear()
        self._waiting.clear()
