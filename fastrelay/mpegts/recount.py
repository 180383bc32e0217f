"""Continuity counters over the borders of segments (ISO 13818-1 §2.4.3.3).

Packagers that make each segment of an HLS stream by itself begin it with counters of its own. Players of HLS expect
that of any segment; a receiver of all of them as one stream takes every border for a loss, and throws a picture away.
"""

from collections.abc import Callable

from fastrelay.mpegts.packet import DISCONTINUITY, PACKET_SIZE, Buffer, adaptation_flags
from fastrelay.mpegts.pids import pids_of, positions

_SHIFTED = [
    bytes(control & 0xF0 | control + shift & 0x0F for control in range(256)) for shift in range(16)
]  # by so much: the fourth byte of a packet, whose lower half is the counter


class Recounter:
    """Lets the counters behind a border go on from those before it; without a border it changes nothing.

    `last(pid)` gives the counter that was sent last for a PID, None where nothing has to go on from it.
    """

    def __init__(self, last: Callable[[int], int | None]) -> None:
        self._last = last
        self._shifts: dict[int, int] | None = None
        """By PID, of those that were met since the border. None: there is none."""

    def begin(self) -> None:
        """What follows comes from another source, or does not continue what came before."""
        self._shifts = None

    def border(self) -> None:
        """A segment begins here that continues the one before."""
        self._shifts = {}

    def rewrite(self, packets: Buffer) -> Buffer:
        """The whole packets `packets` as they are to be sent: the same object where nothing had to change."""
        if self._shifts is None:
            return packets
        pids = pids_of(packets)
        present = set(pids)
        for pid in present - self._shifts.keys():
            shift = self._shift(packets, pids, pid)
            if shift is not None:
                self._shifts[pid] = shift
        if not any(map(self._shifts.get, present)):
            return packets
        out = bytearray(packets)
        shifts = [_SHIFTED[self._shifts.get(pid, 0)] for pid in pids]
        out[3::PACKET_SIZE] = bytes(
            [table[control] for table, control in zip(shifts, out[3::PACKET_SIZE], strict=True)]
        )
        return out

    def _shift(self, packets: Buffer, pids: tuple[int, ...], pid: int) -> int | None:
        """What is to be added to the counters of a PID; None where no packet tells yet."""
        before = self._last(pid)
        for index in positions(pids, pid):
            at = index * PACKET_SIZE
            if packets[at + 1] & 0x80 or not packets[at + 3] & 0x10:
                continue  # damaged, or without payload: its counter stands still
            if before is None or adaptation_flags(packets, at) & DISCONTINUITY:
                return 0
            return before + 1 - packets[at + 3] & 0x0F
        return None
