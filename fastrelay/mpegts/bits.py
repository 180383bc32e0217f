"""Bits and Exp-Golomb numbers, as the headers of coded video and audio are written."""


class Bits:
    """Reads a string of bits from its start. Past its end it raises EOFError."""

    __slots__ = ("_at", "_data", "_size")

    def __init__(self, data: bytes) -> None:
        self._data = int.from_bytes(data)
        self._size = 8 * len(data)
        self._at = 0

    def u(self, count: int) -> int:
        """An unsigned number of `count` bits."""
        self._at += count
        if self._at > self._size:
            raise EOFError("the header is cut off")
        return self._data >> self._size - self._at & (1 << count) - 1

    def flag(self) -> bool:
        return bool(self.u(1))

    def skip(self, count: int) -> None:
        self.u(count)

    def ue(self) -> int:
        """An Exp-Golomb number (ISO 14496-10 §9.1)."""
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 32:
                raise EOFError("no Exp-Golomb number")
        return (1 << zeros) - 1 + self.u(zeros)

    def skip_ue(self, count: int) -> None:
        """Pass over so many Exp-Golomb numbers, signed or unsigned: they are of the same length."""
        for _ in range(count):
            self.ue()

    def se(self) -> int:
        """A signed Exp-Golomb number (§9.1.1)."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


def unescaped(unit: bytes) -> bytes:
    """A NAL unit without its emulation prevention bytes (ISO 14496-10 §7.4.1)."""
    return unit.replace(b"\x00\x00\x03", b"\x00\x00")
