"""Joins streams of different sources at packet borders, so that receivers notice and go on."""

import struct

from fastrelay.mpegts.packet import NULL_PID, PACKET_SIZE, Buffer, pcr_at, pid_at
from fastrelay.mpegts.pids import pids_of, positions
from fastrelay.mpegts.versions import Versions

_DISCONTINUITY = 0x80


class Splicer:
    """Rewrites what follows a splice; before the first splice it only reads along.

    After `splice()` hardware and players would take a PMT of a known version for the one they have, and a jump of the
    counters or the clock for a loss. So until the next splice

    - PAT and PMT sections get version numbers that go on from those sent before, and CRCs to match;
    - the first packet of every PID, and the first PCR of every PCR PID, has its discontinuity_indicator set
      (ISO 13818-1 §2.4.3.5), where it has no adaptation field to set it in by way of a packet in front of it.

    PMTs are found by the PAT: the new source must begin with one.
    """

    def __init__(self) -> None:
        self._versions = Versions()
        self._spliced = False
        self._marked: set[int] = set()
        self._clocks_marked: set[int] = set()

    def splice(self) -> None:
        """What follows comes from another source, or does not continue what came before."""
        self._versions.splice()
        self._spliced = True
        self._marked = {NULL_PID}
        self._clocks_marked = set()

    def rewrite(self, packets: Buffer) -> Buffer:
        """The whole packets `packets` as they are to be sent: the same object where nothing had to change."""
        pids = pids_of(packets)
        present = set(pids)
        patches = self._versions.patches(packets, pids, present)
        if not self._spliced:
            return packets
        marks = self._marks(packets, pids, present)
        if not patches and not marks:
            return packets
        out = bytearray(packets)
        for offset, xor in patches:
            out[offset] ^= xor
        for index in sorted(marks, reverse=True):
            _mark(out, index * PACKET_SIZE)
        return bytes(out)

    def _marks(self, packets: Buffer, pids: tuple[int, ...], present: set[int]) -> set[int]:
        """The indices of the packets at which the receiver must expect a jump."""
        marks = set()
        for pid in present - self._marked:
            index = pids.index(pid)
            marks.add(index)
            if pcr_at(packets, index * PACKET_SIZE) is not None:
                self._clocks_marked.add(pid)
        self._marked |= present
        for pid in present & self._versions.pcr_pids - self._clocks_marked:
            for index in positions(pids, pid):
                if pcr_at(packets, index * PACKET_SIZE) is not None:
                    marks.add(index)
                    self._clocks_marked.add(pid)
                    break
        return marks


def _mark(out: bytearray, at: int) -> None:
    """Set the discontinuity_indicator at the packet at `at`: in it where it has room, else in one more in front."""
    has_flags = out[at + 3] & 0x20 and out[at + 4]
    if has_flags:
        out[at + 5] |= _DISCONTINUITY
    else:
        out[at:at] = _bare_mark(pid_at(out, at), out[at + 3])


def _bare_mark(pid: int, control: int) -> bytes:
    """An adaptation field and nothing else, for the packet whose fourth byte is `control` to follow.

    Such a packet does not advance the counter (§2.4.3.3), so it bears the one before that of the packet behind it.
    """
    header = struct.pack(">BHBBB", 0x47, pid, 0x20 | (control - 1) & 0x0F, PACKET_SIZE - 5, _DISCONTINUITY)
    return header + b"\xff" * (PACKET_SIZE - len(header))
