"""What the tests of segments share: a reading of transport streams that owes nothing to the code under test."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field

from fastrelay.hls.packager import Packager
from fastrelay.hls.segmenter import Segmenter
from fastrelay.hls.store import Memory, Numbers, Store
from fastrelay.ring.index import Index
from fastrelay.ring.ring import Ring
from fastrelay.streams.ingest import Ingest, Retention

PACKET = 188
CHUNK = 348 * PACKET
NULL = 0x1FFF


def packets(data: bytes) -> list[bytes]:
    assert len(data) % PACKET == 0
    return [data[at : at + PACKET] for at in range(0, len(data), PACKET)]


def pid_of(packet: bytes) -> int:
    return (packet[1] & 0x1F) << 8 | packet[2]


def payload_of(packet: bytes) -> bytes:
    control = packet[3] >> 4 & 3
    if control == 1:
        return packet[4:]
    return packet[5 + packet[4] :] if control == 3 else b""


def pmt_pids(data: bytes) -> set[int]:
    """The PMT PIDs that the first PAT names."""
    first = next(packet for packet in packets(data) if pid_of(packet) == 0 and packet[1] & 0x40)
    section = payload_of(first)[1:]
    size = 3 + ((section[1] & 0x0F) << 8 | section[2])
    entries = section[8 : size - 4]
    return {
        (entries[at + 2] & 0x1F) << 8 | entries[at + 3]
        for at in range(0, len(entries), 4)
        if entries[at : at + 2] != b"\0\0"
    }


def oracle(data: bytes, tables: set[int]) -> dict[int, str]:
    """A hash of each PID's payload, in order; `tables` are the PIDs that may be repeated and are left out."""
    hashes: dict[int, hashlib._Hash] = defaultdict(hashlib.sha256)
    for packet in packets(data):
        if pid_of(packet) not in tables:
            hashes[pid_of(packet)].update(payload_of(packet))
    return {pid: made.hexdigest() for pid, made in hashes.items()}


def counter_errors(data: bytes, pids: set[int]) -> int:
    """Packets of these PIDs whose counter is not one more than the last: not even a repeat is allowed."""
    errors = 0
    last: dict[int, int] = {}
    for packet in packets(data):
        pid = pid_of(packet)
        if pid in pids and packet[3] & 0x10:
            counter = packet[3] & 15
            errors += pid in last and counter != (last[pid] + 1) & 15
            last[pid] = counter
    return errors


def begins_with_tables(data: bytes) -> bool:
    """PAT, then a whole PMT, before anything else."""
    pids = [pid_of(packet) for packet in packets(data[: 16 * PACKET])]
    (pmt,) = pmt_pids(data)
    rest = pids[pids.index(pmt) :]
    return pids[0] == 0 and pids[: pids.index(pmt)] == [0] * pids.index(pmt) and rest[0] == pmt


@dataclass
class Live:
    """A stream as the server has it, with a packager on its ring."""

    duration: float = 4.0
    ring_size: int = 64 << 20
    window: int | None = 6
    now: float = 1_000.0
    after: Numbers | None = None
    discontinuity: int = 0
    packager: Packager | None = None
    ingest: Ingest = field(init=False)

    def __post_init__(self) -> None:
        self.ingest = Ingest(Ring(self.ring_size), Index(), Retention(8.0, 2.0, self.ring_size))

    @property
    def ring(self) -> Ring:
        return self.ingest.ring

    @property
    def store(self) -> Store:
        assert self.packager is not None
        return self.packager.store

    def watch(self) -> None:
        """The first HLS viewer comes."""
        read = self.ring.copy
        self.packager = Packager(
            Segmenter(self.duration, read),
            Store(self.now, self.window, Memory(1 << 40), self.after, self.discontinuity),
            read,
        )
        self._tell()

    def feed(self, data: bytes, seconds_per_chunk: float = 0.1) -> None:
        for at in range(0, len(data), CHUNK):
            self.now += seconds_per_chunk
            if self.ingest.feed(data[at : at + CHUNK]):
                self._tell()

    def switch(self) -> None:
        """Another source follows."""
        self.ingest.begin()
        if self.packager is not None:
            self.packager.segmenter.switch(self.ring.head)

    def _tell(self) -> None:
        if self.packager is not None:
            index = self.ingest.index
            self.packager.feed(index.marks, self.ring.head, index.seconds, self.ring.tail, self.now)
