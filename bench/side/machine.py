"""The machine that was measured on, in a few lines."""

import os
import platform
from pathlib import Path


def describe() -> list[str]:
    """Processor, cores, memory, kernel, Python."""
    return [
        f"{_field('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores",
        f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) / 1e6:.0f} GB memory",
        f"Linux {platform.release()}, {_field('/etc/os-release', 'PRETTY_NAME', '=')}",
        f"Python {platform.python_version()}",
    ]


def _field(file: str, name: str, sign: str = ":") -> str:
    for line in Path(file).read_text().splitlines():
        key, _, value = line.partition(sign)
        if key.strip() == name:
            return value.strip().strip('"')
    return "unknown"
