"""Versions of PAT and PMT, and the id of the stream, that stay in step across splices (ISO 13818-1 §2.4.4)."""

from collections.abc import Iterator

from fastrelay.mpegts.packet import PACKET_SIZE, Buffer, payload_at
from fastrelay.mpegts.pids import positions
from fastrelay.mpegts.psi import PAT_PID, PAT_TABLE, PMT_TABLE, STUFFING, crc32

Patch = tuple[int, int]
"""An offset, and what the byte there is to be xored with."""

_NO_PCR = 0x1FFF

_HEADER = 3
"""Bytes of a section that tell its length."""
_ID = 3
"""Where the table_id_extension lies in a section, two bytes; in a PAT it is the transport_stream_id."""
_VERSION = 5
"""Where version_number (5 bits) and current_next_indicator lie in a section."""
_SHORTEST, _LONGEST = 12, 1024
"""Bytes of a whole PAT or PMT section, its CRC included."""


class Versions:
    """Reads along with the PAT and the PMTs and says how their version numbers must change.

    Until the first splice: not at all. After a splice every table begins with a version that none of its kind had
    before it, whatever program it is of: a receiver that looks at nothing but the number sees it change, and so does
    one that knows each program. Whatever the source changes later stays a change.
    """

    def __init__(self) -> None:
        self._newest: dict[int, int] = {}
        """The version last sent of each kind of table."""
        self._sent: dict[int, set[int]] = {}
        """All versions of each kind sent since the last splice."""
        self._first: dict[int, int] = {}
        """The version each kind of table began with after the last splice."""
        self._stream_id = b""
        """Of the first PAT sent. It stays over all splices: VLC takes no PAT with another one until it is restarted."""
        self._begin()

    def _begin(self) -> None:
        self._shift: dict[tuple[int, int], int] = {}
        self._pat = _Table(self, PAT_TABLE)
        self._pat_version = -1
        self._pmts: dict[int, _Table] = {}
        self.pcr_pids: set[int] = set()
        """PIDs that carry a PCR by the PMTs seen since the splice."""

    def splice(self) -> None:
        """What follows comes from another source."""
        self._first = {kind: _free(newest, self._sent.get(kind, set())) for kind, newest in self._newest.items()}
        self._sent = {}
        self._begin()

    def patches(self, packets: Buffer, pids: tuple[int, ...], present: set[int]) -> list[Patch]:
        """What to change in `packets`, whose PIDs in order are `pids`, and `present` the same as a set."""
        found: list[Patch] = []
        if PAT_PID in present:
            self._follow(self._pat, packets, positions(pids, PAT_PID), found)
        # Looked up only now: a PAT and the PMTs it names are often neighbours.
        for pid in present & self._pmts.keys():
            self._follow(self._pmts[pid], packets, positions(pids, pid), found)
        return found

    @staticmethod
    def _follow(table: "_Table", packets: Buffer, indices: Iterator[int], found: list[Patch]) -> None:
        for index in indices:
            found += table.feed(packets, index * PACKET_SIZE)

    def change(self, header: bytearray) -> int:
        """What to xor the version byte of the section that begins with `header` with."""
        table, version, current = header[0], header[_VERSION] >> 1 & 0x1F, header[_VERSION] & 1
        # There is one PAT, whatever transport_stream_id it names (§2.4.4.5).
        key = (table, 0 if table == PAT_TABLE else header[3] << 8 | header[4])
        if key not in self._shift:
            # A table sent ahead of its time already bears the next number.
            in_force = version if current else version - 1
            self._shift[key] = self._first[table] - in_force if table in self._first else 0
        sent = (version + self._shift[key]) & 0x1F
        if current:
            self._newest[table] = sent
            self._sent.setdefault(table, set()).add(sent)
        if table == PAT_TABLE and not self._stream_id:
            self._stream_id = bytes(header[_ID:_VERSION])
        return (version ^ sent) << 1

    def change_id(self, section: bytearray, index: int) -> int:
        """What to xor the byte at `index` of a section's id with."""
        if section[0] != PAT_TABLE or not self._stream_id:
            return 0
        return section[index] ^ self._stream_id[index - _ID]

    def learn(self, section: bytes) -> None:
        """Take in a whole section with a valid CRC: where the PMTs are, and which PID is the clock."""
        if not section[_VERSION] & 1:
            return
        if section[0] == PAT_TABLE:
            self._learn_programs(section)
        elif (pid := (section[8] & 0x1F) << 8 | section[9]) != _NO_PCR:
            self.pcr_pids.add(pid)

    def _learn_programs(self, section: bytes) -> None:
        version = section[_VERSION]
        known = self._pmts if version == self._pat_version else {}
        pids = [
            (section[at + 2] & 0x1F) << 8 | section[at + 3]
            for at in range(8, len(section) - 7, 4)
            if section[at] or section[at + 1]  # program 0 names the network's PID
        ]
        self._pmts = known | {pid: self._pmts.get(pid) or _Table(self, PMT_TABLE) for pid in pids}
        self._pat_version = version


