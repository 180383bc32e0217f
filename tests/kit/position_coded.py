"""A transport stream in which every packet says where it belongs.

All of it is computed from the packet's number alone, so that any slice can be made again and compared. It is a real
stream: PAT and PMT with CRC, H.264 that decodes, silent AAC, PTS, DTS, PCR and continuity counters. The bulk is filler
(an H.264 filler NAL unit, an AAC fill element) that repeats the packet's number; the last 29 bytes of each packet
but PAT and PMT are, in ASCII: source id (4 hex digits), number (16), CRC-32 of all before it (8), and a full stop.
"""

import zlib
from dataclasses import dataclass, field, fields

from tests.kit import h264
from tests.kit.ts_packets import (
    CLOCK,
    PACKET,
    header,
    pat_section,
    pcr_field,
    pes_header,
    pid_of,
    pmt_section,
    psi_packet,
)

FRAMES_PER_SECOND = 25
FRAMES_PER_PSI = 2
"""PAT and PMT are repeated before every second frame: each 80 ms, and not before every key frame."""
DECODER_DELAY = CLOCK // 2
"""Ticks from the arrival of a frame (its PCR) to its DTS."""

_FRAME_TICKS = CLOCK // FRAMES_PER_SECOND
_AUDIO_TICKS = 1024 * CLOCK // 48_000
_SMALLEST_FRAME = 7
_CACHE_BYTES = 64 << 20
_SILENCE = bytes.fromhex("fff14c40155ffc00000006f8f0")
"""ADTS header of a 170-byte frame (48 kHz, mono) and a silent channel, up to the bytes of a fill element."""


