"""The shared ring: one bytearray per stream, addressed by absolute byte positions.

Positions count every byte ever appended and only grow; the modulo lives in this file alone. Therefore nothing outside
notices when the ring grows: a cursor that was valid stays valid and names the same bytes.
"""

Buffer = bytes | bytearray | memoryview


class Ring:
    """Holds the bytes of positions [tail, head). Appending past `size` forgets the oldest."""

    __slots__ = ("_memory", "_view", "head", "size", "tail")

    def __init__(self, size: int) -> None:
        self.size = size
        self.head = 0
        # Stored, not computed as head - size: right after a growth that would admit positions never copied.
        self.tail = 0
        self._memory = bytearray(size)
        self._view = memoryview(self._memory)

    def append(self, data: Buffer) -> None:
        """Copy `data` in behind the head; the tail moves past what that overwrites.

        Raises ValueError for more than the ring holds: the caller slices, so that readers get a chance in between.
        """
        count = len(data)
        if count > self.size:
            raise ValueError(f"{count} bytes do not fit a ring of {self.size}")
        start = self.head % self.size
        first = min(count, self.size - start)
        if first == count:
            self._view[start : start + count] = data
        else:
            whole = memoryview(data)
            self._view[start:] = whole[:first]
            self._view[: count - first] = whole[first:]
        self.head += count
        self.tail = max(self.tail, self.head - self.size)

    def views(self, start: int, end: int) -> tuple[memoryview, ...]:
        """The bytes of [start, end) without a copy: none, one, or two slices where they wrap.

        A view is good until the next append or growth only: write it out before any yield, and never store it.
        Raises IndexError for positions outside [tail, head].
        """
        if not self.tail <= start <= end <= self.head:
            raise IndexError(f"[{start}, {end}) is outside [{self.tail}, {self.head})")
        if start == end:
            return ()
        first, last = start % self.size, end % self.size
        if first < last:
            return (self._view[first:last],)
        return (self._view[first:], self._view[:last]) if last else (self._view[first:],)

    def copy(self, start: int, end: int) -> bytes:
        """The bytes of [start, end) as an object of their own. Raises IndexError like `views`."""
        return b"".join(self.views(start, end))

    def release(self) -> None:
        """Give the memory back at once: nothing is appended or read any more.

        Whoever refers to a ring may stand in a cycle, and a server at rest collects those late.
        """
        self.tail = self.head
        self._memory = bytearray()
        self._view = memoryview(self._memory)

    def grow(self, size: int) -> None:
        """Move into a larger memory; head, tail and every valid position stay as they are."""
        if size <= self.size:
            raise ValueError(f"a ring of {self.size} cannot grow to {size}")
        kept = self.views(self.tail, self.head)
        memory = bytearray(size)
        position = self.tail
        for part in kept:
            offset = 0
            while offset < len(part):
                start = position % size
                count = min(len(part) - offset, size - start)
                memory[start : start + count] = part[offset : offset + count]
                position += count
                offset += count
        self.size = size
        self._memory = memory
        self._view = memoryview(memory)
