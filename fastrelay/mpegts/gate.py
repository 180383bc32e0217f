"""The gate before a new source: nothing of it passes until a decoder could start with what passes."""

from fastrelay.mpegts.marks import Scanner
from fastrelay.mpegts.packet import Buffer
from fastrelay.mpegts.psi import Program

MAX_HELD = 4 << 20
"""Bytes held behind an undecided picture; more than any picture has. Past it that picture is given up."""

SETTLE_SECONDS = 1.0
"""So long the PMTs of other programs are waited for. They must come every 0.5 s (ETSI TR 101 290 §5.2.1, 1.5.a)."""


class Gate:
    """Holds a source back until its PAT, its PMT and a random-access point are there, then opens for good."""

    def __init__(self) -> None:
        self.open = False
        self._scanner = Scanner()
        self._held = b""
        self._end = 0
        """Position behind the last byte taken; the scanner's positions count from the gate's first byte."""

    @property
    def program(self) -> Program | None:
        """The program the gate waits for, or has opened with."""
        return self._scanner.program

    @property
    def programs(self) -> tuple[Program, ...]:
        """All programs whose PMT has come, `program` first."""
        return self._scanner.ranked_programs

    def feed(self, packets: Buffer) -> bytes:
        """Take whole packets: nothing while closed. On opening PAT, PMT, and all from the random-access point on.

        After that the gate is not needed any more.
        """
        marks = self._scanner.scan(packets, self._end)
        self._held += packets
        self._end += len(packets)
        if marks and self._may_open():
            self.open = True
            return marks[0].tables + self._from(marks[0].position)
        self._let_go()
        return b""

    def _may_open(self) -> bool:
        return self._scanner.settled or self._scanner.clock.seconds >= SETTLE_SECONDS

    def _from(self, position: int) -> bytes:
        return self._held[len(self._held) - (self._end - position) :]

    def _let_go(self) -> None:
        """Hold only what a mark yet to come can need."""
        pending = self._scanner.pending
        if pending is not None and self._end - pending > MAX_HELD:
            self._scanner.give_up_pending()
            pending = None
        self._held = b"" if pending is None else self._from(pending)

    def missing(self) -> str:
        """What it still waits for, in words for people; empty when open."""
        if self.open:
            return ""
        unknown = self._scanner.unknown_programs
        if unknown is None:
            return "no PAT"
        if self.program is None:
            return f"no PMT of program {unknown[0]}" if unknown else "no program in the PAT"
        main, codec = self._scanner.main, self._scanner.codec
        if main is None or codec is None:
            return f"no stream in program {self.program.number}"
        if self._scanner.scrambled:
            return f"program {self.program.number} is scrambled"
        return f"no random-access point in {codec.name} pid {main.pid}"