class _Table:
    """Follows the sections on one PID, byte by byte across packets, and finds the bytes to change."""

    __slots__ = (
        "_counter",
        "_crc",
        "_last",
        "_open",
        "_patches",
        "_payload",
        "_section",
        "_table",
        "_total",
        "_versions",
    )

    def __init__(self, versions: Versions, table: int) -> None:
        self._versions = versions
        self._table = table
        self._counter = -1
        self._payload = b""
        self._patches: list[Patch] = []
        self._section = bytearray()
        self._total = 0
        self._open = False
        self._crc = b""
        self._last = b""

    def feed(self, packets: Buffer, at: int) -> list[Patch]:
        """What to change in the packet at offset `at`."""
        start = payload_at(packets, at)
        damaged = packets[at + 1] & 0x80
        if damaged or start == at + PACKET_SIZE:
            return []
        payload = bytes(packets[start : at + PACKET_SIZE])
        counter = packets[at + 3] & 0x0F
        # A packet may be sent twice (§2.4.3.3); the copy changes as the first did.
        if counter != self._counter or payload != self._payload:
            if counter != (self._counter + 1) & 0x0F:
                self._close()
            self._patches = self._walk(payload, bool(packets[at + 1] & 0x40))
            self._counter, self._payload = counter, payload
        return [(start + offset, xor) for offset, xor in self._patches if xor]

    def _close(self) -> None:
        self._open = False
        self._section.clear()
        self._crc = b""

    def _walk(self, payload: bytes, starts: bool) -> list[Patch]:
        """Go through a packet's payload; `starts`: a section begins where the pointer_field says (§2.4.4.2)."""
        patches: list[Patch] = []
        at = 0
        if starts:
            at = 1 + payload[0]
            if self._section:
                self._take(payload[:at], 1, patches)
            self._close()
            self._open = True
        while self._open and at < len(payload):
            stuffing = not self._section and payload[at] == STUFFING
            if stuffing:
                self._close()
            else:
                at = self._take(payload, at, patches)
        return patches

    def _take(self, payload: bytes, at: int, patches: list[Patch]) -> int:
        """Take the part of one section that begins or goes on at `at`; returns where it ends."""
        section, had = self._section, len(self._section)
        first = at - had
        if had < _HEADER:
            section += payload[at : first + _HEADER]
            if len(section) < _HEADER:
                return len(payload)
            self._total = _HEADER + ((section[1] & 0x0F) << 8 | section[2])
        section += payload[first + len(section) : first + self._total]
        if self._is_ours():
            self._change(had, first, patches)
        for index, xor in enumerate(self._crc, self._total - len(self._crc)):
            if had <= index < len(section):
                patches.append((first + index, xor))
        end = first + len(section)
        if len(section) == self._total:
            self._finish()
        return end

    def _is_ours(self) -> bool:
        has_syntax = self._section[1] & 0x80
        return self._section[0] == self._table and bool(has_syntax) and _SHORTEST <= self._total <= _LONGEST

    def _change(self, had: int, first: int, patches: list[Patch]) -> None:
        """Patch what has come of the id and the version, and know then what becomes of the CRC."""
        section = self._section
        arrived = range(max(had, _ID), min(len(section), _VERSION))
        patches += [(first + index, self._versions.change_id(section, index)) for index in arrived]
        if had <= _VERSION < len(section):
            ids = [self._versions.change_id(section, index) for index in range(_ID, _VERSION)]
            version = self._versions.change(section)
            patches.append((first + _VERSION, version))
            self._crc = _crc_change(bytes([*ids, version]), self._total)

    def _finish(self) -> None:
        section = bytes(self._section)
        if section != self._last and self._is_ours() and not crc32(section):
            self._versions.learn(section)
            self._last = section
        self._section.clear()
        self._crc = b""


def _crc_change(xor: bytes, total: int) -> bytes:
    """What the CRC of a section of `total` bytes is to be xored with when its id and version are with `xor`.

    A CRC is linear: the difference of two sections' CRCs depends on nothing but the difference of the sections.
    """
    if not any(xor):
        return b""
    untouched = bytes(total - 4)
    touched = untouched[:_ID] + xor + untouched[_VERSION + 1 :]
    return (crc32(touched) ^ crc32(untouched)).to_bytes(4)


def _free(newest: int, taken: set[int]) -> int:
    """The next version that is not `taken`; just the next where all 32 are."""
    steps = (step for step in range(1, 33) if (newest + step) & 0x1F not in taken)
    return (newest + next(steps, 1)) & 0x1F
