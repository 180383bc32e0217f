"""--verify: is what a viewer got a transport stream without a hole, and where that can be known, without a wrong byte?

A position-coded source (bench/origin.py, tests/kit/position_coded.py) is recognised by its packets.
"""

from itertools import pairwise

from fastrelay.mpegts.continuity import Continuity
from tests.kit.checker import Checker
from tests.kit.position_coded import PositionCoded, identity
from tests.kit.ts_packets import PACKET, pid_of, without_flag

CODED_RATE = 500_000
"""Bytes per second of a position-coded source, unless it is told; its key frames are a second apart."""
CODED_SOURCES = 32
"""Position-coded sources are known by the ids 1 to this."""

_LOOK_FOR_CODE = 64
"""Packets in which a position-coded stream shows that it is one."""
_IN_STEP = 4
"""Sync bytes at the distance of a packet that make a stream."""
_NO_STREAM = 4 << 20
"""Bytes without a place to begin at: ten seconds are more than any key-frame interval."""


class Checks:
    """Makes the checks of one process. Coded sources are shared: their pictures are computed once for all viewers."""

    def __init__(self, byte_rate: int = CODED_RATE) -> None:
        """`byte_rate` is that of the coded sources."""
        self._sources = [PositionCoded(number, byte_rate) for number in range(1, CODED_SOURCES + 1)]

    def of_stream(self) -> "StreamCheck":
        """For one endless response."""
        return StreamCheck(self._sources)

    def of_segments(self) -> "SegmentCheck":
        """For the segments of one HLS player, in their order."""
        return SegmentCheck(self._sources)


class Packets:
    """Sync bytes and continuity counters of any transport stream."""

    def __init__(self) -> None:
        self._continuity = Continuity()
        self._rest = b""
        self._position = 0

    def feed(self, data: memoryview) -> str:
        whole = self._rest + data
        size = len(whole) // PACKET * PACKET
        whole, self._rest = whole[:size], whole[size:]
        if whole[::PACKET].strip(b"\x47"):
            return f"no sync byte 0x47 where a packet starts, in the {size} bytes from byte {self._position}"
        self._continuity.check(whole, whole[1::PACKET], whole[2::PACKET], whole[3::PACKET])
        if self._continuity.errors:
            return f"a continuity counter does not follow, in the {size} bytes from byte {self._position}"
        self._position += size
        return ""


class StreamCheck:
    """Sync and continuity of every packet; and every byte of a position-coded stream from its first key frame on.

    Where a server begins is its own affair: what is before the first whole packet is passed over, and in a
    position-coded stream what is before the first PAT, PMT and key frame.
    """

    def __init__(self, sources: list[PositionCoded]) -> None:
        self._sources = sources
        self._begun: Packets | Checker | None = None
        self._first = bytearray()

    def feed(self, data: memoryview) -> str:
        """The first fault, for people; empty while there is none."""
        if self._begun is None:
            self._first += data
            self._begun, start = self._begin(bytes(self._first))
            if self._begun is None:
                return "no transport stream" if len(self._first) > _NO_STREAM else ""
            data = memoryview(bytes(self._first[start:]))
        if isinstance(self._begun, Packets):
            return self._begun.feed(data)
        self._begun.feed(data)
        return str(self._begun.fault) if self._begun.fault else ""

    def _begin(self, data: bytes) -> tuple[Packets | Checker | None, int]:
        """What checks this stream, and from which byte on; None while that cannot be told."""
        aligned = next((at for at in range(PACKET) if data[at::PACKET].startswith(b"\x47" * _IN_STEP)), None)
        if aligned is None:
            return None, 0
        packets = _split(data[aligned:])
        known = [identity(packet) for packet in packets]
        if not any(known):
            return (Packets(), aligned) if len(packets) > _LOOK_FOR_CODE else (None, 0)
        for place, (pat, pmt) in enumerate(pairwise(packets[:-1])):
            found = known[place + 2]
            if pid_of(pat) == 0 and known[place + 1] is None and pid_of(pmt) and found:
                source = next((one for one in self._sources if one.source_id == found[0]), None)
                if source is not None and source.starts_idr(found[1]):
                    return Checker(*self._sources), aligned + place * PACKET
        return None, 0


class SegmentCheck:
    """Each segment: sync, continuity, a PAT first; and where packets are numbered, none missing and none twice.

    Tables may be inserted before a segment, so the numbers of PAT and PMT packets may lack; those of media may not.
    """

    def __init__(self, sources: list[PositionCoded]) -> None:
        self._sources = {source.source_id: source for source in sources}
        self._source: PositionCoded | None = None
        self._last = -1

    def segment(self, data: bytes, name: str) -> str:
        """The first fault in the next segment, for people; empty when there is none."""
        if len(data) % PACKET or not data:
            return f"{name}: {len(data)} bytes are no whole packets"
        if pid_of(data[:PACKET]) != 0:
            return f"{name}: begins with PID {pid_of(data[:PACKET])}, not with a PAT"
        fault = Packets().feed(memoryview(data)) or self._positions(data)
        return f"{name}: {fault}" if fault else ""

    def discontinuity(self) -> None:
        """The playlist says that what follows continues nothing."""
        self._last = -1

    def _positions(self, data: bytes) -> str:
        for packet in _split(data):
            plain = without_flag(packet)
            known = identity(plain)
            if known is None:
                continue
            number = known[1]
            if self._source is None or self._source.source_id != known[0]:
                self._source, self._last = self._sources.get(known[0]), -1
                if self._source is None:
                    return f"packet of an unknown source {known[0]}"
            if self._last >= 0 and not self._follows(self._source, number):
                return f"packet {number} after packet {self._last}"
            if plain != self._source.packets(1, number):
                return f"packet {number} is damaged"
            self._last = number
        return ""

    def _follows(self, source: PositionCoded, number: int) -> bool:
        due = self._last + 1
        frame = source.frame_of(due)
        return number == max(due, source.media_start(frame))


def _split(data: bytes | bytearray) -> list[bytes]:
    return [bytes(data[at : at + PACKET]) for at in range(0, len(data) - PACKET + 1, PACKET)]
