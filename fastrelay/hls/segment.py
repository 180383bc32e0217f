"""What a segment is: immutable bytes that begin with PAT and PMT, cut from a stream that goes on (RFC 8216 §3.2)."""

from dataclasses import dataclass
from itertools import compress
from struct import unpack

from fastrelay.hls.segmenter import Cut
from fastrelay.hls.tables import Tables
from fastrelay.mpegts.opening import Opening, read_opening
from fastrelay.mpegts.packet import PACKET_SIZE, pid_at
from fastrelay.mpegts.pids import pids_of, positions
from fastrelay.mpegts.psi import PAT_PID


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the stream as viewers fetch it."""

    data: bytes
    duration: float
    """Seconds, as EXTINF tells them."""
    discontinuity: bool
    """It does not continue the one before (EXT-X-DISCONTINUITY)."""
    opening: Opening
    independent: bool
    """All of it can be decoded without the segments before (EXT-X-INDEPENDENT-SEGMENTS)."""


class Assembler:
    """Makes segments one after the other, so that all of them in a row are one transport stream.

    The continuity counters of PAT and PMT are counted anew: a receiver of the segments in a row sees the tables in
    front of each as so many packets more than were sent. No other packet is changed. Of an input with several
    programs, one is kept.
    """

    def __init__(self) -> None:
        self._counters: dict[int, int] = {}
        self._last: dict[int, bytes] = {}
        self._before = Opening()

    def assemble(self, cut: Cut, body: bytes) -> Segment:
        """The segment of this cut; `body` are the whole packets between its positions."""
        tables = cut.start.tables
        if tables.pids is not None:
            body = _only(body, tables.pids)
        pids = pids_of(body)
        opening = read_opening(body, pids, tables.program)
        changed = _differs(self._before, opening)
        if opening.codecs:
            self._before = opening
        return Segment(
            data=self._renumber(tables, body, pids),
            duration=cut.duration,
            discontinuity=cut.start.discontinuity or changed,
            opening=opening,
            independent=cut.start.random_access and opening.independent,
        )

    def _renumber(self, tables: Tables, body: bytes, pids: tuple[int, ...]) -> bytes:
        """The tables in front of the body, and the counters of PAT and PMT going on from the last segment's."""
        parts: list[bytes] = []
        for at in range(0, len(tables.packets), PACKET_SIZE):
            self._count(tables.packets[at : at + PACKET_SIZE], parts)
        copied = 0
        of_tables = sorted([*positions(pids, PAT_PID), *positions(pids, tables.program.pmt_pid)])
        for index in of_tables:
            at = index * PACKET_SIZE
            packet = body[at : at + PACKET_SIZE]
            parts.append(body[copied:at])
            copied = at + PACKET_SIZE
            if tables.pids is None or pids[index] != PAT_PID:
                self._count(packet, parts)
            elif packet[1] & 0x40:
                self._count(tables.pat, parts)
        parts.append(body[copied:])
        return b"".join(parts)

    def _count(self, packet: bytes, parts: list[bytes]) -> None:
        """Add a packet with its PID's next counter; without payload, or sent twice, with the last (§2.4.3.3).

        One that begins a section is never taken for sent twice: cheap encoders do not count those.
        """
        pid, control = pid_at(packet, 0), packet[3]
        repeats = not control & 0x10 or (not packet[1] & 0x40 and self._last.get(pid) == packet)
        counter = self._counters.get(pid, -1) + (0 if repeats else 1) & 0x0F
        self._counters[pid] = counter
        self._last[pid] = packet
        parts += (packet[:3], bytes((control & 0xF0 | counter,)), packet[4:])


def _only(packets: bytes, kept: frozenset[int]) -> bytes:
    """The packets of these PIDs, in order, without a loop over packets."""
    whole = unpack("188s" * (len(packets) // PACKET_SIZE), packets)
    return b"".join(compress(whole, map(kept.__contains__, pids_of(packets))))


def _differs(before: Opening, now: Opening) -> bool:
    """Another picture size or profile: encoders that adapt change it without a word in the tables (§4.3.2.3)."""
    if before.resolution and now.resolution and before.resolution != now.resolution:
        return True
    # Other numbers of codecs: a silent track began or ended, which the tables would tell if it were a change.
    return before.codecs != now.codecs and len(before.codecs) == len(now.codecs)
