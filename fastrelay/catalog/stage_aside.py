"""Staging in a process of its own, at low priority: neither the interpreter nor its memory are the server's."""

import asyncio
import json
import sys
from dataclasses import asdict

from fastrelay.catalog.m3u import Attributes
from fastrelay.catalog.stage import Order, Staged, StageError

_COMMAND = (sys.executable, "-m", "fastrelay.catalog.stage")


async def stage_aside(order: Order) -> Staged:
    """As `stage`. Cancelled, it ends the process. Raises StageError."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*_COMMAND, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        out, errors = await process.communicate(json.dumps(asdict(order)).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        raise StageError(f"reading the list failed with status {process.returncode}: {last}")
    answer = json.loads(out)
    if "error" in answer:
        raise StageError(answer["error"])
    staged = answer["staged"]
    header: Attributes = tuple((key, value) for key, value in staged.pop("header"))
    return Staged(**{**staged, "rejections": tuple(staged["rejections"])}, header=header)
