"""Continuity counters (ISO 13818-1 §2.4.3.3): packets lost on the way to us, counted for every PID.

Almost always every counter goes on as it should, so that is asked for a whole chunk of packets at C speed: each packet
becomes one byte, made of a small number for its PID and of its counter, and the bytes of one PID must be a piece of
the cycle 0..15. Only the packets of a PID where they are not are looked at one by one.
"""

from collections.abc import Iterator

from fastrelay.mpegts.packet import DISCONTINUITY, NULL_PID, PACKET_SIZE, adaptation_flags, pid_at

_STRAY = 0
"""The number of packets that are always looked at one by one: of a PID without a number, or flagged as damaged."""
_NUMBERS = range(1, 15)
_UNCOUNTED = 15
"""The number of packets whose counter means nothing: null packets and packets without payload."""

_HIGHS, _LOWS = 7, 31
"""A PID's two bytes become a code of 3 + 5 bits: so many different ones fit, the last value is for all others."""

_STRAYS_ENDURED = 4096
"""Chunks with strays before the numbers are given anew: PIDs that are gone must not hold theirs for ever."""

_WITHOUT_PAYLOAD = _UNCOUNTED << 4
_COUNTER = bytes(byte & 0x0F if byte & 0x10 else _WITHOUT_PAYLOAD for byte in range(256))
_NUMBER_AWAY = bytes(byte & 0x0F for byte in range(256))
_OTHERS = [bytes(byte for byte in range(256) if byte >> 4 != number) for number in range(16)]


class _Track:
    """One PID: its last counter (None: anything may follow), and whether that packet has come twice."""

    __slots__ = ("code", "counter", "others", "repeated")

    def __init__(self) -> None:
        self.counter: int | None = None
        self.repeated = False
        self.code = -1
        self.others = b""


class Continuity:
    """Counts `errors` (a counter that does not follow the last one) and `transport_errors` (flagged as damaged)."""

    def __init__(self) -> None:
        self.errors = 0
        self.transport_errors = 0
        self.forget()

    def forget(self) -> None:
        """What comes next continues nothing."""
        self._tracks: dict[int, _Track] = {}
        self._cycle = _NUMBER_AWAY
        self._renumber()

    def last(self, pid: int) -> int | None:
        """The last counter of a PID; None where anything may follow."""
        track = self._tracks.get(pid)
        return track.counter if track is not None else None

    def check(self, data: bytes, second: bytes, third: bytes, fourth: bytes) -> None:
        """Look at the whole packets `data`; the other arguments are the second, third, fourth byte of each."""
        count = len(second)
        codes = _either(second.translate(self._high), third.translate(self._low), count)
        numbers = codes.translate(self._number)
        marked = _either(numbers, fourth.translate(_COUNTER), count)
        jumping = self._jumping(data, codes, marked) if _WITHOUT_PAYLOAD in marked else ()
        if _STRAY in numbers:
            self._walk(data, _places(numbers, _STRAY))
            self._endure_strays()
        if len(self._cycle) < count + 16:
            self._cycle = _NUMBER_AWAY * (count // 256 + 2)
        for track in self._numbered:
            counters = marked.translate(_NUMBER_AWAY, track.others)
            if track.code not in jumping:
                if not counters:
                    continue
                first = counters[0] if track.counter is None else track.counter + 1 & 0x0F
                if self._cycle.startswith(counters, first):
                    track.counter = counters[-1]
                    track.repeated = False
                    continue
            self._walk(data, _places(codes, track.code))

    def _jumping(self, data: bytes, codes: bytes, marked: bytes) -> set[int]:
        """The codes of PIDs that announce a jump in a packet without payload, which has no counter to show it."""
        places = _places(marked, _WITHOUT_PAYLOAD)
        return {codes[at] for at in places if adaptation_flags(data, at * PACKET_SIZE) & DISCONTINUITY}

    def _walk(self, data: bytes, places: Iterator[int]) -> None:
        for at in places:
            self._step(data, at * PACKET_SIZE)

    def _step(self, data: bytes, offset: int) -> None:
        if data[offset + 1] & 0x80:
            self.transport_errors += 1
            return
        pid = pid_at(data, offset)
        if pid == NULL_PID:
            return
        track = self._tracks.get(pid) or self._meet(pid)
        if adaptation_flags(data, offset) & DISCONTINUITY:
            track.counter = None
        if not data[offset + 3] & 0x10:
            return
        before, track.counter = track.counter, data[offset + 3] & 0x0F
        if before == track.counter and not track.repeated:
            track.repeated = True
            return
        track.repeated = False
        if before is not None and track.counter != before + 1 & 0x0F:
            self.errors += 1

    def _meet(self, pid: int) -> _Track:
        track = self._tracks[pid] = _Track()
        if len(self._numbered) < len(_NUMBERS) and self._encode(pid, _NUMBERS[len(self._numbered)], track):
            self._numbered.append(track)
        return track

    def _encode(self, pid: int, number: int, track: _Track) -> bool:
        """Give the PID a number; False where no code is left for one of its bytes."""
        high = self._highs.setdefault(pid >> 8, len(self._highs))
        low = self._lows.setdefault(pid & 0xFF, len(self._lows))
        if high >= _HIGHS or low >= _LOWS:
            return False
        for flags in (0x00, 0x20, 0x40, 0x60):
            self._high[flags | pid >> 8] = high << 5
        self._low[pid & 0xFF] = low
        track.code = high << 5 | low
        track.others = _OTHERS[number]
        self._number[track.code] = number << 4
        return True

    def _renumber(self) -> None:
        self._numbered: list[_Track] = []
        self._highs: dict[int, int] = {}
        self._lows: dict[int, int] = {}
        self._high = bytearray([_HIGHS << 5] * 256)
        self._low = bytearray([_LOWS] * 256)
        self._number = bytearray(256)
        self._strays_left = _STRAYS_ENDURED
        self._encode(NULL_PID, _UNCOUNTED, _Track())

    def _endure_strays(self) -> None:
        self._strays_left -= 1
        if not self._strays_left:
            # Those still there are strays once more, and get their numbers in the order they come.
            self._tracks = {}
            self._renumber()


def _either(left: bytes, right: bytes, count: int) -> bytes:
    """Byte by byte left | right."""
    return (int.from_bytes(left, "little") | int.from_bytes(right, "little")).to_bytes(count, "little")


def _places(marks: bytes, mark: int) -> Iterator[int]:
    at = marks.find(mark)
    while at >= 0:
        yield at
        at = marks.find(mark, at + 1)
