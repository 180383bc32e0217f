"""PAT and PMT as they are sent after a splice: what changes in a section."""

from collections.abc import Callable, Iterator

from fastrelay.mpegts.psi import CRC_SIZE, PAT_TABLE, PMT_TABLE, crc32
from fastrelay.mpegts.remap import Permutation, Remap
from fastrelay.mpegts.versions import Versions

_NO_PCR = 0x1FFF

HEADER = 3
"""Bytes of a section that tell its length."""
_ID = 3
"""Where the table_id_extension lies in a section, two bytes; in a PAT it is the transport_stream_id."""
_VERSION = 5
"""Where version_number (5 bits) and current_next_indicator lie in a section."""
_SHORTEST, _LONGEST = 12, 1024
"""Bytes of a whole PAT or PMT section, its CRC included."""

Change = Callable[[int], int]


class PsiEdit:
    """Reads along with PAT and PMT, and changes them so that they fit to what was sent before the last splice.

    Version numbers go on, program numbers and PIDs are those receivers know, and the transport_stream_id stays that of
    the first PAT: VLC takes no PAT with another one until it is restarted.
    """

    def __init__(self) -> None:
        self._versions = Versions()
        self._stream_id: int | None = None
        self._begin(Remap(Permutation(), Permutation()))

    def _begin(self, remap: Remap) -> None:
        self.remap = remap
        self.pmt_pids: frozenset[int] = frozenset()
        """Of the programs in the PAT; the source's own PIDs, as those below."""
        self.pcr_pids: frozenset[int] = frozenset()
        """PIDs that carry a PCR by the PMTs seen since the splice."""
        self._pat_version = -1

    def splice(self, remap: Remap) -> None:
        """What follows comes from another source."""
        self._versions.splice()
        self._begin(remap)

    def edited(self, section: bytes, total: int) -> bytes:
        """The first bytes `section` of a section of `total` bytes, as they are to be sent.

        What comes later changes nothing of that, except in a field of two bytes of which only the first is there: that
        one stays as it is until the second has come. A damaged section stays damaged.
        """
        if not _is_table(section, total):
            return section
        out = bytearray(section)
        for at, change in self._fields(section, total):
            if at + 2 <= min(len(section), total - CRC_SIZE):
                out[at : at + 2] = change(section[at] << 8 | section[at + 1]).to_bytes(2)
        if len(section) > _VERSION:
            version = self._versions.of(
                section[0], section[3] << 8 | section[4], section[_VERSION] >> 1 & 0x1F, bool(section[_VERSION] & 1)
            )
            out[_VERSION] = section[_VERSION] & 0xC1 | version << 1
        for at, xor in enumerate(_crc_change(section, out, total), total - CRC_SIZE):
            if at < len(section):
                out[at] ^= xor
        return bytes(out)

    def _fields(self, section: bytes, total: int) -> Iterator[tuple[int, Change]]:
        """Where a field of two bytes lies that may change, and how; as far as `section` tells."""
        pids = self._change_pid
        if section[0] == PAT_TABLE:
            yield _ID, self._change_stream_id
            for at in range(8, total - CRC_SIZE, 4):
                yield at, self.remap.numbers
                yield at + 2, pids
            return
        yield _ID, self.remap.numbers
        yield 8, pids
        at = 12 + _length(section, 10)
        while at + 3 <= len(section):
            yield at + 1, pids
            at += 5 + _length(section, at + 3)

    def _change_pid(self, field: int) -> int:
        return field & 0xE000 | self.remap.pids(field & 0x1FFF)

    def _change_stream_id(self, field: int) -> int:
        if self._stream_id is None:
            self._stream_id = field
        return self._stream_id

    def learn(self, section: bytes) -> None:
        """Take in a whole section with a valid CRC: where the PMTs are, and which PID is the clock."""
        if not _is_table(section, len(section)) or not section[_VERSION] & 1:
            return
        if section[0] == PAT_TABLE:
            self._learn_programs(section)
        elif (pid := (section[8] & 0x1F) << 8 | section[9]) != _NO_PCR:
            self.pcr_pids |= {pid}

    def _learn_programs(self, section: bytes) -> None:
        pids = {
            (section[at + 2] & 0x1F) << 8 | section[at + 3]
            for at in range(8, len(section) - 7, 4)
            if section[at] or section[at + 1]  # program 0 names the network's PID
        }
        # A PAT may have several sections.
        self.pmt_pids = frozenset(pids | self.pmt_pids if section[_VERSION] == self._pat_version else pids)
        self._pat_version = section[_VERSION]


def _is_table(section: bytes, total: int) -> bool:
    """A PAT or a PMT, as far as `section` tells."""
    return (
        len(section) >= HEADER
        and section[0] in (PAT_TABLE, PMT_TABLE)
        and bool(section[1] & 0x80)
        and _SHORTEST <= total <= _LONGEST
    )


def _length(section: bytes, at: int) -> int:
    """A length of 12 bits; beyond everything where it is not there yet."""
    return (section[at] & 0x0F) << 8 | section[at + 1] if at + 2 <= len(section) else _LONGEST


def _crc_change(section: bytes, out: bytearray, total: int) -> bytes:
    """What the CRC is to be xored with, as soon as all is there that it is of.

    A CRC is linear: the difference of two sections' CRCs depends on nothing but the difference of the sections.
    """
    end = total - CRC_SIZE
    if len(section) <= end or out[:end] == section[:end]:
        return b""
    return (crc32(bytes(out[:end])) ^ crc32(section[:end])).to_bytes(CRC_SIZE)
