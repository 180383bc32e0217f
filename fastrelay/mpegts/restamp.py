"""Makes a recording that is played round and round one continuous stream."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from fastrelay.mpegts.clock import MAX_STEP, WRAP, ticks_between
from fastrelay.mpegts.packet import NULL_PID, PACKET_SIZE, payload_at, pcr_at
from fastrelay.mpegts.pes import read_head
from fastrelay.mpegts.pids import pids_of

_VIDEO = range(0xE0, 0xF0)
"""stream_ids of video."""


@dataclass(slots=True)
class _Line:
    """The stamps of one PID in one round, in ticks of 90 kHz."""

    first: int
    last: int
    steps: Counter[int] = field(default_factory=Counter)

    def add(self, stamp: int) -> None:
        self.steps[ticks_between(self.last, stamp)] += 1
        self.last = stamp

    def span(self, seam: int) -> int:
        """From the first stamp of this round to the first of the next, modulo 2^33."""
        return (self.last - self.first + seam) % WRAP

    @property
    def usual_step(self) -> int:
        return max(1, self.steps.most_common(1)[0][0]) if self.steps else 1


class Restamper:
    """Shifts PCR, PTS and DTS by the time played so far, and continuity counters by what each PID has counted.

    Rounds may be of any length: nothing of a round is kept but the first and last values of each PID. Jumps inside
    the recording stay what they are. OPCR and times inside sections (SCTE-35) are not touched.
    """

    def __init__(self) -> None:
        self._offset = 0
        self._shifts: defaultdict[int, int] = defaultdict(int)
        self._begin()

    def _begin(self) -> None:
        self._stamps: dict[int, _Line] = {}
        self._clocks: dict[int, _Line] = {}
        self._video: int | None = None
        self._first_control: dict[int, int] = {}
        self._last_control: dict[int, int] = {}

    def seam(self) -> None:
        """The round is over: what follows is the recording from its beginning."""
        self._offset = (self._offset + self._span()) % WRAP
        for pid, first in self._first_control.items():
            # The counter of a packet without payload stands still (§2.4.3.3).
            step = 1 if first & 0x10 else 0
            self._shifts[pid] = (self._shifts[pid] + self._last_control[pid] + step - first) & 0x0F
        self._begin()

    def _span(self) -> int:
        """How long the round was, in ticks of 90 kHz.

        The first picture follows the last at the usual distance. Only if another PID's stamps or a PCR would run back
        then, the seam is just as much longer as they need.
        """
        lines = [*self._stamps.values(), *self._clocks.values()]
        if not lines:
            return 0
        lead = lines[0] if self._video is None else self._stamps[self._video]
        span = lead.span(lead.usual_step)
        for line in lines:
            if 0 < ticks_between(span, line.span(1)) <= MAX_STEP:
                span = line.span(1)
        return span

    def restamp(self, packets: bytes) -> bytes:
        """The next whole packets of the round, as they are to be sent."""
        pids = pids_of(packets)
        controls = packets[3::PACKET_SIZE]
        for pid in set(pids) - self._first_control.keys() - {NULL_PID}:
            self._first_control[pid] = controls[pids.index(pid)]
        self._last_control.update(zip(pids, controls, strict=True))
        out = bytearray(packets)
        if self._shifts:
            shifts = self._shifts
            shifted = [c & 0xF0 | (c + shifts[pid]) & 0x0F for pid, c in zip(pids, controls, strict=True)]
            out[3::PACKET_SIZE] = bytes(shifted)
        heads, lengths = packets[1::PACKET_SIZE], packets[4::PACKET_SIZE]
        for index, (head, control, length) in enumerate(zip(heads, controls, lengths, strict=True)):
            if control & 0x20 and length >= 7:
                self._shift_clock(out, index * PACKET_SIZE, pids[index])
            if head & 0x40 and control & 0xD0 == 0x10:  # starts a PES packet or section, unscrambled
                self._shift_stamps(out, index * PACKET_SIZE, pids[index])
        return bytes(out)

    def _shift_clock(self, out: bytearray, at: int, pid: int) -> None:
        base = pcr_at(out, at)
        if base is None:
            return
        _note(self._clocks, pid, base)
        extension = int.from_bytes(out[at + 10 : at + 12]) & 0x7FFF
        out[at + 6 : at + 12] = (((base + self._offset) % WRAP) << 15 | extension).to_bytes(6)

    def _shift_stamps(self, out: bytearray, at: int, pid: int) -> None:
        pes = payload_at(out, at)
        head = read_head(bytes(out[pes : at + PACKET_SIZE]))
        if head is None or head.pts is None or head.dts is None:
            return
        self._write(out, pes + 9, head.pts)
        has_dts = out[pes + 7] & 0x40 and out[pes + 8] >= 10
        if has_dts:
            self._write(out, pes + 14, head.dts)
        _note(self._stamps, pid, head.dts)
        if self._video is None and out[pes + 3] in _VIDEO:
            self._video = pid

    def _write(self, out: bytearray, at: int, stamp: int) -> None:
        """Put a PTS or DTS of this round where it stands: 33 bits in five bytes, with marker bits between."""
        shifted = (stamp + self._offset) % WRAP
        frame = int.from_bytes(out[at : at + 5]) & ~(7 << 33 | 0x7FFF << 17 | 0x7FFF << 1)
        bits = (shifted >> 30) << 33 | (shifted >> 15 & 0x7FFF) << 17 | (shifted & 0x7FFF) << 1
        out[at : at + 5] = (frame | bits).to_bytes(5)


def _note(lines: dict[int, _Line], pid: int, stamp: int) -> None:
    line = lines.get(pid)
    if line is None:
        lines[pid] = _Line(stamp, stamp)
    else:
        line.add(stamp)