@dataclass
class PositionCoded:
    """An endless stream of `byte_rate` bytes per second (25 frames per second, a key frame every `gop` seconds).

    Packets are numbered from 0. `start_pts` is the DTS of the first frame, in 90 kHz ticks; it may lie before the wrap.
    `macroblocks` are columns and rows of the picture, 16 pixels each, at most 81 in all.
    """

    source_id: int = 1
    byte_rate: int = 500_000
    gop: float = 1.0
    program: int = 1
    pmt_pid: int = 0x1000
    video_pid: int = 0x100
    audio_pid: int = 0x101
    psi_version: int = 0
    start_pts: int = 10 * CLOCK
    macroblocks: tuple[int, int] = (4, 4)
    _frames: dict[int, bytes] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.byte_rate < _SMALLEST_FRAME * PACKET * FRAMES_PER_SECOND:
            raise ValueError("byte_rate: a frame needs 7 packets, that is 32,900 bytes per second")
        self.gop_frames = round(self.gop * FRAMES_PER_SECOND)
        self._parameter_sets = h264.parameter_sets(*self.macroblocks)

    @property
    def pids(self) -> tuple[int, int, int, int]:
        """PAT, PMT, video, audio."""
        return (0, self.pmt_pid, self.video_pid, self.audio_pid)

    def packets(self, count: int, start: int = 0) -> bytes:
        """`count` packets from number `start` on."""
        parts, end = [], start + count
        while start < end:
            frame = self.frame_of(start)
            first, last = self.frame_start(frame), min(end, self.frame_start(frame + 1))
            whole = self._psi(frame) + self.media(frame)
            parts.append(whole[(start - first) * PACKET : (last - first) * PACKET])
            start = last
        return b"".join(parts)

    def take(self, seconds: float, start: float = 0.0) -> bytes:
        """The packets between two moments of the stream, in seconds since its packet 0."""
        first = self.number_at(start)
        return self.packets(self.number_at(start + seconds) - first, first)

    def number_at(self, seconds: float) -> int:
        return int(seconds * self.byte_rate) // PACKET

    def frame_start(self, frame: int) -> int:
        """Number of the first packet of a frame: its PAT where it has one, else the start of its PES."""
        return frame * self.byte_rate // (PACKET * FRAMES_PER_SECOND)

    def frame_of(self, number: int) -> int:
        return ((number + 1) * PACKET * FRAMES_PER_SECOND - 1) // self.byte_rate

    def media_start(self, frame: int) -> int:
        """Number of the packet that starts the access unit of a frame."""
        return self.frame_start(frame) + (0 if frame % FRAMES_PER_PSI else 2)

    def starts_idr(self, number: int) -> bool:
        frame = self.frame_of(number)
        return self.media_start(frame) == number and frame % self.gop_frames == 0

    def pat(self, version: int | None = None, stream_id: int | None = None) -> bytes:
        """The PAT section, with another version or transport_stream_id if asked."""
        version = self.psi_version if version is None else version
        return pat_section(self.source_id if stream_id is None else stream_id, version, self.program, self.pmt_pid)

    def pmt(self, version: int | None = None) -> bytes:
        """The PMT section, with another version if asked."""
        version = self.psi_version if version is None else version
        streams = ((0x1B, self.video_pid), (0x0F, self.audio_pid))
        return pmt_section(self.program, version, self.video_pid, streams)

    def sent_after(self, first: "PositionCoded") -> "PositionCoded":
        """This source as viewers get it whose first source was `first`: under the numbers that they know."""
        numbers = first.program, first.pmt_pid, first.video_pid, first.audio_pid
        if numbers == (self.program, self.pmt_pid, self.video_pid, self.audio_pid):
            return self
        sent = _Renumbered(**{one.name: getattr(self, one.name) for one in fields(self) if one.init})
        sent.original = self
        sent.program, sent.pmt_pid, sent.video_pid, sent.audio_pid = numbers
        return sent

    def identity(self, packet: bytes) -> tuple[int, int] | None:
        """Source id and number of a packet of this source; None for PSI and for all others."""
        known = identity(packet)
        return known if known and known[0] == self.source_id else None

    def psi_counter(self, frame: int) -> int:
        """Continuity counter of the PAT and the PMT in force at a frame."""
        return frame // FRAMES_PER_PSI & 15

    def media(self, frame: int) -> bytes:
        """All packets of a frame but PAT and PMT; remembered, because many viewers check the same ones."""
        made = self._frames.get(frame)
        if made is None:
            made = self._frames[frame] = self._make(frame)
            if len(self._frames) * len(made) > _CACHE_BYTES:
                self._frames.pop(next(iter(self._frames)), None)
        return made

    def _psi(self, frame: int) -> bytes:
        if frame % FRAMES_PER_PSI:
            return b""
        counter = self.psi_counter(frame)
        return psi_packet(0, counter, self.pat()) + psi_packet(self.pmt_pid, counter, self.pmt())

    def _make(self, frame: int) -> bytes:
        first, end = self.media_start(frame), self.frame_start(frame + 1)
        audio, audio_end = self._audio_frames(frame), self._audio_frames(frame + 1)
        end_of_video = end - (audio_end - audio)
        psi_before = -(-frame // FRAMES_PER_PSI) * 2
        counter = self.frame_start(frame) - psi_before - audio
        heads = [header(self.video_pid, cc) for cc in range(16)]
        out = [self._seal(self._access_unit(frame, first, counter), first)]
        for number in range(first + 1, end_of_video):
            counter += 1
            out.append(self._seal(heads[counter & 15], number))
        for number, index in enumerate(range(audio, audio_end), end_of_video):
            out.append(self._seal(self._audio_start(index), number))
        return b"".join(out)

    def _seal(self, head: bytes, number: int) -> bytes:
        """Fill the packet up with its number, then say source, number and CRC."""
        text = b"%016x" % number
        packet = head + (text * 10)[: 159 - len(head)] + b"%04x" % self.source_id + text
        return packet + b"%08x." % zlib.crc32(packet)

    def _access_unit(self, frame: int, number: int, counter: int) -> bytes:
        in_gop = frame % self.gop_frames
        dts = self.start_pts + frame * _FRAME_TICKS
        arrival = number * PACKET * CLOCK * 300 // self.byte_rate
        pcr = (self.start_pts - DECODER_DELAY) * 300 + arrival
        head = header(self.video_pid, counter, start=True, adaptation=True)
        head += pcr_field(pcr, random_access=in_gop == 0) + pes_header(0xE0, dts + _FRAME_TICKS, dts)
        if in_gop:
            picture = h264.skipped_slice(*self.macroblocks, in_gop)
        else:
            idr = h264.idr_slice(*self.macroblocks, frame // self.gop_frames % 2)
            picture = self._parameter_sets + idr
        return head + h264.ACCESS_UNIT_DELIMITER + picture + h264.FILLER

    def _audio_frames(self, frame: int) -> int:
        """How many audio frames come before a video frame."""
        return frame * _FRAME_TICKS // _AUDIO_TICKS

    def _audio_start(self, index: int) -> bytes:
        pts = self.start_pts + index * _AUDIO_TICKS
        return header(self.audio_pid, index, start=True) + pes_header(0xC0, pts, size=170) + _SILENCE


class _Renumbered(PositionCoded):
    """A source whose packets have got other PIDs since they were sealed."""

    original: PositionCoded

    def media(self, frame: int) -> bytes:
        made = self._frames.get(frame)
        if made is None:
            made = self._frames[frame] = self._with_pids(self.original.media(frame), self.original, self)
        return made

    def identity(self, packet: bytes) -> tuple[int, int] | None:
        if pid_of(packet) not in (self.video_pid, self.audio_pid):
            return None
        return self.original.identity(self._with_pids(packet, self, self.original))

    @staticmethod
    def _with_pids(packets: bytes, of: PositionCoded, to: PositionCoded) -> bytes:
        heads = {
            (start << 6 | was >> 8, was & 0xFF): bytes((start << 6 | now >> 8, now & 0xFF))
            for was, now in ((of.video_pid, to.video_pid), (of.audio_pid, to.audio_pid))
            for start in (False, True)
        }
        out = bytearray(packets)
        for at in range(0, len(out), PACKET):
            out[at + 1 : at + 3] = heads[out[at + 1], out[at + 2]]
        return bytes(out)


def identity(packet: bytes) -> tuple[int, int] | None:
    """Source id and number of a packet; None for PSI and for damaged packets."""
    try:
        if int(packet[179:187], 16) != zlib.crc32(packet[:179]):
            return None
        return int(packet[159:163], 16), int(packet[163:179], 16)
    except ValueError:
        return None
