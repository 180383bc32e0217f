"""The programs of a transport stream, which of them we follow, and the tables a joiner must get first."""

from functools import partial

from fastrelay.mpegts.codecs import codec_of
from fastrelay.mpegts.psi import PAT_PID, ElementaryStream, Pat, Program, SectionReader, parse_pat, parse_pmt

MAX_PROGRAMS = 256
"""More than any multiplex has; bounds what a broken PAT can make us hold."""

_MAIN_KINDS = ("video", "audio")


def main_stream(program: Program) -> ElementaryStream | None:
    """The stream whose pictures or frames viewers join at: the first video, else the first audio, else the first."""
    ranked = sorted(program.streams, key=_rank)
    return ranked[0] if ranked else None


def stand_in_stream(program: Program) -> ElementaryStream | None:
    """The stream that tells the time where the main one has fallen silent: the first audio that is not the main one."""
    main = main_stream(program)
    others = (stream for stream in program.streams if stream != main)
    return next((stream for stream in others if codec_of(stream).kind == "audio"), None)


def _rank(stream: ElementaryStream) -> int:
    kind = codec_of(stream).kind
    return _MAIN_KINDS.index(kind) if kind in _MAIN_KINDS else len(_MAIN_KINDS)


class ProgramTables:
    """PAT and PMTs as they come. Follows one program: the first with video, else with audio, else with any stream.

    PMTs come one after the other, so at first the best one known is followed; once all are known, or one has come
    twice, the choice is `settled` and stays as long as the PAT lists that program.
    """

    def __init__(self) -> None:
        self.program: Program | None = None
        """The program that is followed; None before its PMT is there."""
        self.main: ElementaryStream | None = None
        self.settled = False
        self._number: int | None = None
        self._pat: dict[int, Pat] = {}
        self._pmt_pids: dict[int, int] = {}
        self._programs: dict[int, Program] = {}
        self._readers = {PAT_PID: SectionReader(self._take_pat)}
        self._tables: bytes | None = b""

    @property
    def programs(self) -> tuple[Program, ...]:
        """All programs whose PMT is known, in the order of the PAT."""
        return tuple(self._programs[number] for number in self._pmt_pids if number in self._programs)

    @property
    def missing(self) -> tuple[int, ...]:
        """The numbers of the programs that the PAT lists and whose PMT has not come."""
        return tuple(number for number in self._pmt_pids if number not in self._programs)

    @property
    def has_pat(self) -> bool:
        return bool(self._pat)

    @property
    def pids(self) -> tuple[int, ...]:
        """The PIDs whose packets `feed` wants."""
        return tuple(self._readers)

    @property
    def tables(self) -> bytes:
        """The packets of the PAT, then those of the followed program's PMT, as received; empty until both are there."""
        if self._tables is None:
            self._tables = self._join()
        return self._tables

    def _join(self) -> bytes:
        if self.program is None:
            return b""
        pat = self._readers[PAT_PID].packets
        pmt = self._readers[self.program.pmt_pid].packets
        return pat + pmt if pat and pmt else b""

    def reads(self, pid: int) -> bool:
        return pid in self._readers

    def feed(self, pid: int, packet: bytes) -> bool:
        """Take a packet of one of `pids`. True if `pids` or the followed program have changed."""
        reader = self._readers[pid]
        self._tables = None
        if self.settled and reader.repeats(packet):
            return False
        pids, program = self._pmt_pids, self.program
        reader.feed(packet)
        return self._pmt_pids is not pids or self.program is not program

    def _take_pat(self, section: bytes) -> bool:
        pat = parse_pat(section)
        if pat is None:
            return False
        known = self._pat.get(pat.number)
        if known is not pat and known != pat:
            if any(other.version != pat.version for other in self._pat.values()):
                self._pat.clear()
            self._pat[pat.number] = pat
            if all(number in self._pat for number in range(pat.last_number + 1)):
                self._list_programs()
        return self._number is None or any(number == self._number for number, _ in pat.programs)

    def _list_programs(self) -> None:
        """Follow a changed PAT: forget what it lists no more, read the PMTs that are new."""
        entries = [entry for number in sorted(self._pat) for entry in self._pat[number].programs]
        self._pmt_pids = {number: pid for number, pid in entries[:MAX_PROGRAMS] if pid != PAT_PID}
        self._programs = {
            number: program
            for number, program in self._programs.items()
            if self._pmt_pids.get(number) == program.pmt_pid
        }
        wanted = set(self._pmt_pids.values())
        for pid in set(self._readers) - wanted - {PAT_PID}:
            del self._readers[pid]
        for pid in wanted - set(self._readers):
            self._readers[pid] = SectionReader(partial(self._take_pmt, pid))
        self._choose()

    def _take_pmt(self, pid: int, section: bytes) -> bool:
        program = parse_pmt(section, pid)
        if program is None or self._pmt_pids.get(program.number) != pid:
            return False
        known = self._programs.get(program.number)
        if known is not program and known != program:
            self._programs[program.number] = program
            self._choose()
        if known or not self.missing:
            self.settled = True
        return program.number == self._number

    def _choose(self) -> None:
        if self._number not in self._pmt_pids:
            self.settled = False
        if not self.settled:
            self._number = min(self.programs, key=_program_rank).number if self._programs else None
        program = self._programs.get(self._number) if self._number is not None else None
        if program != self.program:
            self.program = program
            self.main = main_stream(program) if program else None


def _program_rank(program: Program) -> int:
    """Best first; among equals `min` takes the first of the PAT."""
    main = main_stream(program)
    return _rank(main) if main else len(_MAIN_KINDS) + 1
