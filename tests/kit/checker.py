"""Proves that a viewer got a contiguous slice of position-coded streams, cleanly joined and cleanly switched."""

from dataclasses import dataclass

from tests.kit.position_coded import PositionCoded, identity
from tests.kit.ts_packets import PACKET, has_payload, is_flagged, pid_of, section_of, without_flag

PAT_PID = 0


@dataclass(frozen=True)
class Fault:
    """The first thing that is wrong. `position` counts bytes of the body."""

    position: int
    expected: str
    got: str

    def __str__(self) -> str:
        return f"at byte {self.position} (packet {self.position // PACKET}): expected {self.expected}, got {self.got}"


@dataclass(frozen=True)
class Start:
    """Where a viewer joined, or what a switch led to: at `position` bytes, packet `number` of the source."""

    position: int
    source_id: int
    number: int
    pmt_version: int


class Checker:
    """Feed it the body in any chunks; `fault` is the first fault, nothing is checked after it.

    It wants PAT, PMT and the start of an IDR picture, then the packets of that source one by one. Where a packet with
    discontinuity_indicator comes, it wants a switch to any of `sources` (also the same one, dialled again): flags on
    the first packet of every PID, another PMT version, and again PAT, PMT, IDR. The version after a switch is free,
    but stays until the next one. Programme number and PIDs are over all switches those of the source that was the first
    of the stream, be it before this viewer came: many receivers look at the tables only once.
    """

    def __init__(self, *sources: PositionCoded) -> None:
        self.fault: Fault | None = None
        self.starts: list[Start] = []
        self.position = 0
        # Under the numbers of any of them, until the first start tells whose they are.
        self._sources = {
            (sent.source_id, sent.pids): sent for source in sources for sent in map(source.sent_after, sources)
        }
        self._stream_id = 0
        """transport_stream_id of the first PAT; players want it to stay, whatever the sources say."""
        self._pending = bytearray()
        self._number = 0
        self._source: PositionCoded | None = None
        self._open()

    @property
    def switches(self) -> list[Start]:
        return self.starts[1:]

    @property
    def leftover(self) -> int:
        """Bytes of an unfinished packet at the end; a reset may leave some, a clean end may not."""
        return len(self._pending)

    def feed(self, data: bytes | memoryview) -> None:
        if self.fault:
            return
        self._pending += data
        buffer, at = bytes(self._pending), 0
        while len(buffer) - at >= PACKET and not self.fault:
            used = self._run(buffer, at) or self._single(buffer[at : at + PACKET])
            at += used
            self.position += used
        del self._pending[:at]

    def verify(self, least: int = 1, switches: int | None = None) -> None:
        """Raise AssertionError unless at least `least` bytes came, all of them right, with as many switches."""
        assert self.fault is None, str(self.fault)
        assert self.starts, f"no start of a stream within {self.position} bytes"
        assert self.position >= least, f"only {self.position} bytes of {least}"
        if switches is not None:
            assert len(self.switches) == switches, f"{len(self.switches)} switches instead of {switches}"

    def _run(self, buffer: bytes, at: int) -> int:
        """The fast path: a whole run of media packets, compared at once. 0 where it takes a closer look."""
        source, number = self._source, self._number
        if source is None or self._due:
            return 0
        frame = source.frame_of(number)
        first = source.media_start(frame)
        if number < first:
            return 0
        media, skip = source.media(frame), (number - first) * PACKET
        size = min(len(media) - skip, (len(buffer) - at) // PACKET * PACKET)
        if buffer[at : at + size] != media[skip : skip + size]:
            return 0
        self._number += size // PACKET
        return size

    def _single(self, packet: bytes) -> int:
        if packet[0] != 0x47:
            self._fail("sync byte 0x47", f"0x{packet[0]:02x}")
        elif self._source is None:
            self._opening(packet)
        else:
            self._continue(self._source, packet)
        return PACKET

    def _fail(self, expected: str, got: str) -> None:
        self.fault = Fault(self.position, expected, got)

    # The start of a stream: PAT, PMT, key frame.

    def _open(self) -> None:
        self._sections: dict[int, bytes] = {}
        self._counters: dict[int, int] = {}
        self._flagged: dict[int, int] = {}
        self._due: set[int] = set()
        self._previous, self._source = self._source, None

    def _opening(self, packet: bytes) -> None:
        pid, flagged = pid_of(packet), is_flagged(packet)
        pmt_pid = self._pmt_pid()
        if flagged and not has_payload(packet) and (self._sections or self._previous):
            self._flagged[pid] = packet[3] & 15
        elif PAT_PID not in self._sections:
            self._open_psi("PAT", PAT_PID, packet)
        elif pmt_pid not in self._sections:
            self._open_psi("PMT", pmt_pid, packet)
        else:
            self._open_picture(packet)

    def _pmt_pid(self) -> int:
        section = self._sections.get(PAT_PID)
        return (section[10] & 0x1F) << 8 | section[11] if section else -1

    def _open_psi(self, name: str, pid: int, packet: bytes) -> None:
        section = section_of(packet)
        if pid_of(packet) != pid or section is None:
            self._fail(f"a {name} on PID {pid}", self._describe(packet))
        elif self._flags_right(pid, packet):
            self._sections[pid] = section
            self._counters[pid] = packet[3] & 15

    def _open_picture(self, packet: bytes) -> None:
        source, known = self._identify(packet)
        if known is None or source is None or not source.starts_idr(known[1]):
            return self._fail("the start of an IDR picture", self._describe(packet))
        if without_flag(packet) != source.packets(1, known[1]):
            return self._fail(f"packet {known[1]} of source {known[0]} as it was", packet.hex())
        pat, pmt = self._sections[PAT_PID], self._sections[self._pmt_pid()]
        version = _version(pmt)
        self._stream_id = self._stream_id or pat[3] << 8 | pat[4]
        if pat != source.pat(_version(pat), self._stream_id) or pmt != source.pmt(version):
            return self._fail(f"the PAT and PMT of source {source.source_id} before it", f"{pat.hex()}, {pmt.hex()}")
        if self._previous and version == self.starts[-1].pmt_version:
            return self._fail("a new PMT version after a switch", f"version {version} again")
        if self._flags_right(source.video_pid, packet):
            self._source, self._number = source, known[1] + 1
            self._sources = {key: one for key, one in self._sources.items() if one.pids == source.pids}
            self._due = {source.audio_pid}
            self.starts.append(Start(self.position, source.source_id, known[1], version))
        return None

    def _identify(self, packet: bytes) -> tuple[PositionCoded | None, tuple[int, int] | None]:
        """Whose packet it is, with source id and number. Before the first start the PAT tells whose numbers count."""
        for source in self._sources.values():
            fits = source.pmt_pid == self._pmt_pid() or PAT_PID not in self._sections
            if fits and (known := source.identity(without_flag(packet))):
                return source, known
        return None, identity(without_flag(packet))

    def _flags_right(self, pid: int, packet: bytes) -> bool:
        """After a switch: is this first packet of a PID flagged, by itself or by an inserted one right before it?"""
        counter = self._flagged.get(pid)
        if counter is not None and (counter + 1) & 15 != packet[3] & 15:
            self._fail(f"continuity counter {(counter + 1) & 15} after the inserted packet", self._describe(packet))
        elif self._previous and counter is None and not is_flagged(packet):
            self._fail(f"discontinuity_indicator on the first packet of PID {pid}", self._describe(packet))
        return self.fault is None

    # Within a stream: one packet after the other.

    def _continue(self, source: PositionCoded, packet: bytes) -> None:
        pid, flagged, frame = pid_of(packet), is_flagged(packet), source.frame_of(self._number)
        if flagged and not has_payload(packet) and pid in self._due and pid not in self._flagged:
            self._flagged[pid] = packet[3] & 15
        elif flagged:
            self._open()
            self._opening(packet)
        elif self._number < source.media_start(frame):
            self._repeat_psi(source, frame, packet)
        else:
            self._media(source, packet)

    def _repeat_psi(self, source: PositionCoded, frame: int, packet: bytes) -> None:
        pid = (PAT_PID, source.pmt_pid)[self._number - source.frame_start(frame)]
        counter = (self._counters[pid] + 1) & 15
        if pid_of(packet) != pid or section_of(packet) != self._sections[pid]:
            self._fail(f"the {'PMT' if pid else 'PAT'} in force, on PID {pid}", self._describe(packet))
        elif packet[3] & 15 != counter:
            self._fail(f"continuity counter {counter} on PID {pid}", self._describe(packet))
        self._counters[pid] = counter
        self._number += 1

    def _media(self, source: PositionCoded, packet: bytes) -> None:
        if packet != source.packets(1, self._number):
            return self._fail(f"packet {self._number} of source {source.source_id}", self._describe(packet))
        pid = pid_of(packet)
        if pid in self._due and self._flags_right(pid, packet):
            self._due.discard(pid)
        self._number += 1
        return None

    def _describe(self, packet: bytes) -> str:
        what = f"PID {pid_of(packet)}, counter {packet[3] & 15}"
        known = self._identify(packet)[1]
        if is_flagged(packet):
            what += ", discontinuity_indicator"
        if known is None:
            section = section_of(packet)
            what += f", section {section.hex()}" if section else f", damaged or foreign: {packet.hex()}"
            return what
        what += f", packet {known[1]} of source {known[0]}"
        if self._source and known[0] == self._source.source_id:
            distance = known[1] - self._number
            what += f" ({distance} too far)" if distance > 0 else f" ({-distance} back)" if distance else ""
        return what


def _version(section: bytes) -> int:
    return section[5] >> 1 & 31
