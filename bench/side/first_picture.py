"""How long a new viewer waits for the first byte, and for the first picture that can be decoded."""

import socket
import threading
import time
from dataclasses import dataclass

from bench.load.answer import read_head, request
from bench.load.options import Target

PACKET = 188
PATIENCE = 10.0
"""Seconds a viewer waits for a picture."""


@dataclass(frozen=True)
class Wait:
    """Seconds from the connect on; None for what never came."""

    first_byte: float | None
    picture: float | None


class FirstPicture:
    """Finds, in a transport stream with H.264, the end of the first IDR picture behind a PAT and a PMT."""

    def __init__(self) -> None:
        self.found = False
        self._rest = b""
        self._pmt_pid = -1
        self._video_pid = -1
        self._unit: bytearray | None = None

    def feed(self, data: bytes) -> bool:
        """True from the moment on in which the picture is complete."""
        whole = self._rest + data
        while len(whole) >= PACKET and whole[0] != 0x47:
            whole = whole[1:]
        size = len(whole) // PACKET * PACKET
        self._rest = whole[size:]
        for at in range(0, size, PACKET):
            self._packet(whole[at : at + PACKET])
        return self.found

    def _packet(self, packet: bytes) -> None:
        pid, starts = (packet[1] & 0x1F) << 8 | packet[2], packet[1] & 0x40
        payload = packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]
        if pid == 0 and starts and payload:
            section = payload[1 + payload[0] :]
            self._pmt_pid = (section[10] & 0x1F) << 8 | section[11]
        elif pid == self._pmt_pid and starts:
            self._video_pid = _video_of(payload[1 + payload[0] :])
        elif pid == self._video_pid:
            if starts:
                # A picture ends where the next one starts.
                self.found = self.found or (self._unit is not None and _has_idr(self._unit))
                self._unit = bytearray()
            if self._unit is not None:
                self._unit += payload


def _video_of(section: bytes) -> int:
    """PID of the first H.264 stream (type 0x1B) of a PMT (ISO 13818-1 §2.4.4.8)."""
    end = 3 + ((section[1] & 0x0F) << 8 | section[2]) - 4
    at = 12 + ((section[10] & 0x0F) << 8 | section[11])
    while at + 5 <= min(end, len(section)):
        if section[at] == 0x1B:
            return (section[at + 1] & 0x1F) << 8 | section[at + 2]
        at += 5 + ((section[at + 3] & 0x0F) << 8 | section[at + 4])
    return -1


def _has_idr(unit: bytearray) -> bool:
    at = unit.find(b"\x00\x00\x01")
    while 0 <= at < len(unit) - 3:
        if unit[at + 3] & 0x1F == 5 and not unit[at + 3] & 0x80:
            return True
        at = unit.find(b"\x00\x00\x01", at + 3)
    return False


def wait_for_picture(target: Target) -> Wait:
    """One new viewer."""
    began = time.perf_counter()
    first: float | None = None
    finder, head, body = FirstPicture(), bytearray(), False
    try:
        with socket.create_connection(target.address, PATIENCE) as sock:
            sock.sendall(request(target.host, target.path, keep=False))
            while time.perf_counter() - began < PATIENCE:
                data = sock.recv(1 << 18)
                now = time.perf_counter() - began
                if not data:
                    break
                if not body:
                    head += data
                    found = read_head(head)
                    if found is None:
                        continue
                    body, data = True, bytes(head[found[1] :])
                if data and first is None:
                    first = now
                if finder.feed(data):
                    return Wait(first, now)
    except (OSError, ValueError):
        pass
    return Wait(first, None)


class Probing(threading.Thread):
    """New viewers one after the other, from `delay` seconds on, beside a running load."""

    def __init__(self, target: Target, delay: float, count: int, until: float) -> None:
        super().__init__(daemon=True)
        self.waits: list[Wait] = []
        self._target, self._count = target, count
        self._from, self._until = time.monotonic() + delay, time.monotonic() + until

    def run(self) -> None:
        time.sleep(max(0.0, self._from - time.monotonic()))
        while len(self.waits) < self._count and time.monotonic() < self._until:
            self.waits.append(wait_for_picture(self._target))
            # Not in step with the source's key frames.
            time.sleep(0.137)


def cold_overheads(source: Target, relay: Target, count: int, idle: float) -> list[float]:
    """Seconds by which a cold channel shows its first picture later than the source itself, dialled at the same moment.

    `idle` is how long to wait between two tries, until the relay has let go of the source.
    """
    found = []
    for number in range(count):
        time.sleep(idle + 0.137 * number)
        direct = Probing(source, 0.0, 1, PATIENCE)
        direct.start()
        over_relay = wait_for_picture(relay).picture
        direct.join(PATIENCE)
        own = direct.waits[0].picture if direct.waits else None
        if own is not None and over_relay is not None:
            found.append(over_relay - own)
    return found
