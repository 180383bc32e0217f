"""The PIDs of many packets at once, by strided slices instead of a loop over packets."""

import struct
from collections.abc import Iterator

from fastrelay.mpegts.packet import PACKET_SIZE, Buffer

_LOW_BITS = bytes(byte & 0x1F for byte in range(256))


def pids_of(packets: Buffer) -> tuple[int, ...]:
    """The PIDs of whole packets, in order."""
    raw = bytes(packets)
    both = bytearray(2 * (len(raw) // PACKET_SIZE))
    both[0::2] = raw[1::PACKET_SIZE].translate(_LOW_BITS)
    both[1::2] = raw[2::PACKET_SIZE]
    return struct.unpack(f">{len(both) // 2}H", both)


def positions(pids: tuple[int, ...], pid: int) -> Iterator[int]:
    """The indices at which `pid` stands in `pids`."""
    at = -1
    for _ in range(pids.count(pid)):
        at = pids.index(pid, at + 1)
        yield at
