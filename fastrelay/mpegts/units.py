"""The bytes of one coded picture, cut at its start codes, unit by unit, until something in them decides."""

Verdict = bool | None
"""Yes, no, or None: more bytes of the access unit are needed."""

MAX_ACCESS_UNIT = 4 << 20
"""Bytes. An access unit still undecided after so many is given up as none."""

UNCLEAN_IN_A_ROW = 4
"""After so many unclean access points, the clean ones seen before must have been an exception."""

_START_CODE = b"\x00\x00\x01"


class Units:
    """Cuts an access unit at its start codes and asks `_judge` about each unit until that decides."""

    _header = 1
    """Bytes that tell what a unit is."""

    def __init__(self) -> None:
        self._tail = b""
        self._taken = 0

    def start(self, flagged: bool) -> None:
        self._tail = b""
        self._taken = 0

    def feed(self, data: bytes) -> Verdict:
        self._taken += len(data)
        if self._taken > MAX_ACCESS_UNIT:
            return False
        data = self._tail + data
        at = data.find(_START_CODE)
        while at >= 0:
            end = data.find(_START_CODE, at + 3)
            unit = data[at + 3 : end] if end >= 0 else data[at + 3 :]
            if end < 0 and not self._is_certain(unit):
                self._tail = data[at:]
                return None
            verdict = self._judge(unit) if len(unit) >= self._header else None
            if verdict is not None:
                return verdict
            at = end
        self._tail = data[-2:]
        return None

    def _is_certain(self, unit: bytes) -> bool:
        """Whether enough is there of the last unit; two zeros at its end may be part of the next start code."""
        size = max(len(unit) - 2, len(unit.rstrip(b"\x00")))
        return size >= self._header and size >= self._needed(unit)

    def finish(self) -> bool:
        unit = self._tail[3:] if self._tail.startswith(_START_CODE) else b""
        verdict = self._judge(unit) if len(unit) >= self._header else None
        return self._judge_end() if verdict is None else verdict

    def _judge_end(self) -> bool:
        """No unit has decided, and there are no more."""
        return False

    def _needed(self, unit: bytes) -> int:
        """How many bytes of this unit `_judge` wants to see, unless it is shorter."""
        return self._header

    def _judge(self, unit: bytes) -> Verdict:
        raise NotImplementedError


class ParameterisedUnits(Units):
    """What H.264 and its successors share: access points that need parameter sets in front of them.

    An access point is clean when the sets are in its own access unit and nothing of the picture before is. A bare one,
    without the sets, is of use to a joiner only where the stream never sends them with one; a torn one, behind the last
    slice of the picture before, shows him that slice's error first. These count while no clean one was seen, or after
    more than four in a row.
    """

    def __init__(self) -> None:
        super().__init__()
        self._parameters = False
        self._torn = False
        self._clean_seen = False
        self._unclean = 0

    def start(self, flagged: bool) -> None:
        super().start(flagged)
        self._parameters = False
        self._torn = False

    def _access_point(self) -> bool:
        if self._parameters and not self._torn:
            self._clean_seen = True
            self._unclean = 0
            return True
        self._unclean += 1
        return not self._clean_seen or self._unclean > UNCLEAN_IN_A_ROW
