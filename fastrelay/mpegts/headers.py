"""Finding packets by PID: two bytes of each in a row, for `find` to go through instead of a loop over packets."""

from collections.abc import Iterator

UNIT_START = 0x40
"""payload_unit_start_indicator in the second byte of a packet."""

_WITHOUT_PRIORITY = bytes(byte & ~0x20 for byte in range(256))
"""Takes transport_priority out of a packet's second byte, which then is payload_unit_start and the PID's high bits."""


def headers_of(second: bytes, third: bytes) -> bytearray:
    """The headers of packets whose second and third bytes these are."""
    headers = bytearray(2 * len(second))
    headers[::2] = second.translate(_WITHOUT_PRIORITY)
    headers[1::2] = third
    return headers


def header(pid: int, flags: int = 0) -> bytes:
    """What a packet of this PID has among them; `flags` is UNIT_START where a unit starts in it."""
    return bytes((flags | pid >> 8, pid & 0xFF))


def search(headers: bytearray, wanted: bytes, start: int, stop: int) -> Iterator[int]:
    """The numbers of the packets in [start, stop) that have this header."""
    end = 2 * stop
    at = headers.find(wanted, 2 * start, end)
    while at >= 0:
        if at & 1:
            # The second byte of one packet and the first of the next only look like it.
            at = headers.find(wanted, at + 1, end)
        else:
            yield at >> 1
            at = headers.find(wanted, at + 2, end)
