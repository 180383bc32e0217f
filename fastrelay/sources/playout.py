"""When the bytes of a recording are due, by the clock inside it. Pure."""

from collections.abc import Iterator

from fastrelay.mpegts.clock import MediaClock
from fastrelay.mpegts.packet import PACKET_SIZE, pcr_at, pid_at

AHEAD = 3.0
"""Seconds of media that go out at once, so that a player's buffer is full at once and it can tell what it plays."""

STEP = 0.05
"""Seconds of media in one piece, at least; with a PCR every 40 ms it is 80 ms."""

LATE = 2.0
"""Seconds behind at which the reader has paused us, instead of just being slow."""


class Pace:
    """Maps the time inside the recording to the wall clock."""

    def __init__(self) -> None:
        self._start: float | None = None

    def delay(self, media: float, now: float) -> float:
        """Seconds to wait at `now` until what begins at `media` seconds is due; 0 if it is.

        What was missed in a long pause is not made up for in a burst: the recording has no edge to be late for.
        """
        if self._start is None or now - (self._start + media - AHEAD) > LATE:
            self._start = now - media
        return max(0.0, self._start + media - AHEAD - now)


class Pieces:
    """Cuts packets where they carry the time, into pieces of STEP seconds or a little more."""

    def __init__(self) -> None:
        self._clock = MediaClock()
        self._pid: int | None = None

    @property
    def has_clock(self) -> bool:
        """Whether there was any PCR."""
        return self._pid is not None

    @property
    def seconds(self) -> float:
        """Media time of all packets seen."""
        return self._clock.seconds

    def cut(self, packets: bytes) -> Iterator[tuple[float, bytes]]:
        """The whole packets `packets` in pieces, each with the media time at which it begins, in seconds."""
        begin, due = 0, self._clock.seconds
        for at, base in self._clocks(packets):
            self._clock.tick(base)
            if self._clock.seconds >= due + STEP:
                yield due, packets[begin:at]
                begin, due = at, self._clock.seconds
        yield due, packets[begin:]

    def _clocks(self, packets: bytes) -> list[tuple[int, int]]:
        """Offset and ticks of each PCR of one program: that of the last time, as long as it has any."""
        controls, lengths = packets[3::PACKET_SIZE], packets[4::PACKET_SIZE]
        found: dict[int, list[tuple[int, int]]] = {}
        for index, (control, length) in enumerate(zip(controls, lengths, strict=True)):
            if control & 0x20 and length >= 7:
                at = index * PACKET_SIZE
                base = pcr_at(packets, at)
                if base is not None:
                    found.setdefault(pid_at(packets, at), []).append((at, base))
        if found and self._pid not in found:
            self._clock.forget()
            self._pid = next(iter(found))
        return found.get(self._pid, []) if self._pid is not None else []
