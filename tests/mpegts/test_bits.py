"""Numbers of any width out of bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrelay.mpegts.bits import Bits, unescaped


def coded(number: int) -> str:
    """Exp-Golomb by the book (ISO 14496-10 §9.1)."""
    binary = f"{number + 1:b}"
    return "0" * (len(binary) - 1) + binary


def packed(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return int(bits or "0", 2).to_bytes(len(bits) // 8)


@given(st.lists(st.integers(0, 1 << 20), max_size=20))
def test_exp_golomb(numbers: list[int]) -> None:
    bits = Bits(packed("".join(coded(number) for number in numbers)))
    assert [bits.ue() for _ in numbers] == numbers


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=20))
def test_signed_exp_golomb(numbers: list[int]) -> None:
    bits = Bits(packed("".join(coded(2 * number - 1 if number > 0 else -2 * number) for number in numbers)))
    assert [bits.se() for _ in numbers] == numbers


def test_fixed_widths_and_flags() -> None:
    bits = Bits(b"\xa5\x0f")
    assert (bits.u(3), bits.flag(), bits.u(8), bits.u(0)) == (5, False, 0x50, 0)
    bits.skip(3)
    assert bits.flag()


def test_past_the_end() -> None:
    with pytest.raises(EOFError):
        Bits(b"\x00").u(9)
    with pytest.raises(EOFError):
        Bits(bytes(40)).ue()


def test_emulation_prevention() -> None:
    assert unescaped(b"\x67\x00\x00\x03\x01\x00\x00\x03\x00") == b"\x67\x00\x00\x01\x00\x00\x00"
