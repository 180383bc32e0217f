"""The words that playlists are made of (RFC 8216 §4.1, §4.2), read tolerantly: lines, attribute lists, numbers."""

import re

from fastrelay.errors import FormatError

# Comments in front of #EXTM3U are against the rules, but harmless and seen.
_BEGINNING = re.compile(r"(?:#(?!EXT)[^\r\n]*[\r\n]\s*)*+#EXTM3U")
# Not str.splitlines: U+2028 and form feeds may stand in titles and names.
LINE_END = re.compile(r"\r\n|\n|\r")
# A name begins at no letter in the middle of a word, and is not tried at half its length: a hostile line of nothing but
# letters would take minutes.
ATTRIBUTE = re.compile(r"(?<![A-Za-z0-9_-])([A-Za-z0-9_-]++)\s*+=\s*(?:\"([^\"]*)\"?|([^,\"]*))")
"""Name, and value with or without quotes."""
BYTE_RANGE = re.compile(r"([0-9]{1,18})\s*(?:@\s*([0-9]{1,18}))?")
"""Length, and offset where there is one."""
_NUMBER = re.compile(r"\s*(-?[0-9]{1,15}(?:\.[0-9]*)?|-?\.[0-9]+)")
_INTEGER = re.compile(r"[0-9]{1,19}")
_LONGEST = 86400.0  # no segment lasts longer than a day; what claims to is garbage


class PlaylistError(FormatError, ValueError):
    """This is no HLS playlist, or one that cannot be understood without guessing at bytes."""


def from_beginning(text: str) -> str:
    """The text from its first visible character on. Raises PlaylistError when that is not the start of a playlist."""
    text = text.lstrip("\ufeff \t\r\n")
    if not text:
        raise PlaylistError("the playlist is empty")
    if not _BEGINNING.match(text):
        kind = "a web page" if text.startswith("<") else "something else"
        raise PlaylistError(f"expected a playlist beginning with #EXTM3U, got {kind}")
    return text


def attributes(text: str) -> dict[str, str]:
    """An attribute list (§4.2), names in capitals; commas inside quotes belong to the value."""
    found = ATTRIBUTE.finditer(text)
    return {match[1].upper(): match[2] if match[2] is not None else match[3].strip() for match in found}


def seconds(text: str) -> float | None:
    """The decimal number that `text` begins with; None where there is none, or one of more than a day."""
    match = _NUMBER.match(text)
    return float(match[1]) if match is not None and abs(float(match[1])) <= _LONGEST else None


def integer(text: str) -> int | None:
    """The decimal-integer (§4.2) that `text` is; None for anything else."""
    match = _INTEGER.fullmatch(text.strip())
    return int(match[0]) if match is not None else None
