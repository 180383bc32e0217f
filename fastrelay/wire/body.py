"""The body of a request, taken out of the connection's bytes (RFC 9112 §6 and §7.1)."""

import re
from enum import Enum, auto

from fastrelay.errors import RequestError
from fastrelay.wire.request import Write

_SIZE_LINE_MAX = 256
_TRAILERS_MAX = 8 * 1024
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")


class SizedBody:
    """A body of as many bytes as Content-Length said. `size` came, into `data` or to `write`."""

    __slots__ = ("_left", "_write", "data", "done", "size")

    def __init__(self, length: int, limit: int, write: Write | None = None) -> None:
        """Raises RequestError 413 when `length` is above `limit` (bytes)."""
        if length > limit:
            raise too_large(limit)
        self._left = length
        self.data = bytearray()
        self._write = write or self.data.extend
        self.size = 0
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """Take what belongs to the body; returns what comes behind it (nothing until `done`)."""
        taken = data[: self._left]
        self._write(taken)
        self.size += len(taken)
        self._left -= len(taken)
        self.done = self._left == 0
        return data[len(taken) :]


class _Expect(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()


class ChunkedBody:
    """A chunked body. Chunk extensions and trailers are read over: nothing here has a use for them."""

    __slots__ = ("_expect", "_left", "_limit", "_pending", "_trailers", "_write", "data", "done", "size")

    def __init__(self, limit: int, write: Write | None = None) -> None:
        self._limit = limit
        self.data = bytearray()
        self._write = write or self.data.extend
        self._pending = bytearray()
        self._expect = _Expect.SIZE
        self._left = 0
        self._trailers = 0
        self.size = 0
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """Take what belongs to the body; returns what comes behind it (nothing until `done`).

        Raises RequestError 413 above the limit, 400 when the coding is broken, 431 for endless trailers.
        """
        self._pending += data
        while not self.done and self._step():
            pass
        return bytes(self._pending) if self.done else b""

    def _step(self) -> bool:
        """One move; False when it needs more bytes."""
        if self._expect is _Expect.DATA:
            return self._take_data()
        if self._expect is _Expect.DATA_END:
            return self._take_data_end()
        line = self._take_line()
        if line is None:
            return False
        if self._expect is _Expect.SIZE:
            self._start_chunk(line)
        else:
            self._read_trailer(line)
        return True

    def _start_chunk(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line)
        if found is None:
            raise _broken("a chunk size in hexadecimal digits")
        self._left = int(found[1], 16)
        if self.size + self._left > self._limit:
            raise too_large(self._limit)
        self._expect = _Expect.DATA if self._left else _Expect.TRAILER

    def _take_data(self) -> bool:
        taken = self._pending[: self._left]
        del self._pending[: len(taken)]
        self._write(taken)
        self.size += len(taken)
        self._left -= len(taken)
        if self._left == 0:
            self._expect = _Expect.DATA_END
        return bool(taken)

    def _take_data_end(self) -> bool:
        if not b"\r\n".startswith(self._pending[:2]):
            raise _broken("CR LF behind a chunk's data")
        if len(self._pending) < 2:
            return False
        del self._pending[:2]
        self._expect = _Expect.SIZE
        return True

    def _read_trailer(self, line: bytes) -> None:
        self._trailers += len(line) + 2
        if self._trailers > _TRAILERS_MAX:
            raise RequestError(431, "headers_too_large", f"trailers longer than {_TRAILERS_MAX} bytes")
        self.done = not line

    def _take_line(self) -> bytes | None:
        """The next line without its CR LF; None while it is unfinished."""
        limit = _SIZE_LINE_MAX if self._expect is _Expect.SIZE else _TRAILERS_MAX
        end = self._pending.find(b"\n", 0, limit)
        if end < 0:
            if len(self._pending) >= limit:
                raise _broken(f"lines of less than {limit} bytes")
            return None
        if end == 0 or self._pending[end - 1] != 13:
            raise _broken("CR LF at the end of a line")
        line = bytes(self._pending[: end - 1])
        del self._pending[: end + 1]
        return line


def too_large(limit: int) -> RequestError:
    """The refusal of a body above `limit` bytes."""
    return RequestError(413, "body_too_large", f"the request's body is longer than {limit} bytes")


def _broken(expected: str) -> RequestError:
    return RequestError(400, "bad_request", f"broken chunked coding: expected {expected}")
