"""The upstream's own segment borders: segments end there while each of them is a random-access point."""

from collections import deque
from collections.abc import Callable


class Borders:
    """Positions told ahead, taken one by one as the stream comes to them."""

    def __init__(self) -> None:
        self._ahead: deque[int] = deque()
        self._kept: bool | None = None
        """None until the first border has come, and False once one was no random-access point."""

    @property
    def kept(self) -> bool:
        """Whether segments shall end at borders and nowhere else."""
        return bool(self._kept)

    def add(self, position: int) -> None:
        """A segment of the upstream begins at `position`."""
        self._ahead.append(position)

    def start_over(self, position: int) -> None:
        """What comes from `position` on is another upstream's."""
        self._kept = None
        while self._ahead and self._ahead[0] < position:
            self._ahead.popleft()

    def is_at(self, position: int, start: int, has_picture: Callable[[int, int], bool]) -> bool:
        """Whether an upstream segment begins with the random-access point at `position`: no picture begins between.

        `start`: where the open segment begins. `has_picture` tells whether one begins between two positions. A border
        elsewhere says that the upstream cuts by size or by the clock: its borders are of no use.
        """
        border = None
        while self._ahead and self._ahead[0] <= position:
            border = self._ahead.popleft()
        if border is None or self._kept is False:
            return False
        if border <= start:
            self._kept = True
            return False
        self._kept = not has_picture(border, position)
        return self._kept
