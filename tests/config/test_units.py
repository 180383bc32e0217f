"""Durations and sizes: what is shown is what can be read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.config.units import parse_duration, parse_listen, parse_part, parse_size, show_duration, show_size


@settings(deadline=None, max_examples=100)
@given(st.integers(min_value=0, max_value=1 << 44))
def test_a_shown_size_reads_back(size: int) -> None:
    assert parse_size(show_size(size)) == size


@settings(deadline=None, max_examples=100)
@given(st.integers(min_value=0, max_value=999_999))
def test_a_shown_duration_reads_back(milliseconds: int) -> None:
    assert parse_duration(show_duration(milliseconds / 1000)) == milliseconds / 1000


@pytest.mark.parametrize("text", ["", "s", "-1", "+1", "1e3", "1d", "1 m s", "nan", "1\n", " 1", "1_000", "9" * 16])
def test_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "KiB", "-1", "1KB", "1kib", "0x10", "1KiB\n"])
def test_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(text)


def test_part() -> None:
    assert (parse_part("75%"), parse_part("12.5%"), parse_part("1")) == (0.75, 0.125, 1.0)


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:0", ("::1", 0)), ("localhost:65535", ("localhost", 65535))],
)
def test_listen(text: str, address: tuple[str, int]) -> None:
    assert parse_listen(text) == address


@pytest.mark.parametrize(
    "text", ["", "80", ":80", "a:", "a:b", "a b:80", "[a]:80", "[127.0.0.1]:80", "1.2.3:80", "-a:80"]
)
def test_no_listen(text: str) -> None:
    with pytest.raises(ValueError, match="expected HOST:PORT"):
        parse_listen(text)
