"""How long the last access unit lasts, behind which none comes that would tell."""

from collections.abc import Callable

from fastrelay.mpegts.codecs import codec_of
from fastrelay.mpegts.psi import ElementaryStream
from fastrelay.mpegts.timeline import Moment, last_step, usual_size, usual_step


class Steps:
    """What is usual in one stream, as its first segment shows it. `read(start, end)` gives the bytes between two
    positions."""

    def __init__(self, read: Callable[[int, int], bytes]) -> None:
        self._read = read
        self._step = 0.0
        """Seconds from one access unit to the next."""
        self._size = 0.0
        """Packets of an access unit."""

    def learn(self, main: ElementaryStream | None, moments: list[Moment], end: int) -> None:
        """`moments` are the access units of a segment that ends at `end`."""
        if main is not None and moments:
            self._step = usual_step(moments)
            self._size = usual_size(self._read(moments[0].offset, end), main.pid, moments)

    @property
    def known(self) -> bool:
        """Whether there is no more to learn."""
        return self._step > 0

    def usual(self, moments: list[Moment]) -> float:
        """Seconds from one of these to the next; where they do not tell, as it was."""
        return usual_step(moments) or self._step

    def last(self, main: ElementaryStream | None, moments: list[Moment], end: int) -> float:
        """Seconds from the last of these to what ends with it at `end`."""
        step = self.usual(moments)
        if main is None or not moments or codec_of(main).kind == "video":
            return step
        return last_step(self._read(moments[0].offset, end), main.pid, moments, step, self._size)
