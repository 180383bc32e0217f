"""Continuous MPEG-TS over HTTP: one answer that never ends."""

from fastrelay.errors import EndOfStreamError
from fastrelay.sources.base import Chunk
from fastrelay.sources.http import HttpClient
from fastrelay.sources.http_reply import Reply
from fastrelay.sources.stall import within
from fastrelay.wire.source_url import redact


class HttpTsSource:
    """The body of an HTTP answer as it arrives; while nobody reads, TCP holds the sender back."""

    kind = "ts"
    paced = True
    target_duration = 0.0
    lost = 0

    def __init__(self, client: HttpClient, reply: Reply, head: bytes, stall_timeout: float) -> None:
        """`head` is what was read to recognise the stream; `stall_timeout` is in seconds."""
        self._client = client
        self._reply = reply
        self._head = head
        self._stall_timeout = stall_timeout
        self._shown = redact(reply.url)

    async def read(self) -> Chunk | None:
        """The next bytes, never None: a live stream has no end.

        Raises StallError when no byte comes for the stall timeout, EndOfStreamError when the answer ends or breaks.
        """
        if self._head:
            head, self._head = self._head, b""
            return Chunk(head)
        async with within(self._stall_timeout, f"{self._shown}: nothing came for {self._stall_timeout:g} s"):
            data = await self._reply.read()
        if not data:
            raise EndOfStreamError(f"{self._shown}: the source ended the stream")
        return Chunk(data)

    def gather(self, seconds: float, size: int) -> None:
        """See Source."""
        self._reply.gather(seconds, size)

    async def close(self) -> None:
        await self._reply.abort()
        await self._client.close()
