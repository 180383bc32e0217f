"""What asyncio's transports have no word for: a reset, what the kernel still holds, and giving the socket away."""

import asyncio
import fcntl
import os
import socket
import struct
import sys
import termios

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s


def own_socket(transport: asyncio.Transport) -> socket.socket:
    """Take a plain TCP connection out of its transport, whose write buffer must be empty.

    The descriptor is duplicated and the transport closes its own; no byte moves. Raises OSError (EMFILE).
    """
    sock = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
    sock.setblocking(False)
    transport.abort()
    return sock


def in_kernel(transport: asyncio.Transport) -> int:
    """Bytes that the kernel holds for a transport's peer: not sent, or not yet acknowledged."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return 0
    return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def reset_transport(transport: asyncio.Transport) -> None:
    """Close at once; the peer sees a reset and what is unsent is dropped."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        reset_on_close(sock)
    transport.abort()


def reset_on_close(sock: socket.socket) -> None:
    """From now on closing sends a reset and drops what is unsent."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
