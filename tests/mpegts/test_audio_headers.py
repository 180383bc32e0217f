"""Names of audio, frame by frame."""

import pytest

from fastrelay.mpegts.audio_headers import ac3_codec, frame_codec, latm_codec


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        (b"\xff\xf1\x50\x80", "mp4a.40.2"),
        (b"\xff\xf9\x10\x80", "mp4a.40.1"),
        (b"\xff\xfd\xc4\x00", "mp4a.40.33"),
        (b"\xff\xfb\x90\x00", "mp4a.40.34"),
        (b"\xff\xff\x90\x00", "mp4a.40.32"),
        # A rest of the frame before comes first.
        (b"\x12\xff\x00\xff\xf1\x50\x80", "mp4a.40.2"),
        (b"\xff\xf1", None),
        (b"", None),
    ],
)
def test_aac_and_mpeg_audio(frame: bytes, name: str | None) -> None:
    assert frame_codec(frame) == name


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        (b"\x0b\x77\x00\x00\x14\x40", "ac-3"),
        (b"\x0b\x77\x00\x00\x14\x80", "ec-3"),
        (b"\x0b\x77\x00", None),
        (b"\x0b", None),
    ],
)
def test_ac3(frame: bytes, name: str | None) -> None:
    assert ac3_codec(frame) == name


def latm(kind: str) -> bytes:
    """A LOAS frame whose StreamMuxConfig is new: one program, one layer, then the object type."""
    bits = "0" + "0" + "1" + "000000" + "0000" + "000" + kind
    return b"\x56\xe0\x20" + int(bits.ljust(64, "0"), 2).to_bytes(8)


def test_latm() -> None:
    assert latm_codec(latm(f"{2:05b}")) == "mp4a.40.2"
    assert latm_codec(latm(f"{5:05b}")) == "mp4a.40.5"
    assert latm_codec(latm(f"{31:05b}{10:06b}")) == "mp4a.40.42"
    assert latm_codec(b"\x56\xe0\x20\x80" + bytes(8)) is None
    assert latm_codec(b"\x56\xe0") is None
