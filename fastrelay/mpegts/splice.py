"""Joins streams of different sources at packet borders, so that receivers notice and go on."""

import struct
from collections import defaultdict
from collections.abc import Sequence

from fastrelay.mpegts.packet import NULL_PID, PACKET_SIZE, Buffer, pcr_at, pid_at
from fastrelay.mpegts.pids import pids_of, positions, with_pids
from fastrelay.mpegts.psi import PAT_PID, Program
from fastrelay.mpegts.psi_edit import PsiEdit
from fastrelay.mpegts.psi_patch import Patch, PsiPatcher
from fastrelay.mpegts.remap import Lineup

_DISCONTINUITY = 0x80


class Splicer:
    """Rewrites what follows a splice; before the first splice it only reads along.

    After `splice()` hardware and players would take a PMT of a known version for the one they have, a jump of the
    counters or the clock for a loss, and new PIDs for nothing they asked for. So until the next splice

    - PAT and PMT sections get version numbers that go on from those sent before, and CRCs to match;
    - each stream gets the PID that one of its kind had before, and each program its number (`remap.py`);
    - the first packet of every PID, and the first PCR of every PCR PID, has its discontinuity_indicator set
      (ISO 13818-1 §2.4.3.5), where it has no adaptation field to set it in by way of a packet in front of it.

    PMTs are found by the PAT: the new source must begin with one.
    """

    def __init__(self) -> None:
        self._psi = PsiEdit()
        self._lineup = Lineup()
        self._begin()
        self._spliced = False

    def _begin(self) -> None:
        self._patchers: defaultdict[int, PsiPatcher] = defaultdict(lambda: PsiPatcher(self._psi))
        self._marked: set[int] = {NULL_PID}
        self._clocks_marked: set[int] = set()

    def splice(self, before: Sequence[Program] = (), after: Sequence[Program] = ()) -> None:
        """What follows comes from another source, or does not continue what came before.

        `before`: the programs as they were sent up to here; `after`: those of the new source, as far as they are
        known. In both the one to watch comes first.
        """
        self._psi.splice(self._lineup.splice(before, after))
        self._begin()
        self._spliced = True

    def rewrite(self, packets: Buffer) -> Buffer:
        """The whole packets `packets` as they are to be sent: the same object where nothing had to change."""
        pids = pids_of(packets)
        present = set(pids)
        patches = self._patches(packets, pids, present)
        if not self._spliced:
            return packets
        marks = self._marks(packets, pids, present)
        moved = self._psi.remap.pids
        if not (patches or marks or moved):
            return packets
        out = bytearray(packets)
        for offset, xor in patches:
            out[offset] ^= xor
        if moved:
            with_pids(out, [moved(pid) for pid in pids])
        for index in sorted(marks, reverse=True):
            _mark(out, index * PACKET_SIZE)
        return bytes(out)

    def _patches(self, packets: Buffer, pids: tuple[int, ...], present: set[int]) -> list[Patch]:
        """What to change in PAT and PMTs."""
        found: list[Patch] = []
        if PAT_PID in present:
            found += self._patchers[PAT_PID].patches(packets, positions(pids, PAT_PID))
        # Looked up only now: a PAT and the PMTs it names are often neighbours.
        for pid in present & self._psi.pmt_pids:
            found += self._patchers[pid].patches(packets, positions(pids, pid))
        return found

    def _marks(self, packets: Buffer, pids: tuple[int, ...], present: set[int]) -> set[int]:
        """The indices of the packets at which the receiver must expect a jump."""
        marks = set()
        for pid in present - self._marked:
            index = pids.index(pid)
            marks.add(index)
            if pcr_at(packets, index * PACKET_SIZE) is not None:
                self._clocks_marked.add(pid)
        self._marked |= present
        for pid in present & self._psi.pcr_pids - self._clocks_marked:
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
