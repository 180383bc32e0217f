"""What a run of the load tool is asked to do, and what it refuses to do."""

import argparse
import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

MOST_CLIENTS = 50_000
LONGEST = 3600.0
"""Seconds: a forgotten run ends by itself."""


@dataclass(frozen=True)
class Target:
    """A URL with its host looked up once: the name server is not what is measured."""

    url: str
    address: tuple[str, int]
    host: str
    """For the Host header."""
    path: str


@dataclass(frozen=True)
class Options:
    """One run; times are seconds, sizes bytes."""

    targets: tuple[Target, ...]
    clients: int
    mode: str = "ts"
    ramp: float = 5.0
    seconds: float = 30.0
    """From the end of the ramp on: what is measured."""
    processes: int = 1
    slow: int = 0
    verify: bool = False
    gather: int = 48 * 1024
    probes: int = 200
    starved_after: float = 3.0
    bitrate: float | None = None
    """Bits per second a viewer should get; None: as much as the median viewer does."""
    least_rate: float = 0.9
    """Part of that below which a viewer counts as starved."""

    def share(self, number: int) -> "Options":
        """The part of one process of `processes`."""

        def part(whole: int) -> int:
            return whole // self.processes + (number < whole % self.processes)

        return replace(self, clients=part(self.clients), slow=part(self.slow), probes=part(self.probes))


def target_of(url: str, allow_remote: bool = False) -> Target:
    """Raises ValueError for what is no http URL, and for another machine unless that is allowed."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"{url}: expected http://HOST[:PORT]/PATH")
    try:
        address = socket.gethostbyname(parts.hostname)
    except OSError as error:
        raise ValueError(f"{url}: {error.strerror}") from None
    if not ipaddress.ip_address(address).is_loopback and not allow_remote:
        raise ValueError(
            f"{url} is another machine ({address}): a load test may disturb others. Give --allow-remote if it is yours."
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(url, (address, parts.port or 80), parts.netloc.rpartition("@")[2], path)


def _between(kind: Callable[[str], float], least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = kind(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"expected {least:g} to {most:g}, got {text}")
        return value

    return read


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="loadtest.py",
        description="Plays the viewers of a streaming server and tells how well they were served. "
        "Exit status 1 when a viewer starved, was closed or got a wrong byte.",
    )
    add = made.add_argument
    add("urls", nargs="+", metavar="URL", help="http URLs; the viewers are spread over them")
    add("--clients", type=_between(int, 1, MOST_CLIENTS), default=100, metavar="N", help="viewers (default 100)")
    add("--mode", choices=("ts", "hls"), default="ts", help="one endless response, or an HLS player (default ts)")
    add("--ramp", type=_between(float, 0, 600), default=5.0, metavar="S", help="seconds in which they come (default 5)")
    add("--seconds", type=_between(float, 1, LONGEST), default=30.0, metavar="S", help="measured time (default 30)")
    add("--processes", type=_between(int, 1, 64), default=1, metavar="P", help="processes that play (default 1)")
    add("--slow", type=_between(int, 0, MOST_CLIENTS), default=0, metavar="K", help="of these, stop reading (ts)")
    add("--verify", action="store_true", help="look at every byte: TS sync, continuity, positions where coded")
    add("--gather", type=_between(int, 0, 1 << 20), default=48 * 1024, metavar="BYTES",
        help="wake a reader when so much has come, at most one flush; 0 at once (default 49152)")  # fmt: skip
    add("--probes", type=_between(int, 0, 10_000), default=200, metavar="N",
        help="viewers without --gather: gaps are taken from them (default 200)")  # fmt: skip
    add("--starved-after", type=_between(float, 0.1, 60), default=3.0, metavar="S",
        help="seconds without a byte after which a viewer counts as starved (default 3)")  # fmt: skip
    add("--bitrate", type=_between(float, 1, 1e10), metavar="BITS",
        help="of the stream: who gets less than 90 %% starves (default: what the median viewer gets)")  # fmt: skip
    add("--pid", type=int, metavar="PID", help="the server's process: its CPU and memory are recorded")
    add("--report", metavar="FILE.html", help="write a page with plots")
    add("--json", metavar="FILE.json", help="write all figures")
    add("--allow-remote", action="store_true", help="allow another machine than this one")
    return made


def options_of(given: argparse.Namespace) -> Options:
    """Raises ValueError."""
    if given.slow > given.clients:
        raise ValueError("--slow: more than there are --clients")
    targets = tuple(target_of(url, given.allow_remote) for url in given.urls)
    return Options(
        targets, given.clients, given.mode, given.ramp, given.seconds, given.processes, given.slow,
        given.verify, given.gather, given.probes, given.starved_after, given.bitrate,
    )  # fmt: skip
