"""Codecs by stream_type and by descriptors."""

import pytest

from fastrelay.mpegts.codecs import codec_of
from fastrelay.mpegts.psi import ElementaryStream
from tests.mpegts.build import descriptor

LANGUAGE = descriptor(0x0A, b"eng\0")


@pytest.mark.parametrize(
    ("stream_type", "loop", "name", "kind"),
    [
        (0x1B, b"", "h264", "video"),
        (0x24, descriptor(0x05, b"HEVC"), "hevc", "video"),
        (0x33, b"", "vvc", "video"),
        (0x02, b"", "mpeg2video", "video"),
        (0x0F, LANGUAGE, "aac", "audio"),
        (0x81, b"", "ac3", "audio"),
        (0x86, b"", "scte_35", "data"),
        (0x06, LANGUAGE + descriptor(0x6A, b"\0"), "ac3", "audio"),
        (0x06, descriptor(0x7A, b"\0"), "eac3", "audio"),
        (0x06, descriptor(0x56, b"eng\x08\x88"), "dvb_teletext", "subtitle"),
        (0x06, descriptor(0x59, b"engx"), "dvb_subtitle", "subtitle"),
        (0x06, descriptor(0x05, b"HEVC"), "hevc", "video"),
        (0x06, descriptor(0x05, b"Opus") + descriptor(0x7F, b"\x80\x02"), "opus", "audio"),
        (0x06, descriptor(0x05, b"AC-3"), "ac3", "audio"),
        (0x06, descriptor(0x7F, b"\x15"), "ac4", "audio"),
        (0x06, descriptor(0x7F), "unknown (0x06)", "data"),
        (0x80, descriptor(0x05, b"AC-3"), "ac3", "audio"),
        (0x0F, descriptor(0x05, b"HEVC"), "aac", "audio"),
        (0x99, b"", "unknown (0x99)", "data"),
    ],
)
def test_codec(stream_type: int, loop: bytes, name: str, kind: str) -> None:
    assert codec_of(ElementaryStream(1, stream_type, loop)) == (name, kind)
