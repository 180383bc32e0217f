"""Marks: the places of a transport stream where a viewer can join, found while the bytes pass by."""

from fastrelay.mpegts.access import AccessUnits, Mark
from fastrelay.mpegts.clock import ProgramClock
from fastrelay.mpegts.codecs import Codec, codec_of
from fastrelay.mpegts.continuity import Continuity
from fastrelay.mpegts.headers import UNIT_START, header, headers_of, search
from fastrelay.mpegts.packet import PACKET_SIZE, SCRAMBLING, Buffer, payload_at, pcr_at, pid_at
from fastrelay.mpegts.pes import read_head
from fastrelay.mpegts.programs import ProgramTables, stand_in_stream
from fastrelay.mpegts.psi import ElementaryStream, Program

__all__ = ["Mark", "Scanner"]


class Scanner:
    """Reads a transport stream as it passes by: programs, marks, media time, errors.

    Garbage raises nothing, and what is held is bounded: a few tables and one undecided picture.
    """

    def __init__(self) -> None:
        self.clock = ProgramClock()
        """By the DTS of the main stream: PCRs of restreamed channels are often broken. By PCR where there is none, and
        by the sound where the main stream has fallen silent."""
        self.continuity = Continuity()
        self._heard = 0
        self._units: AccessUnits | None = None
        self._start_over()

    def _start_over(self) -> None:
        self._tables = ProgramTables()
        self._stream: ElementaryStream | None = None
        self._listen_to(None)
        self._stand_in: int | None = None
        self._watch()

    @property
    def program(self) -> Program | None:
        """The program that is followed; None until its PMT has come."""
        return self._tables.program

    @property
    def programs(self) -> tuple[Program, ...]:
        """All programs whose PMT has come, in the order of the PAT."""
        return self._tables.programs

    @property
    def ranked_programs(self) -> tuple[Program, ...]:
        """The same, but the one that is followed comes first."""
        return tuple(sorted(self.programs, key=lambda program: program != self.program))

    @property
    def unknown_programs(self) -> tuple[int, ...] | None:
        """The programs whose PMT has not come; None while there is no PAT."""
        return self._tables.missing if self._tables.has_pat else None

    @property
    def settled(self) -> bool:
        """Whether `program` stays: no PMT yet to come may show a better one."""
        return self._tables.settled

    @property
    def main(self) -> ElementaryStream | None:
        """The stream whose access units become marks."""
        return self._tables.main

    @property
    def codec(self) -> Codec | None:
        """The codec of `main`."""
        return codec_of(self.main) if self.main else None

    @property
    def video(self) -> bool:
        return self._units is not None and self._units.video

    @property
    def tables(self) -> bytes:
        """The packets of PAT and PMT now in force; empty until both have come."""
        return self._tables.tables

    @property
    def scrambled(self) -> bool:
        """Whether the last access unit of the main stream was."""
        return self._units is not None and self._units.scrambled

    @property
    def heard(self) -> int:
        """How many access units came that can be decoded, of the main stream and of the one that stands in for it."""
        return self._heard + (self._units.heard if self._units is not None else 0)

    @property
    def pending(self) -> int | None:
        """Position of the access unit that may still become a mark; later marks lie behind it."""
        return self._units.pending if self._units else None

    @property
    def continuity_errors(self) -> int:
        return self.continuity.errors

    def give_up_pending(self) -> None:
        """The pending access unit shall not become a mark: its bytes are no longer held."""
        if self._units:
            self._units.pending = None

    def splice(self) -> None:
        """What follows is another stream: nothing continues, and marks wait for its own tables.

        `clock.seconds` and all counts go on from where they are.
        """
        self.continuity.forget()
        self.clock.forget()
        self._start_over()

    def scan(self, packets: Buffer, position: int) -> list[Mark]:
        """Read whole packets, the first of which is at the absolute `position`: the marks now certain, in order.

        Where a picture took more bytes to decide, its mark lies before `position`.
        """
        data = packets if isinstance(packets, bytes) else bytes(packets)
        end = len(data) - len(data) % PACKET_SIZE
        second, third = data[1:end:PACKET_SIZE], data[2:end:PACKET_SIZE]
        self.continuity.check(data, second, third, data[3:end:PACKET_SIZE])
        return self._read(data, headers_of(second, third), position)

    def _read(self, data: bytes, headers: bytearray, position: int) -> list[Mark]:
        """Take the packets that matter, in order. `headers` holds two bytes of each packet, to search in."""
        count = len(headers) // 2
        marks: list[Mark] = []
        watched = self._watched
        places = _places(headers, watched, 0)
        at = -1
        while True:
            if self.pending is not None:
                marks += self._go_on(data, headers, at + 1, places[-1] if places else count)
            if not places:
                return marks
            at = places.pop()
            marks += self._take(data[at * PACKET_SIZE : (at + 1) * PACKET_SIZE], position + at * PACKET_SIZE)
            if self._watched is not watched:
                watched = self._watched
                places = _places(headers, watched, at + 1)

    def _take(self, packet: bytes, position: int) -> list[Mark]:
        """One packet that `_watched` asks for; it may matter in several ways."""
        pid = pid_at(packet, 0)
        if self._tables.reads(pid) and self._tables.feed(pid, packet):
            self._follow_program()
        units = self._units
        if units is None or self.program is None:
            return []
        if units.clocked_by_pcr and pid == self.program.pcr_pid and (pcr := pcr_at(packet, 0)) is not None:
            self.clock.tick(pcr)
        if pid == self._stand_in and packet[1] & UNIT_START and not packet[3] & SCRAMBLING:
            head = read_head(packet[payload_at(packet, 0) :])
            if head is not None and head.dts is not None:
                self._heard += 1
                self.clock.stand_in(head.dts)
        marks = []
        if pid == units.pid and packet[1] & UNIT_START:
            marks = units.begin(packet, position, self.tables)
        if units.clocked_by_pcr != self._watching_pcr:
            self._watch()
        return marks

    def _go_on(self, data: bytes, headers: bytearray, start: int, stop: int) -> list[Mark]:
        """Give the pending access unit its packets in [start, stop), until it is decided."""
        units = self._units
        marks: list[Mark] = []
        if units is not None:
            for at in search(headers, header(units.pid), start, stop):
                marks = units.go_on(data[at * PACKET_SIZE : (at + 1) * PACKET_SIZE])
                if units.pending is None:
                    break
        return marks

    def _follow_program(self) -> None:
        """The programs have changed. What is pending began under other tables and is dropped."""
        main = self.main
        if main is None:
            self._listen_to(None)
        elif self._units is None or self._stream != main:
            self._listen_to(AccessUnits(main, self.clock))
        else:
            self._units.pending = None
        self._stream = main
        stand_in = stand_in_stream(self.program) if self.program else None
        self._stand_in = stand_in.pid if stand_in else None
        self._watch()

    def _listen_to(self, units: AccessUnits | None) -> None:
        self._heard += self._units.heard if self._units is not None else 0
        self._units = units

    def _watch(self) -> None:
        """Say which packets `_take` needs to see: a new tuple, by which `_read` knows that it has changed."""
        units = self._units
        self._watching_pcr = units is not None and units.clocked_by_pcr
        whole = list(self._tables.pids)
        if self._watching_pcr and self.program:
            whole.append(self.program.pcr_pid)
        headers = [each for pid in whole for each in (header(pid, UNIT_START), header(pid))]
        starts = (units.pid if units is not None else None, self._stand_in)
        headers += [header(pid, UNIT_START) for pid in starts if pid is not None]
        self._watched = tuple(dict.fromkeys(headers))


def _places(headers: bytearray, watched: tuple[bytes, ...], start: int) -> list[int]:
    """The numbers of the packets that have one of these headers, from packet `start` on, the last one first."""
    stop = len(headers) // 2
    places = [at for wanted in watched for at in search(headers, wanted, start, stop)]
    places.sort(reverse=True)
    return places
