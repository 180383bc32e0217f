"""MPEG-TS in RTP (RFC 3550, RFC 2250): headers stripped, order restored, losses counted. Pure."""

from typing import NamedTuple

WINDOW_PACKETS = 256
WINDOW_SECONDS = 0.1
"""A packet that is later than this is given up; networks that reorder do so within a few milliseconds."""

MAX_DROPOUT = 3000
MAX_MISORDER = 100
"""Packets: a longer way ahead or back is another numbering, not loss or reordering (RFC 3550 appendix A.1)."""

_FIXED_HEADER = 12
_MP2T = 33
_SYNC = 0x47


class RtpPacket(NamedTuple):
    sequence: int
    ssrc: bytes
    payload: bytes


def parse(datagram: bytes) -> RtpPacket | None:
    """Take the RTP header off (RFC 3550 §5.1, §5.3.1); None for what is not RTP with MPEG-TS in it."""
    if len(datagram) < _FIXED_HEADER or datagram[0] & 0xC0 != 0x80:
        return None
    has_padding, has_extension, sources = datagram[0] & 0x20, datagram[0] & 0x10, datagram[0] & 0x0F
    start = _FIXED_HEADER + 4 * sources
    if has_extension:
        start += 4 + 4 * int.from_bytes(datagram[start + 2 : start + 4])
    end = len(datagram) - (datagram[-1] if has_padding else 0)
    is_empty = start == end and datagram[1] & 0x7F == _MP2T
    if not is_empty and (start >= end or datagram[start] != _SYNC):
        return None
    return RtpPacket(int.from_bytes(datagram[2:4]), datagram[8:12], datagram[start:end])


class Reorder:
    """Puts packets back in order, within a window of packets and seconds.

    `lost` counts the numbers that never came in time. Repeated and late packets are dropped. A sender that starts
    anew (another SSRC, or numbers far off twice in a row) is followed at once; that is no loss.
    """

    def __init__(self) -> None:
        self.lost = 0
        self._ssrc = b""
        self._next: int | None = None
        self._waiting: dict[int, tuple[bytes, float]] = {}
        self._strange: RtpPacket | None = None

    def take(self, packet: RtpPacket, now: float) -> list[bytes]:
        """The payloads that are due after `packet` came at `now` (seconds), in order."""
        if self._next is None or packet.ssrc != self._ssrc:
            return self._begin(packet)
        ahead = (packet.sequence - self._next) & 0xFFFF
        if MAX_DROPOUT < ahead < 0x10000 - MAX_MISORDER:
            return self._far_off(packet)
        self._strange = None
        if ahead <= MAX_DROPOUT:
            self._waiting.setdefault(packet.sequence, (packet.payload, now))
        due = self._run()
        while self._waiting and self._is_overdue(now):
            due += self._skip()
        return due

    def _begin(self, *packets: RtpPacket) -> list[bytes]:
        due: list[bytes] = []
        while self._waiting:
            due += self._skip()
        self._strange = None
        self._ssrc = packets[-1].ssrc
        self._next = (packets[-1].sequence + 1) & 0xFFFF
        return due + [packet.payload for packet in packets]

    def _far_off(self, packet: RtpPacket) -> list[bytes]:
        """One stray packet changes nothing; a second that continues it shows that the sender counts anew."""
        before, self._strange = self._strange, packet
        if before is not None and packet.sequence == (before.sequence + 1) & 0xFFFF:
            return self._begin(before, packet)
        return []

    def _run(self) -> list[bytes]:
        """What waits without a gap in front of it."""
        due: list[bytes] = []
        while self._next in self._waiting:
            due.append(self._waiting.pop(self._next)[0])
            self._next = (self._next + 1) & 0xFFFF
        return due

    def _is_overdue(self, now: float) -> bool:
        _, since = next(iter(self._waiting.values()))
        return len(self._waiting) > WINDOW_PACKETS or now - since >= WINDOW_SECONDS

    def _skip(self) -> list[bytes]:
        """Give up the gap in front of what waits."""
        base = self._next or 0
        gap = min((sequence - base) & 0xFFFF for sequence in self._waiting)
        self.lost += gap
        self._next = (base + gap) & 0xFFFF
        return self._run()
