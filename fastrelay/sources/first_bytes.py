"""What an HTTP answer is, told by the first bytes of its body."""

import asyncio
from typing import Literal

from fastrelay.config import Failover
from fastrelay.errors import FormatError, StallError
from fastrelay.sources.http_reply import Reply
from fastrelay.sources.sniff import ENOUGH, recognise
from fastrelay.wire.content_coding import decompress
from fastrelay.wire.source_url import redact


async def first_bytes(reply: Reply, failover: Failover) -> tuple[Literal["ts", "hls"], bytes]:
    """Read until it is clear what comes: that, and all that was read.

    The first byte has its own deadline, the rest the stall timeout. Raises StallError, EndOfStreamError, FormatError.
    """
    head, complete, deadline = b"", False, reply.first_byte_by
    kind = None
    try:
        while kind is None:
            async with asyncio.timeout_at(deadline):
                piece = await reply.read()
            deadline = deadline if head else asyncio.get_running_loop().time() + failover.stall_timeout
            head, complete = head + piece, not piece
            plain = decompress(head, 2 << 20, complete) if reply.compressed and head else head
            kind = recognise(plain[:ENOUGH], complete)
    except TimeoutError:
        raise StallError(f"{redact(reply.url)}: too few bytes came in time to tell what they are") from None
    except FormatError as error:
        raise FormatError(f"{redact(reply.url)}: {error}") from None
    if kind == "ts" and reply.compressed:
        raise FormatError(f"{redact(reply.url)}: the transport stream comes compressed")
    return kind, head
