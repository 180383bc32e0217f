"""What a cache or a player asks beside the path: is mine current, only a part, packed (RFC 9110 §12.5.3, §13, §14)."""

import re
from functools import lru_cache

_TAG = re.compile(r'(?:W/)?("[^"]*")')
_BYTES = re.compile(r"bytes\s*=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\s*", re.IGNORECASE)
_FIELDS_KEPT = 256


def is_current(if_none_match: str | None, etag: str) -> bool:
    """Whether the client has what `etag` names: one of a list, `*`, or weakened by a cache on the way (§13.1.2)."""
    if if_none_match is None:
        return False
    return if_none_match == etag or if_none_match.strip() == "*" or etag in _TAG.findall(if_none_match)


def byte_range(field: str, size: int) -> range | None:
    """The one range that is asked for of `size` bytes; empty where nothing of it is there (416).

    None where the whole is the answer: no range, another unit, several ranges, or none that can be read (§14.2).
    """
    found = _BYTES.fullmatch(field)
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        return range(max(0, size - int(last)), size)
    end = min(int(last) + 1, size) if last else size
    return range(min(int(first), size), end)


@lru_cache(_FIELDS_KEPT)
def takes_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding admits gzip; by its own name, or by `*` where it is not named (§12.5.3)."""
    weights: dict[str, str] = {}
    for part in accept_encoding.lower().split(","):
        name, _, parameter = part.partition(";")
        weights[name.strip()] = parameter.replace(" ", "").removeprefix("q=") or "1"
    weight = weights.get("gzip", weights.get("x-gzip", weights.get("*", "0")))
    return weight.strip("0.") != ""
