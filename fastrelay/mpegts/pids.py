"""The PIDs of many packets at once, by strided slices instead of a loop over packets."""

import struct
from collections.abc import Iterator, Sequence

from fastrelay.mpegts.packet import PACKET_SIZE, Buffer

_LOW_BITS = bytes(byte & 0x1F for byte in range(256))
_HIGH_BITS = 0xE0
"""transport_error_indicator, payload_unit_start_indicator and transport_priority, which share a byte with the PID."""


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


def has_payload(packets: Buffer, pid: int) -> bool:
    """Whether one of these packets carries something for this PID, and not only the clock."""
    return any(packets[at * PACKET_SIZE + 3] & 0x10 for at in positions(pids_of(packets), pid))


def with_pids(packets: bytearray, pids: Sequence[int]) -> None:
    """Give each of the whole packets its PID of `pids`."""
    flags = packets[1::PACKET_SIZE]
    packets[1::PACKET_SIZE] = bytes([flag & _HIGH_BITS | pid >> 8 for flag, pid in zip(flags, pids, strict=True)])
    packets[2::PACKET_SIZE] = bytes([pid & 0xFF for pid in pids])
