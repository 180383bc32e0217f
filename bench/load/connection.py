"""A non-blocking TCP connection to a target."""

import errno
import os
import socket

from bench.load.options import Target

SCRAP = bytearray(4 << 20)
"""Where bytes go that nobody looks at. With MSG_TRUNC the kernel does not even copy them."""

DISCARD = socket.MSG_TRUNC


def dial(target: Target) -> socket.socket:
    """Begin to connect. Raises OSError."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    result = sock.connect_ex(target.address)
    if result not in (0, errno.EINPROGRESS):
        sock.close()
        raise OSError(result, os.strerror(result))
    return sock


def failure(sock: socket.socket) -> str:
    """Why a connection failed that epoll reports as broken."""
    number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return os.strerror(number) if number else "closed by the server"
