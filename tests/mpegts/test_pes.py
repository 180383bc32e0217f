"""PES heads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrelay.mpegts.pes import NO_PES, PesHead, read_head
from tests.mpegts.build import pes

STAMPS = st.integers(0, (1 << 33) - 1)


@given(STAMPS, st.none() | STAMPS, st.binary(max_size=5))
def test_stamps(pts: int, dts: int | None, payload: bytes) -> None:
    made = pes(payload, pts, dts)
    head = read_head(made)
    assert head == PesHead(len(made) - len(payload), pts, pts if dts is None else dts, False)


@given(st.integers(0, 18))
def test_every_byte_of_the_head_is_waited_for(size: int) -> None:
    assert read_head(pes(b"x", 1, 2)[:size]) is None


def test_no_stamps() -> None:
    assert read_head(pes(b"abc")) == PesHead(9)


def test_a_stamp_that_does_not_fit_its_head_is_none() -> None:
    made = bytearray(pes(b"x" * 20, 1))
    made[8] = 3
    assert read_head(bytes(made)) == PesHead(12)


def test_scrambled() -> None:
    head = read_head(pes(b"", 1, scrambled=True))
    assert head is not None
    assert head.scrambled


@pytest.mark.parametrize("data", [b"\x47", b"\x00\x01", b"\x00\x00\x02\xe0", b"\x00\xb0\x11" + bytes(20)])
def test_no_pes(data: bytes) -> None:
    assert read_head(data) is NO_PES


def test_a_stream_without_flags() -> None:
    assert read_head(b"\x00\x00\x01\xbf\x00\x04data") == PesHead(6)
