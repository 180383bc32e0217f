"""The server's processor time and memory, read from /proc."""

import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Use:
    """A process and its children at one moment."""

    at: float
    """Seconds since the run's start."""
    cpu: float
    """Seconds of processor time so far, user and system."""
    rss: int
    """Resident bytes."""


def family(pid: int) -> list[int]:
    """A process and all below it. Empty when it is gone."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            fields = _stat(int(folder.name))
            if fields:
                parents[int(folder.name)] = int(fields[1])
    found = [pid] if pid in parents else []
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def use_of(pids: list[int], at: float) -> Use:
    """Taken together; a process that is gone counts nothing."""
    cpu, rss = 0.0, 0
    for pid in pids:
        fields = _stat(pid)
        if fields:
            cpu += (int(fields[11]) + int(fields[12])) / _TICK
            rss += int(fields[21]) * _PAGE
    return Use(at, cpu, rss)


def cpu_between(uses: list[Use], start: float, end: float) -> float:
    """Seconds of processor time between two moments, interpolated between readings."""
    return _at(uses, end) - _at(uses, start)


def _at(uses: list[Use], moment: float) -> float:
    for before, after in pairwise(uses):
        if before.at <= moment <= after.at and after.at > before.at:
            return before.cpu + (after.cpu - before.cpu) * (moment - before.at) / (after.at - before.at)
    return uses[0].cpu if moment < uses[0].at else uses[-1].cpu


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name, which may hold anything: state, parent, …"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
