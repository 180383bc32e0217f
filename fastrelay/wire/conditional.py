"""What a cache or a player asks beside the path: is mine current, only a part, packed (RFC 9110 §12.5.3, §13, §14)."""

import re
from functools import lru_cache
from typing import NamedTuple

_TAG = re.compile(r'(?:W/)?("[^"]*")')
_BYTES = re.compile(r"bytes\s*=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\s*", re.IGNORECASE)
_FIELDS_KEPT = 256


def is_current(if_none_match: str | None, etag: str) -> bool:
    """Whether the client has what `etag` names: one of a list, `*`, or weakened by a cache on the way (§13.1.2)."""
    if if_none_match is None:
        return False
    return if_none_match == etag or if_none_match.strip() == "*" or etag in _TAG.findall(if_none_match)


class ByteRange(NamedTuple):
    """From the `first` byte to the `last` one; without `first` the `last` so many, without `last` all to the end."""

    first: int | None
    last: int | None

    def within(self, size: int) -> tuple[int, int] | None:
        """Where it begins and ends in `size` bytes; None when nothing of it is there (416)."""
        if self.first is None:
            start, end = max(0, size - (self.last or 0)), size
        else:
            start, end = self.first, size if self.last is None else min(self.last + 1, size)
        return (start, end) if start < end else None


def parse_range(field: str) -> ByteRange | None:
    """The one range that is asked for.

    None where the whole is the answer: no range, another unit, several ranges, or none that can be read (§14.2).
    """
    found = _BYTES.fullmatch(field)
    if found is None or found.groups() == ("", ""):
        return None
    first, last = (int(digits) if digits else None for digits in found.groups())
    return ByteRange(first, last)


@lru_cache(_FIELDS_KEPT)
def takes_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding admits gzip; by its own name, or by `*` where it is not named (§12.5.3)."""
    weights: dict[str, str] = {}
    for part in accept_encoding.lower().split(","):
        name, _, parameter = part.partition(";")
        weights[name.strip()] = parameter.replace(" ", "").removeprefix("q=") or "1"
    weight = weights.get("gzip", weights.get("x-gzip", weights.get("*", "0")))
    return weight.strip("0.") != ""
