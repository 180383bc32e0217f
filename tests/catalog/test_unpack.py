"""What a list's file may be wrapped in."""

import gzip
from io import BytesIO

import pytest

from fastrelay.catalog.m3u import NotAListError, Parser
from fastrelay.catalog.unpack import unpacked

LIST = "#EXTM3U\r\n" + "".join(f'#EXTINF:-1 group-title="Ö",Ĉiu 😀 {n}\r\nhttp://h/{n}\r\n' for n in range(20_000))


def names(file: bytes) -> list[tuple[int, str, str]]:
    parser = Parser()
    entries = [entry for piece in unpacked(BytesIO(file)) for entry in parser.feed(piece)] + parser.finish()
    assert parser.rejected == 0
    return [(entry.line, entry.name, entry.group) for entry in entries]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_encodings_and_line_ends(encoding: str, ends: str) -> None:
    text = LIST.replace("\r\n", ends)
    file = (text if encoding != "utf-16-be" else f"\ufeff{text}").encode(encoding)
    expected = [(2 + 2 * n, f"Ĉiu 😀 {n}", "Ö") for n in range(20_000)]
    assert names(file) == expected
    assert names(gzip.compress(file, 1)) == expected


def test_what_is_cut_off_in_the_middle_of_a_letter() -> None:
    assert names("#EXTM3U\n#EXTINF:-1,A\nhttp://h/😀".encode("utf-16")[:-1]) == [(2, "A", "")]


def test_compressed_twice_is_refused_with_that_reason() -> None:
    with pytest.raises(NotAListError, match="compressed twice"):
        names(gzip.compress(gzip.compress(LIST.encode())))


def test_nothing() -> None:
    for file in (b"", gzip.compress(b""), "\ufeff".encode("utf-16-le")):
        with pytest.raises(NotAListError, match="found no line of one"):
            names(file)
