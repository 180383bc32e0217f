"""HLS of one stream: segmenter, assembler and store in a row. No clock: the caller says what time it is."""

from collections.abc import Iterable

from fastrelay.hls.segment import Assembler
from fastrelay.hls.segmenter import Cut, Read, Segmenter
from fastrelay.hls.store import Store
from fastrelay.mpegts.access import Mark
from fastrelay.mpegts.opening import Opening


class Packager:
    """Fed with what a stream already knows of its bytes: new marks, the ring's positions, the media time.

    May be made late: the first `feed` then takes all marks whose bytes are still held, and the segments that they
    bound are there at once.

    `read` gives the bytes between two positions, once per segment. The bytes from `segmenter.needed` on must be held.
    """

    def __init__(self, segmenter: Segmenter, store: Store, read: Read, *, dated: bool = True) -> None:
        self.segmenter = segmenter
        self.store = store
        self.opening = Opening()
        """What the newest segment opens with: codecs and picture for the master playlist."""
        self._assembler = Assembler()
        self._read = read
        self._dated = dated
        self._date: float | None = None
        """Unix time at the end of the last segment."""
        self._seconds = 0.0
        """Media time there."""

    def feed(self, marks: Iterable[Mark], head: int, seconds: float, tail: int, now: float) -> bool:
        """The ring now holds [tail, head), media time at its head is `seconds`, Unix time is `now`.

        True when there are new segments.
        """
        return self._publish(self.segmenter.feed(marks, head, seconds, tail), seconds, now)

    def date_anew(self, seconds: float, now: float) -> None:
        """Nobody has seen a date yet: read the clock once more. Media time at the head is `seconds`, and it is now.

        For the start of a stream: more of what came in one burst may have come since the first segment was whole.
        """
        if self._date is not None:
            later = now - (seconds - self._seconds) - self._date
            self._date += later
            self.store.move_dates(later)

    def finish(self, head: int, seconds: float, now: float) -> None:
        """The stream has truly ended: not for a source that stalled or failed."""
        self._publish(self.segmenter.finish(head), seconds, now)
        self.store.end()

    def _publish(self, cuts: list[Cut], seconds: float, now: float) -> bool:
        for cut in cuts:
            segment = self._assembler.assemble(cut, self._read(cut.start.position, cut.end))
            if segment.opening.codecs:
                self.opening = segment.opening
            if self._date is None or segment.discontinuity:
                # The one reading of the clock: at the head it is now. Dates never overlap.
                self._date = max(now - (seconds - cut.start.seconds), self._date or 0.0)
            assert self.segmenter.target is not None
            self.store.add(segment, self._date if self._dated else None, self.segmenter.target, now)
            self._date += segment.duration
            self._seconds = cut.start.seconds + segment.duration
        return bool(cuts)
