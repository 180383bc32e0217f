"""PAT and PMT as an HLS segment begins with them: for one program, and with counters that go on (RFC 8216 §3.2)."""

from dataclasses import dataclass
from functools import lru_cache

from fastrelay.mpegts.codecs import codec_of
from fastrelay.mpegts.packet import NULL_PID, PACKET_SIZE, pid_at
from fastrelay.mpegts.programs import ProgramTables
from fastrelay.mpegts.psi import CRC_SIZE, PAT_PID, PAT_TABLE, Program, SectionReader, crc32

_KEPT = 1024
"""A stream's tables come again and again with other counters, of which there are 256: parsed once for all streams."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables in force at one place of a stream, made ready to stand in front of a segment."""

    program: Program
    packets: bytes
    """PAT and PMT; the PAT lists no other program."""
    pids: frozenset[int] | None
    """All that belongs to the program, where there are others beside it; None where everything may stay."""

    @property
    def pat(self) -> bytes:
        """The packet that stands for every PAT of the input where there are other programs."""
        return self.packets[:PACKET_SIZE]

    @property
    def tracks(self) -> frozenset[tuple[int, str]]:
        """What must stay the same for a player to go on without a reset: PIDs and their codecs (§4.3.2.3)."""
        return frozenset((stream.pid, codec_of(stream).name) for stream in self.program.streams)


@lru_cache(_KEPT)
def read_tables(packets: bytes) -> Tables | None:
    """Read the packets that a mark carries; None if they are no PAT with a PMT."""
    reader = ProgramTables()
    for at in range(0, len(packets), PACKET_SIZE):
        reader.feed(pid_at(packets, at), packets[at : at + PACKET_SIZE])
    program = reader.program
    if program is None:
        return None
    if len(reader.programs) + len(reader.missing) == 1:
        return Tables(program, packets, None)
    pmt = [
        packets[at : at + PACKET_SIZE]
        for at in range(0, len(packets), PACKET_SIZE)
        if pid_at(packets, at) == program.pmt_pid
    ]
    pids = {PAT_PID, program.pmt_pid, program.pcr_pid, *(stream.pid for stream in program.streams)}
    return Tables(program, b"".join([_pat_of_one(packets, program), *pmt]), frozenset(pids - {NULL_PID}))


def _pat_of_one(packets: bytes, program: Program) -> bytes:
    """A PAT packet with this program alone; transport_stream_id and version are those of the first PAT in `packets`."""
    sections: list[bytes] = []

    def take(section: bytes) -> bool:
        sections.append(section)
        return True

    reader = SectionReader(take)
    for at in range(0, len(packets), PACKET_SIZE):
        if pid_at(packets, at) == PAT_PID:
            reader.feed(packets[at : at + PACKET_SIZE])
    size = 5 + 4 + CRC_SIZE
    made = bytes([PAT_TABLE, 0xB0, size, *sections[0][3:6], 0, 0])
    made += program.number.to_bytes(2) + (0xE000 | program.pmt_pid).to_bytes(2)
    made += crc32(made).to_bytes(CRC_SIZE)
    return (b"\x47\x40\x00\x10\x00" + made).ljust(PACKET_SIZE, b"\xff")
