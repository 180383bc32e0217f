"""Finds the sections of one PID in passing packets, byte by byte, and what to change in the packets."""

from collections.abc import Iterator

from fastrelay.mpegts.packet import PACKET_SIZE, Buffer, payload_at
from fastrelay.mpegts.psi import STUFFING, crc32
from fastrelay.mpegts.psi_edit import HEADER, PsiEdit

Patch = tuple[int, int]
"""An offset, and what the byte there is to be xored with."""


class PsiPatcher:
    """Follows the sections on one PID across packets. A packet is never held back for the one behind it."""

    __slots__ = ("_counter", "_edit", "_last", "_open", "_patches", "_payload", "_section", "_sent", "_total", "_whole")

    def __init__(self, edit: PsiEdit) -> None:
        self._edit = edit
        self._counter = -1
        self._payload = b""
        self._patches: list[Patch] = []
        self._whole = False
        """The last packet holds whole sections and nothing else: nearly every packet of a table, again and again."""
        self._section = bytearray()
        self._sent = b""
        """What became of `_section`."""
        self._total = 0
        self._open = False
        self._last = b""

    def patches(self, packets: Buffer, indices: Iterator[int]) -> Iterator[Patch]:
        """What to change in the packets of this PID, which are at `indices` of `packets`."""
        for index in indices:
            at = index * PACKET_SIZE
            start = payload_at(packets, at)
            damaged = packets[at + 1] & 0x80
            if damaged or start == at + PACKET_SIZE:
                continue
            payload = bytes(packets[start : at + PACKET_SIZE])
            counter = packets[at + 3] & 0x0F
            # A packet may be sent twice (§2.4.3.3); the copy changes as the first did.
            if payload != self._payload or not (self._whole or counter == self._counter):
                if counter != (self._counter + 1) & 0x0F:
                    self._close()
                starts = bool(packets[at + 1] & 0x40)
                self._whole = starts and not self._section
                self._patches = self._walk(payload, starts)
                self._whole = self._whole and not self._section
            self._counter, self._payload = counter, payload
            for offset, xor in self._patches:
                yield start + offset, xor

    def _close(self) -> None:
        self._open = False
        self._section.clear()
        self._sent = b""

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
        if had < HEADER:
            section += payload[at : first + HEADER]
            if len(section) < HEADER:
                return len(payload)
            self._total = HEADER + ((section[1] & 0x0F) << 8 | section[2])
        section += payload[first + len(section) : first + self._total]
        self._change(had, first, patches)
        end = first + len(section)
        if len(section) == self._total:
            self._finish()
        return end

    def _change(self, had: int, first: int, patches: list[Patch]) -> None:
        """Patch the bytes of the section from `had` on."""
        section = bytes(self._section)
        sent = self._sent or section[:had]
        # Tables are repeated: the last one tells the second byte of a field that is cut in two here.
        whole = self._last if self._last.startswith(section) else section
        edited = self._edit.edited(whole, self._total)[: len(section)]
        if edited[:had] != sent:
            # The first byte of such a field has gone out unchanged. The CRC shall not match: nobody takes this section.
            edited = sent + section[had : self._total - 1] + bytes(byte ^ 0xFF for byte in section[self._total - 1 :])
        if edited != section:
            patches += [(first + at, section[at] ^ edited[at]) for at in range(had, len(section))]
        self._sent = edited

    def _finish(self) -> None:
        section = bytes(self._section)
        if section != self._last and not crc32(section):
            self._edit.learn(section)
            self._last = section
        self._section.clear()
        self._sent = b""
