"""The transport packet (ISO 13818-1 §2.4.3): where its fields are, and finding its borders in a stream of bytes."""

import re
from typing import NamedTuple

Buffer = bytes | bytearray | memoryview

PACKET_SIZE = 188
SYNC_BYTE = 0x47
NULL_PID = 0x1FFF

LOCK_PACKETS = 5
"""So many sync bytes in a row make a lock (ETSI TR 101 290 §5.2.1). A datagram has 7 packets."""

CONFIRMED = bytes([SYNC_BYTE] * 2)
"""The sync bytes of the packets after a damaged one, when only its sync byte was damaged."""

SCRAMBLING = 0xC0
"""transport_scrambling_control in the fourth byte of a packet."""

DISCONTINUITY = 0x80
RANDOM_ACCESS = 0x40
HAS_PCR = 0x10


def pid_at(data: Buffer, offset: int) -> int:
    """The PID of the packet at `offset`."""
    return (data[offset + 1] & 0x1F) << 8 | data[offset + 2]


def payload_at(data: Buffer, offset: int) -> int:
    """Where the payload of the packet at `offset` begins: at the packet's end when it has none or is damaged."""
    control = data[offset + 3] & 0x30
    if control == 0x10:
        return offset + 4
    if control == 0x30:
        return offset + min(5 + data[offset + 4], PACKET_SIZE)
    return offset + PACKET_SIZE


def adaptation_flags(data: Buffer, offset: int) -> int:
    """The flags of the adaptation field (§2.4.3.4): DISCONTINUITY, RANDOM_ACCESS, HAS_PCR; 0 where there is none."""
    return data[offset + 5] if data[offset + 3] & 0x20 and data[offset + 4] else 0


def pcr_at(data: Buffer, offset: int) -> int | None:
    """The base of the PCR in ticks of 90 kHz (§2.4.3.5), if the packet at `offset` carries one."""
    if not adaptation_flags(data, offset) & HAS_PCR or data[offset + 4] < 7:
        return None
    return int.from_bytes(data[offset + 6 : offset + 11]) >> 7


class _Layout(NamedTuple):
    stride: int
    """Bytes from one sync byte to the next."""
    lead: int
    """Bytes in front of a packet that go with it."""
    lock: re.Pattern[bytes]


def _layout(stride: int, lead: int) -> _Layout:
    return _Layout(stride, lead, re.compile(b"G(?:.{%d}G){%d}" % (stride - 1, LOCK_PACKETS - 1), re.DOTALL))


PLAIN = _layout(188, 0)
M2TS = _layout(192, 4)
"""A timestamp of 4 bytes in front of each packet, as Blu-ray and some DLNA servers have it."""
DVB_PARITY = _layout(204, 0)
"""16 bytes of Reed-Solomon parity behind each packet (EN 300 421 §4.4.2)."""

LAYOUTS = (PLAIN, M2TS, DVB_PARITY)
_UNDECIDED = max((LOCK_PACKETS - 1) * layout.stride + layout.lead for layout in LAYOUTS)


class Framer:
    """Makes whole packets of 188 bytes out of bytes as they come. How they are cut into chunks makes no difference.

    `skipped` counts bytes thrown away: what is no packet, and packets with a damaged sync byte. `locked` tells whether
    the packet borders are known. At most 820 bytes are held.
    """

    __slots__ = ("_layout", "_rest", "locked", "skipped")

    def __init__(self) -> None:
        self.locked = False
        self.skipped = 0
        self._layout = PLAIN
        self._rest = b""

    def reset(self) -> None:
        """Forget the unfinished packet and the lock: what follows does not continue it."""
        self.locked = False
        self._rest = b""

    def feed(self, data: bytes) -> bytes | memoryview:
        """The packets that became whole with `data`, one after the other; may be empty.

        Aligned input comes back as the same object. A memoryview returned stays valid and unchanged.
        """
        if self.locked and not self._rest and self._layout is PLAIN and not len(data) % PACKET_SIZE:
            syncs = data[::PACKET_SIZE]
            if syncs.count(SYNC_BYTE) == len(syncs):
                return data
        runs = self._cut(self._rest + data)
        return runs[0] if len(runs) == 1 else b"".join(runs)

    def _cut(self, buffer: bytes) -> list[bytes | memoryview]:
        """The unbroken runs of good packets in `buffer`, stripped. What is unfinished or undecided stays in `_rest`."""
        runs: list[bytes | memoryview] = []
        at = 0
        while True:
            if not self.locked:
                at = self._lock(buffer, at)
                if not self.locked:
                    break
            stride, lead, _ = self._layout
            end = at + _good_packets(buffer[at + lead :: stride], (len(buffer) - at) // stride) * stride
            if end > at:
                runs.append(_strip(buffer, at, end, self._layout))
                at = end
            following = buffer[at + lead : at + lead + 3 * stride : stride]
            if len(following) < 3:
                break
            if following[1:] == CONFIRMED:
                at += stride
                self.skipped += stride
            else:
                self.locked = False
        self._rest = buffer[at:]
        return runs

    def _lock(self, buffer: bytes, at: int) -> int:
        """Look for packets from `at` on: where the first one begins, or, not locked, what must be looked at again.

        The layout whose sync bytes are complete first wins, so that bytes yet to come cannot change the answer.
        """
        found = [
            (hit.end(), hit.start(), layout)
            for layout in LAYOUTS
            if (hit := layout.lock.search(buffer, at + layout.lead))
        ]
        if found:
            _, sync, self._layout = min(found)
            start = sync - self._layout.lead
            self.locked = True
        else:
            start = max(at, len(buffer) - _UNDECIDED)
        self.skipped += start - at
        return start


def _good_packets(syncs: bytes, whole: int) -> int:
    """How many of the first `whole` packets, from the first on, have their sync byte."""
    return whole - len(syncs[:whole].lstrip(b"G"))


def _strip(buffer: bytes, start: int, end: int, layout: _Layout) -> bytes | memoryview:
    """The packets of a run without what is around them; no copy where nothing is."""
    if layout is PLAIN:
        return memoryview(buffer)[start:end]
    firsts = range(start + layout.lead, end, layout.stride)
    return b"".join([buffer[first : first + PACKET_SIZE] for first in firsts])
