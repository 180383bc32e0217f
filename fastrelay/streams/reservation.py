"""The file that remembers, across restarts, up to where discontinuity numbers are reserved."""

import asyncio
import contextlib
import logging
import time
from pathlib import Path

from fastrelay.hls.discontinuities import Discontinuities

log = logging.getLogger(__name__)

FILE = "discontinuity"
"""In the data folder. Without it numbers begin at the clock, which is right as long as switches are minutes apart."""


def reserved_in(folder: Path) -> Discontinuities:
    """The numbers of this process. A folder that cannot be written is no reason not to serve: it is logged."""
    file = folder / FILE
    found = 0
    with contextlib.suppress(OSError, ValueError):
        found = int(file.read_text())

    def save(number: int) -> None:
        try:
            part = file.with_suffix(".part")
            part.write_text(str(number))
            part.replace(file)
        except OSError as error:
            log.warning("discontinuity numbers cannot be kept in %s: %s", file, error.strerror)

    def save_aside(number: int) -> None:
        asyncio.get_running_loop().run_in_executor(None, save, number)

    return Discontinuities(found, time.time(), save_aside)
