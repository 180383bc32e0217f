"""The access units of one stream in a stretch of packets, with their times: where it can be cut, and how long it is."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from fastrelay.mpegts.clock import TICKS_PER_SECOND, MediaClock, ticks_between
from fastrelay.mpegts.headers import UNIT_START, header, headers_of, search
from fastrelay.mpegts.packet import PACKET_SIZE, payload_at
from fastrelay.mpegts.pes import read_head
from fastrelay.mpegts.pids import pids_of


class Moment(NamedTuple):
    """An access unit with a time stamp. `seconds` count from the first one, wraps and jumps left out."""

    offset: int
    """Position of the packet in which it begins."""
    seconds: float
    dts: int
    """Ticks of 90 kHz; the PTS where there is no DTS."""
    jumped: bool
    """Its time does not continue that of the one before."""


def timeline(packets: bytes, pid: int, position: int = 0) -> list[Moment]:
    """The access units that begin in whole packets, the first of which is at `position`.

    Every PES packet is looked at: not for each byte that passes.
    """
    clock = MediaClock()
    moments = []
    for at in _starts(packets, pid):
        head = read_head(packets[payload_at(packets, at) : at + PACKET_SIZE])
        if head is None or head.dts is None:
            continue
        jumps = clock.jumps
        clock.tick(head.dts)
        moments.append(Moment(position + at, clock.seconds, head.dts, clock.jumps > jumps))
    return moments


def _starts(packets: bytes, pid: int) -> Iterator[int]:
    """The offsets of the packets of this PID that have payload_unit_start_indicator."""
    headers = headers_of(packets[1::PACKET_SIZE], packets[2::PACKET_SIZE])
    for at in search(headers, header(pid, UNIT_START), 0, len(headers) // 2):
        yield at * PACKET_SIZE


def usual_step(moments: list[Moment]) -> float:
    """Seconds from one access unit to the next, most of the time; 0 where there is but one."""
    steps = Counter(ticks_between(before.dts, after.dts) for before, after in pairwise(moments) if not after.jumped)
    return max(0, steps.most_common(1)[0][0]) / TICKS_PER_SECOND if steps else 0.0


def usual_size(packets: bytes, pid: int, moments: list[Moment]) -> float:
    """Packets of one access unit, on average over whole ones; `packets` are those from the first moment on."""
    return pids_of(packets).count(pid) / len(moments) if moments else 0.0


def last_step(packets: bytes, pid: int, moments: list[Moment], step: float, size: float = 0.0) -> float:
    """Seconds that the last of the moments lasts, at most `step`; `packets` are those from the first moment on.

    For audio. Its PES packets hold several frames, and where a stream ends the last one often fewer than the others: it
    lasts as long as its bytes do at the rate of those before, or, where there are none, of access units of `size`
    packets each.
    """
    seconds = moments[-1].seconds - moments[0].seconds
    split = (moments[-1].offset - moments[0].offset) // PACKET_SIZE
    pids = pids_of(packets)
    before: float = pids[:split].count(pid)
    if not (before and seconds > 0):
        before, seconds = size, step
    return min(step, pids[split:].count(pid) * seconds / before) if before else step
