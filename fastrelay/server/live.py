"""A live viewer's socket: what is written to it is copied by the kernel in the call, never queued by reference.

uvloop keeps a reference to a buffer until it is sent, and aborting does not take it back; a ring that is overwritten
meanwhile would reach the viewer as wrong bytes. So a viewer over plain TCP gets its socket out of the transport, and
one over TLS gets copies, one chunk at a time.
"""

import asyncio
import logging
import socket
from collections.abc import Callable

from fastrelay.server.transport import own_socket, reset_on_close, reset_transport

log = logging.getLogger(__name__)

FINISH_TIMEOUT = 5.0
"""Seconds in which the viewer of a finished stream should read the rest and close its side."""
TLS_CHUNK = 64 * 1024
"""Bytes in flight to a TLS viewer; they are copies."""

_DISCARD = 64 * 1024  # bytes read and thrown away per call
_DISCARDS = 256  # calls per wake-up: whoever sends more than that in one go is no viewer

Gone = Callable[[], None]


class RawOutlet:
    """A viewer's socket, non-blocking and owned by nobody else.

    `released` is called once, when the descriptor is closed.
    """

    __slots__ = ("_ended", "_fd", "_gone", "_linger", "_loop", "_reading", "_released", "_sock", "_writing", "write")

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, released: Callable[[], None]) -> None:
        self._loop = loop
        self._sock = sock
        self._fd = sock.fileno()
        self._released = released
        self._gone: Gone | None = None
        self._reading = False
        self._writing = False
        self._ended = False
        self._linger: asyncio.TimerHandle | None = None
        self.write: Callable[[memoryview], int] = sock.send
        """See Outlet."""

    def listen(self, gone: Gone) -> None:
        """Read over what the viewer sends and call `gone` once when it has left, unless closed before."""
        if not self._ended:
            self._gone = gone
            self._start_reading()

    def send(self, *parts: memoryview) -> int:
        """See Outlet."""
        try:
            return self.write(parts[0]) if len(parts) == 1 else self._sock.sendmsg(parts)
        except BlockingIOError:
            return 0

    def watch(self, writable: Callable[[], None]) -> None:
        """See Outlet."""
        if not self._ended:
            self._writing = True
            self._loop.add_writer(self._fd, writable)

    def unwatch(self) -> None:
        """See Outlet."""
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._fd)

    def finish(self) -> None:
        """See Outlet. The socket is closed when the viewer has closed its side: closing earlier would answer whatever
        it may still send with a reset, and a reset makes it lose what it has not read yet."""
        if self._ended:
            return
        self._ended = True
        self.unwatch()
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close()
            return
        self._linger = self._loop.call_later(FINISH_TIMEOUT, self._close)
        self._start_reading()

    def reset(self) -> None:
        """See Outlet."""
        if self._fd < 0:
            return
        self._ended = True
        reset_on_close(self._sock)
        self._close()

    def _start_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self._loop.add_reader(self._fd, self._readable)

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._fd)

    def _readable(self) -> None:
        """Throw away all that is there. Not a part of it: where a reset lies behind unread data, libuv stops polling
        when it sees the error, and would never call again."""
        try:
            for _ in range(_DISCARDS):
                if not self._sock.recv(_DISCARD):
                    break
        except BlockingIOError:
            return
        except OSError as error:
            log.debug("viewer left: %s", error)
        self._left()

    def _left(self) -> None:
        """EOF or an error from the viewer: the socket is of no more use. Its owner hears of it unless he ended it."""
        gone = None if self._ended else self._gone
        self._close()
        if gone is not None:
            gone()

    def _close(self) -> None:
        """Leave the poll before the number is free for another connection."""
        if self._fd < 0:
            return
        self.unwatch()
        self._stop_reading()
        if self._linger is not None:
            self._linger.cancel()
        self._fd = -1
        self._gone = None
        self._sock.close()
        self._released()


class TlsOutlet(asyncio.Protocol):
    """A viewer over TLS: the transport stays, this is its protocol from now on."""

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, released: Callable[[], None]):
        self._loop = loop
        self._transport = transport
        self._released = released
        self._gone: Gone | None = None
        self._writable: Callable[[], None] | None = None
        self._turn: asyncio.Handle | None = None
        self._ended = False
        self._lost = False
        self.write: Callable[[memoryview], int] = self.send
        """See Outlet: nothing is saved here, the cipher costs far more than a call."""
        transport.set_write_buffer_limits(0)
        transport.set_protocol(self)

    def listen(self, gone: Gone) -> None:
        """Call `gone` once when the viewer has left, unless closed before."""
        if not self._ended:
            self._gone = gone
            if self._lost:
                self._loop.call_soon(self._left)

    def send(self, *parts: memoryview) -> int:
        """See Outlet: at most TLS_CHUNK bytes, and only when nothing is in flight."""
        if self._lost or self._transport.is_closing():
            raise ConnectionResetError("the viewer has left")
        if self._transport.get_write_buffer_size():
            return 0
        chunk = b"".join(part[:TLS_CHUNK] for part in parts)[:TLS_CHUNK]
        self._transport.write(chunk)
        return len(chunk)

    def watch(self, writable: Callable[[], None]) -> None:
        """See Outlet."""
        if not self._ended:
            self._writable = writable
            self.resume_writing()

    def unwatch(self) -> None:
        """See Outlet."""
        self._writable = None

    def finish(self) -> None:
        """See Outlet: the transport sends what it holds and says goodbye."""
        if not self._ended:
            self._ended = True
            self.unwatch()
            self._transport.close()

    def reset(self) -> None:
        """See Outlet."""
        if self._lost:
            return
        self._ended = True
        self.unwatch()
        reset_transport(self._transport)

    def resume_writing(self) -> None:
        """The transport holds nothing any more. It says so once; a watcher is to hear it as long as it is true."""
        if self._writable is not None and self._turn is None:
            self._turn = self._loop.call_soon(self._offer)

    def _offer(self) -> None:
        self._turn = None
        if self._writable is None or self._lost or self._transport.get_write_buffer_size():
            return
        self._writable()
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        """A live viewer has nothing to say."""

    def eof_received(self) -> None:
        """The viewer closed its side; the transport closes now."""
        self._left()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._released()
        self._left()

    def _left(self) -> None:
        if self._gone is not None and not self._ended:
            gone, self._gone = self._gone, None
            gone()


def outlet_of(
    loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, released: Callable[[], None]
) -> RawOutlet | TlsOutlet:
    """Take a connection away from the protocol it had; its transport's write buffer must be empty.

    Raises OSError where there is no descriptor left (EMFILE); the connection is as it was then.
    """
    if transport.get_extra_info("ssl_object") is None:
        return RawOutlet(loop, own_socket(transport), released)
    outlet = TlsOutlet(loop, transport, released)
    transport.resume_reading()
    return outlet
