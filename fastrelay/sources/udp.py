"""MPEG-TS over UDP, bare or in RTP, unicast or multicast."""

import asyncio
import socket

from fastrelay.config import Failover
from fastrelay.errors import ConnectError, EndOfStreamError, FormatError, StallError
from fastrelay.mpegts.packet import PACKET_SIZE, SYNC_BYTE
from fastrelay.sources.base import Chunk, Source
from fastrelay.sources.multicast import dropped, open_socket, parse_address
from fastrelay.sources.rtp import Reorder, parse
from fastrelay.sources.sniff import recognise
from fastrelay.wire.source_url import redact

GATHER = 0.01
"""Seconds to let datagrams gather in the kernel before they are taken: fewer wake-ups, and nothing waits for less."""

LONGEST_GATHER = 0.05
"""… and at most, where nobody misses them: the kernel drops what does not fit into its buffer."""

BATCH = 256
"""Datagrams taken before others get their turn; a millisecond of work."""

_SYNC = bytes([SYNC_BYTE])
_LARGEST = 65536
_STRANGERS = 32
"""So many datagrams in a row that are no stream are not an accident."""


async def open_udp(url: str, failover: Failover) -> Source:
    """Listen as a `udp:` or `rtp:` URL says; both take bare MPEG-TS and RTP, whichever comes.

    Returns with the first datagram. Raises ConnectError (address, interface), StallError (silence), FormatError.
    """
    shown = redact(url)
    try:
        receiver = open_socket(parse_address(url))
    except ValueError as error:
        raise ConnectError(f"{shown}: {error}") from error
    except OSError as error:
        raise ConnectError(f"{shown}: cannot listen: {error.strerror or error}") from error
    source = UdpSource(receiver, url.partition(":")[0].lower(), shown, failover)
    try:
        await source.start()
    except BaseException:
        await source.close()
        raise
    return source


class UdpSource:
    """Takes datagrams out of the kernel's buffer only when it is read; what does not fit there the kernel drops."""

    paced = False
    target_duration = 0.0

    def __init__(self, receiver: socket.socket, kind: str, shown: str, failover: Failover) -> None:
        self.kind = kind
        self.lost = 0
        self._receiver = receiver
        self._shown = shown
        self._failover = failover
        self._loop = asyncio.get_running_loop()
        self._reorder = Reorder()
        self._head = b""
        self._strangers = 0
        self._gather = GATHER

    async def start(self) -> None:
        """Wait for the first datagram of the stream."""
        self._head = await self._next(self._failover.first_byte_timeout)

    async def read(self) -> Chunk:
        """What has arrived. Raises StallError after `stall_timeout` seconds of silence."""
        if self._head:
            head, self._head = self._head, b""
            return Chunk(head)
        return Chunk(await self._next(self._failover.stall_timeout))

    async def _next(self, patience: float) -> bytes:
        try:
            async with asyncio.timeout(patience):
                await asyncio.sleep(0)  # a socket that is never empty must not hold the loop
                while not (data := self._drain()):
                    await self._readable()
                    await asyncio.sleep(self._gather)
                return data
        except TimeoutError:
            if self._strangers:
                raise self._strange() from None
            raise StallError(f"{self._shown}: no datagram came for {patience:g} s") from None

    def _drain(self) -> bytes:
        """Take what is there, up to BATCH datagrams."""
        now = self._loop.time()
        payloads: list[bytes] = []
        try:
            for _ in range(BATCH):
                self._sort(self._receiver.recv(_LARGEST), now, payloads)
        except BlockingIOError:
            pass
        except OSError as error:
            raise EndOfStreamError(f"{self._shown}: cannot receive: {error.strerror}") from error
        # What the kernel dropped of an RTP stream is missing in its numbers too: count it once.
        self.lost = max(dropped(self._receiver), self._reorder.lost)
        return b"".join(payloads)

    def _sort(self, datagram: bytes, now: float, payloads: list[bytes]) -> None:
        aligned = datagram[:1] == _SYNC and datagram[PACKET_SIZE : PACKET_SIZE + 1] in (_SYNC, b"")
        if aligned:
            payloads.append(datagram)
        elif packet := parse(datagram):
            payloads += self._reorder.take(packet, now)
        elif _is_ts(datagram):
            payloads.append(datagram)
        else:
            self._strangers += 1
            if self._strangers >= _STRANGERS:
                raise self._strange()
            return
        self._strangers = 0

    def _strange(self) -> FormatError:
        return FormatError(f"{self._shown}: datagrams come, but they hold neither MPEG-TS nor RTP with MPEG-TS")

    async def _readable(self) -> None:
        """Until something arrives."""
        arrived: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(self._receiver, _wake, arrived)
        try:
            await arrived
        finally:
            self._loop.remove_reader(self._receiver)

    def gather(self, seconds: float, size: int) -> None:
        """See Source."""
        self._gather = min(max(GATHER, seconds), LONGEST_GATHER)

    async def close(self) -> None:
        """Leave the group and free the port."""
        self._receiver.close()


def _wake(arrived: asyncio.Future[None]) -> None:
    if not arrived.done():
        arrived.set_result(None)


def _is_ts(datagram: bytes) -> bool:
    """Whether packets of any size are in it, aligned or not."""
    try:
        return recognise(datagram, complete=True) == "ts"
    except FormatError:
        return False
