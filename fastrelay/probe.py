"""`fastrelay probe`: opens a source as a relay would, listens for a while and says what it is."""

import asyncio
from collections import Counter

from fastrelay.config import Failover
from fastrelay.errors import SourceError
from fastrelay.mpegts.access import Mark
from fastrelay.mpegts.codecs import codec_of
from fastrelay.mpegts.marks import Scanner
from fastrelay.mpegts.packet import NULL_PID, PACKET_SIZE, Framer, pid_at
from fastrelay.mpegts.psi import PAT_PID
from fastrelay.sources.addresses import AddressPolicy
from fastrelay.sources.base import Source
from fastrelay.sources.open import Opener

EVERYWHERE = ("0.0.0.0/0", "::/0")
"""Who types the URL may look at any of his own addresses."""

CARRIERS = {
    "ts": "over HTTP",
    "hls": "over HLS",
    "udp": "over UDP",
    "rtp": "over RTP",
    "file": "in a file",
    "exec": "from a command",
}
"""How the kinds of sources bring their transport stream."""


class Report:
    """What has been seen of a transport stream."""

    def __init__(self) -> None:
        self.scanner = Scanner()
        self.framer = Framer()
        self.packets: Counter[int] = Counter()
        self.marks: list[Mark] = []
        self.size = 0

    def feed(self, data: bytes) -> None:
        """Take the stream's next bytes."""
        packets = bytes(self.framer.feed(data))
        self.marks += self.scanner.scan(packets, self.size)
        self.size += len(packets)
        self.packets.update(pid_at(packets, offset) for offset in range(0, len(packets), PACKET_SIZE))

    def text(self, kind: str) -> str:
        """The report, a fact a line."""
        scanner, seconds = self.scanner, self.scanner.clock.seconds
        lines = [f"container          MPEG-TS {CARRIERS[kind]}, {self.size:,} bytes, {seconds:.1f} s of media"]
        if seconds:
            lines.append(f"bitrate            {8 * self.size / seconds / 1e6:.3f} Mbit/s")
        lines.append(f"continuity errors  {scanner.continuity_errors}")
        lines.append(f"bytes out of sync  {self.framer.skipped}")
        lines.append(f"timestamp jumps    {scanner.clock.jumps}")
        lines.append(f"random access      {self._random_access()}")
        for program in scanner.programs:
            followed = " (relayed)" if program == scanner.program and len(scanner.programs) > 1 else ""
            lines.append(f"program {program.number}{followed}: PMT {program.pmt_pid}, PCR {program.pcr_pid}")
            for stream in program.streams:
                codec = codec_of(stream)
                share = self._share(stream.pid, seconds)
                lines.append(f"  pid {stream.pid:<5} {codec.kind:<9} {codec.name:<16} {share}")
        known = {pid for program in scanner.programs for pid in (program.pmt_pid, *(s.pid for s in program.streams))}
        for pid in sorted(set(self.packets) - known - {PAT_PID}):
            name = "null packets" if pid == NULL_PID else "in no program"
            lines.append(f"  pid {pid:<5} {'other':<9} {name:<16} {self._share(pid, seconds)}")
        return "\n".join(lines)

    def _share(self, pid: int, seconds: float) -> str:
        size = self.packets[pid] * PACKET_SIZE
        return f"{8 * size / seconds / 1000:.0f} kbit/s" if seconds else f"{size:,} bytes"

    def _random_access(self) -> str:
        if not self.marks:
            return "scrambled" if self.scanner.scrambled else "none seen"
        steps = [after.seconds - before.seconds for before, after in zip(self.marks, self.marks[1:], strict=False)]
        every = f", every {min(steps):.2f} to {max(steps):.2f} s" if steps else ""
        return f"{len(self.marks)} point(s){every}"


async def probe_source(url: str, seconds: float) -> str:
    """Listen to `url` for so long (or, where it comes faster, for so much media); returns the report.

    Raises SourceError when it cannot be opened or nothing of a stream came.
    """
    opener = Opener(Failover(), AddressPolicy(EVERYWHERE), None)
    source = await opener.open(url, trusted=True)
    report = Report()
    ended = ""
    try:
        async with asyncio.timeout(seconds):
            await _listen(source, report, seconds)
    except TimeoutError:
        pass
    except SourceError as error:
        if not report.size:
            raise
        ended = f"\nended: {error}"
    finally:
        await source.close()
    return report.text(source.kind) + ended


async def _listen(source: Source, report: Report, seconds: float) -> None:
    while report.scanner.clock.seconds < seconds:
        chunk = await source.read()
        if chunk is None:
            return
        if chunk.discontinuity:
            report.framer.reset()
            report.scanner.splice()
        report.feed(chunk.data)
