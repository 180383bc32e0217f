import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.errors import FormatError
from fastrelay.sources.sniff import ENOUGH, recognise
from tests.media import media
from tests.sources.origin import packets

TS_FILES = ["hevc/0.ts", "audio-only/segment_0.ts", "cut-by-size/s_00001.ts", "byterange/main.ts"]


@pytest.mark.parametrize("name", TS_FILES)
def test_real_transport_streams(name: str) -> None:
    data = media(name).read_bytes()[: 64 * 1024]
    assert recognise(data[:1000], False) == "ts"
    assert recognise(data[100:ENOUGH], False) == "ts"
    assert recognise(data[: 16 * 188], True) == "ts"


@pytest.mark.parametrize(("stuffing", "lead"), [(0, 0), (16, 0), (4, 4)])
def test_packets_of_188_204_and_192_bytes(stuffing: int, lead: int) -> None:
    whole = packets(30)
    stream = b"".join(bytes(lead) + whole[n : n + 188] + bytes(stuffing - lead) for n in range(0, len(whole), 188))
    assert recognise(stream, False) == "ts"


def test_garbage_in_front_of_the_first_packet() -> None:
    assert recognise(b"\x00\x47" * 1500 + packets(20), False) == "ts"


def test_one_packet_is_enough_only_as_a_whole_body() -> None:
    assert recognise(packets(1), True) == "ts"
    assert recognise(packets(1), False) is None


@pytest.mark.parametrize("text", ["#EXTM3U\n", "\ufeff#EXTM3U", " \r\n#EXTM3U", "# comment\n#EXTM3U\n"])
def test_playlists(text: str) -> None:
    assert recognise(text.encode(), False) == "hls"


@pytest.mark.parametrize(
    ("head", "named"),
    [
        (b"", "an empty body"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\n<HTML>", "a web page"),
        (b"<?xml version='1.0'?>", "an XML document"),
        (b"<MPD xmlns=''>", "a DASH manifest"),
        (b'{"error": 1}', "JSON"),
        (b"\x00\x00\x00\x20ftypisom", "fragmented MP4"),
        (b"\x00\x00\x00\x20moofxxxx", "fragmented MP4"),
        (b"ID3\x04\x00", "packed audio"),
        (b"\xff\xf1\x50\x80", "packed audio"),
        (b"\xff\xfb\x90\x00", "MPEG audio"),
        (b"\x1f\x8b\x08", "compressed"),
        (b"FLV\x01", "FLV"),
        (b"hello", "something unknown"),
        (b"G" * 100, "something unknown"),
    ],
)
def test_everything_else_is_named(head: bytes, named: str) -> None:
    with pytest.raises(FormatError, match=named):
        recognise(head, True)
    if head:
        with pytest.raises(FormatError):
            recognise(head + bytes(ENOUGH), False)


def test_real_files_that_are_no_transport_stream() -> None:
    for name, reason in [("adts-named-ts/fileSequence0.ts", "packed audio"), ("fmp4/init.mp4", "fragmented MP4")]:
        with pytest.raises(FormatError, match=reason):
            recognise(media(name).read_bytes()[:ENOUGH], True)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=600))
def test_there_is_always_a_verdict_at_the_end(head: bytes) -> None:
    try:
        assert recognise(head, True) in ("ts", "hls")
    except FormatError:
        return
