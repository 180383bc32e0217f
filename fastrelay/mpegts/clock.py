"""Time of a transport stream: 33-bit stamps at 90 kHz, which wrap every 26.5 hours (ISO 13818-1 §2.4.3.6)."""

TICKS_PER_SECOND = 90_000
WRAP = 1 << 33
"""PTS, DTS and the PCR's base are counted modulo this."""

MAX_STEP = 10 * TICKS_PER_SECOND
"""A longer step forward is another time line, not a long pause: PTS must come at least every 0.7 s (§2.7.4)."""

MAX_BACK = TICKS_PER_SECOND
"""A longer step back is another time line; a shorter one is reordering, or a muxer's jitter."""

SILENCE = 5.0
"""Seconds without a stamp of the main stream after which another one stands in for it. Some segments have all of their
sound in front of their pictures, and a picture may stand for some seconds: neither is silence."""

HOLE = 2.0
"""Seconds that no PES packet of sound lasts: a longer step from one to the next is a hole in it."""


def ticks_between(earlier: int, later: int) -> int:
    """The signed shortest way from one stamp to another on the 33-bit circle, in ticks of 90 kHz."""
    return ((later - earlier + (WRAP >> 1)) & (WRAP - 1)) - (WRAP >> 1)


class MediaClock:
    """How much media time has gone by, from stamps that wrap, jitter and jump.

    `seconds` never goes back. A wrap is unnoticed. A jump counts in `jumps` and adds nothing to `seconds`.
    """

    __slots__ = ("_anchor", "_ticks", "jumps", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.jumps = 0
        self._ticks = 0
        self._anchor: int | None = None

    def tick(self, value: int) -> None:
        """Take the next stamp in stream order, in ticks of 90 kHz."""
        step = 0 if self._anchor is None else ticks_between(self._anchor, value)
        if step > MAX_STEP or step < -MAX_BACK:
            self.jumps += 1
        elif step < 0:
            return
        else:
            self._ticks += step
            self.seconds = self._ticks / TICKS_PER_SECOND
        self._anchor = value

    def forget(self) -> None:
        """The next stamp continues nothing: it is neither a step nor a jump."""
        self._anchor = None


class ProgramClock:
    """The media time of a program: that of its main stream, as long as it is heard, then that of another one.

    Of the one that stands in only what goes by counts, so the two need not be on one time line. `seconds` never goes
    back, and a main stream that returns goes on from there.
    """

    __slots__ = ("_heard", "_main", "_offset", "_other", "main_seconds", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        """Now."""
        self.main_seconds = 0.0
        """At the last stamp of the main stream."""
        self._main = MediaClock()
        self._other = MediaClock()
        self._offset = 0.0
        """Seconds that passed while only the other one was heard."""
        self._heard = 0.0
        """Of the other clock, when the main stream was heard last."""

    @property
    def jumps(self) -> int:
        return self._main.jumps

    def tick(self, value: int) -> None:
        """Take the next stamp of the main stream, in ticks of 90 kHz."""
        jumps = self._main.jumps
        self._main.tick(value)
        if self._main.jumps > jumps:
            self._offset = self.seconds - self._main.seconds
        self._heard = self._other.seconds
        self.main_seconds = self._main.seconds + self._offset
        self.seconds = max(self.seconds, self.main_seconds)

    def stand_in(self, value: int) -> None:
        """Take the next stamp of the stream that stands in; it changes nothing while the main one is heard."""
        before = self._other.seconds
        self._other.tick(value)
        if self._other.seconds - before > HOLE:
            # Nothing was heard of either: this tells nothing about the main one, which may have taken the same step.
            self._heard += self._other.seconds - before
        silent = self._other.seconds - self._heard
        if silent > SILENCE:
            self.seconds = max(self.seconds, self.main_seconds + silent)

    def forget(self) -> None:
        """The next stamps continue nothing."""
        self._main.forget()
        self._other.forget()
        self._offset = self.seconds - self._main.seconds
        self._heard = self._other.seconds
