"""Random access in H.264, which has more than one way to begin: not every stream has IDR pictures."""

from fastrelay.mpegts.bits import Bits, unescaped
from fastrelay.mpegts.units import ParameterisedUnits, Verdict

_SLICE_HEAD = 16
"""Bytes of a slice's NAL unit in which first_mb_in_slice and slice_type lie, emulation prevention included."""

_LONGEST_SEI = 4096
"""Bytes of a SEI unit that are looked at."""


class H264(ParameterisedUnits):
    """ISO 14496-10: an IDR picture, or an SPS together with a recovery point or with nothing but I slices."""

    _SLICES = frozenset({1, 2, 5})
    _IDR, _SEI, _SPS, _DELIMITER = 5, 6, 7, 9
    _I, _ONLY_I = 2, 7

    def __init__(self) -> None:
        super().__init__()
        self._recovery = False
        self._intra = False

    def start(self, flagged: bool) -> None:
        super().start(flagged)
        self._recovery = False
        self._intra = False

    def _judge_end(self) -> bool:
        # Had one slice not been I, it would have decided.
        return self._intra and self._access_point()

    def _needed(self, unit: bytes) -> int:
        kind = unit[0] & 0x1F
        if kind == self._SEI:
            return _LONGEST_SEI
        if kind in self._SLICES:
            return _SLICE_HEAD if self._parameters else 2
        return 1

    def _judge(self, unit: bytes) -> Verdict:
        kind = unit[0] & 0x1F
        if kind in self._SLICES:
            return self._judge_slice(kind, unit)
        if kind == self._DELIMITER and self._intra:
            return self._judge_end()
        if kind == self._SPS:
            self._parameters = True
        elif kind == self._SEI:
            self._recovery |= _has_recovery_point(unit)
        return None

    def _judge_slice(self, kind: int, unit: bytes) -> Verdict:
        if not self._parameters and unit[1:2] < b"\x80":
            # first_mb_in_slice is not 0: the end of the last picture, where PES packets do not begin with a picture.
            self._torn = True
            return None
        if kind == self._IDR or (self._parameters and self._recovery):
            return self._access_point()
        slice_type = _slice_type(unit) if self._parameters else None
        if slice_type == self._ONLY_I:
            return self._access_point()
        if slice_type == self._I:
            self._intra = True
            return None
        return False


def _has_recovery_point(sei: bytes) -> bool:
    """Whether one of the messages in a SEI unit has payload type 6 (ISO 14496-10 §7.3.2.3, §D.1.7)."""
    data = unescaped(sei[1:_LONGEST_SEI])
    at = 0
    while at + 2 <= len(data):
        kind, at = _sei_number(data, at)
        size, at = _sei_number(data, at)
        if kind == 6:
            return True
        at += size
    return False


def _sei_number(data: bytes, at: int) -> tuple[int, int]:
    """A number coded as a run of 0xFF and a last byte, and where the next field begins."""
    number = 0
    while at < len(data):
        number += data[at]
        at += 1
        if data[at - 1] != 0xFF:
            break
    return number, at


def _slice_type(unit: bytes) -> int:
    """slice_type of a slice (ISO 14496-10 §7.3.3): the second Exp-Golomb number of its head; -1 if it is cut off."""
    bits = Bits(unescaped(unit[1:_SLICE_HEAD]))
    try:
        bits.skip_ue(1)
        return bits.ue()
    except EOFError:
        return -1
