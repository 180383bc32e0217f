"""How much a connection may ask for, and how long it may take."""

import resource
from dataclasses import dataclass

from fastrelay.config import Server

RESERVED_MIN = 64
"""Descriptors kept for sources and storage, at the least."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Times are seconds, sizes are bytes. The times are absolute: a client cannot stretch them byte by byte."""

    max_connections: int
    max_connections_per_ip: int = 0
    send_buffer: int = 512 * 1024
    write_timeout: float = 30.0
    """A reader that takes nothing, or next to nothing, for this long is cut."""
    slowest_reader: int = 16 * 1024
    """Bytes per second, on average over `write_timeout`; less is next to nothing. No video is as slow, and what an
    answer holds of memory while it is being read is an attack at a byte per minute."""
    head_timeout: float = 10.0
    """From the first byte of a head (of a new connection: from its start) to the last."""
    body_timeout: float = 30.0
    upload_timeout: float = 600.0
    """The same for a body of up to 64 MiB: a megabit a second is enough."""
    idle_timeout: float = 15.0
    """Between two requests."""
    linger_timeout: float = 2.0
    """How long a refused client may still send, so that it can read the answer before the connection ends."""
    linger_bytes: int = 16 << 20
    read_ahead: int = 16 * 1024
    """Pipelined bytes taken in while an earlier request is being answered; beyond, reading pauses."""
    pipeline_max: int = 16
    """Requests of one connection answered before the others get their turn."""
    tick: float = 1.0
    """How often deadlines are looked at."""

    @property
    def least_read(self) -> float:
        """Bytes of an answer that must be read within `write_timeout`, or all that is left of it."""
        return self.slowest_reader * self.write_timeout

    @classmethod
    def of(cls, server: Server) -> "Limits":
        """From the configuration."""
        return cls(
            max_connections=server.max_connections or connections_for(raise_descriptor_limit()),
            max_connections_per_ip=server.max_connections_per_ip,
            send_buffer=server.send_buffer,
            write_timeout=server.write_timeout,
        )


def connections_for(descriptors: int) -> int:
    """How many connections a process with so many descriptors may hold; the rest is for sources and storage."""
    return max(1, descriptors - max(descriptors // 8, RESERVED_MIN))


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one; returns what is in force then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        return soft
    return hard
