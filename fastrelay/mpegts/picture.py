"""Random access: can a decoder start at this access unit? Asked of the coded bytes, not of flags.

The random_access_indicator of the packet is missing on whole channels and set on every frame of others, so it is
believed only for codecs that nothing is known about here.
"""

from typing import Protocol

from fastrelay.mpegts.h264 import H264
from fastrelay.mpegts.units import ParameterisedUnits, Units, Verdict


class Picture(Protocol):
    """The rules of one codec, for one stream. `start`, then `feed` until it decides; `finish` if it does not."""

    def start(self, flagged: bool) -> None:
        """A new access unit; `flagged`: its first packet has the random_access_indicator."""

    def feed(self, data: bytes) -> Verdict:
        """The next bytes of the access unit."""

    def finish(self) -> bool:
        """The access unit is at its end, undecided: what is it?"""


class _ByUnitType(ParameterisedUnits):
    """A codec where the type of the first slice's NAL unit tells."""

    _header = 2
    _shift: int
    """The NAL unit type lies in the first two bytes, so many bits from the right, six or five wide."""
    _width: int
    _access_points: frozenset[int]
    _slices: frozenset[int]
    _sps: int

    def _judge(self, unit: bytes) -> Verdict:
        kind = (unit[0] << 8 | unit[1]) >> self._shift & self._width
        if kind in self._access_points:
            return self._access_point()
        if kind in self._slices:
            return False
        if kind == self._sps:
            self._parameters = True
        return None


class Hevc(_ByUnitType):
    """ISO 23008-2 table 7-1: an IRAP picture (BLA, IDR, CRA)."""

    _header = 3
    _shift, _width = 9, 0x3F
    _access_points = frozenset(range(16, 22))
    _slices = frozenset(range(16)) | frozenset(range(22, 32))
    _sps = 33

    def _judge(self, unit: bytes) -> Verdict:
        if unit[0] < 0x40 and unit[2] < 0x80:
            # first_slice_segment_in_pic_flag is 0: the end of the last picture.
            self._torn = True
            return None
        return super()._judge(unit)


class Vvc(_ByUnitType):
    """ISO 23090-3 table 5: IDR, CRA or the start of a gradual refresh."""

    _shift, _width = 3, 0x1F
    _access_points = frozenset({7, 8, 9, 10})
    _slices = frozenset({0, 1, 2, 3, 4, 5, 6, 11})
    _sps = 15


class MpegVideo(Units):
    """MPEG-1 and MPEG-2 video (ISO 13818-2 table 6-1): a sequence header in front of the picture."""

    _SEQUENCE, _PICTURE = 0xB3, 0x00

    def _judge(self, unit: bytes) -> Verdict:
        if unit[0] == self._SEQUENCE:
            return True
        return False if unit[0] == self._PICTURE else None


class Flagged:
    """Video whose syntax is not read here: by the random_access_indicator once one was seen, until then anywhere."""

    def __init__(self) -> None:
        self._flag_seen = False
        self._flagged = False

    def start(self, flagged: bool) -> None:
        self._flagged = flagged
        self._flag_seen |= flagged

    def feed(self, data: bytes) -> Verdict:
        return self.finish()

    def finish(self) -> bool:
        return self._flagged or not self._flag_seen


class Anywhere:
    """Audio and data: every access unit stands alone."""

    def start(self, flagged: bool) -> None:
        return None

    def feed(self, data: bytes) -> Verdict:
        return True

    def finish(self) -> bool:
        return True


_BY_CODEC: dict[str, type[Picture]] = {
    "h264": H264,
    "hevc": Hevc,
    "vvc": Vvc,
    "mpeg1video": MpegVideo,
    "mpeg2video": MpegVideo,
}


def picture_rules(codec: str, video: bool) -> Picture:
    """The rules for a new stream of this codec (a name of codecs.py)."""
    return _BY_CODEC.get(codec, Flagged)() if video else Anywhere()
