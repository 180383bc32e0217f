import pytest
from fastrelay.wire.ranges import parse_range


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-", (90, 100)),
        ("bytes=90-1000", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        ("bytes=100-", None),
        ("bytes=20-10", None),
        ("bytes=-0", None),
    ],
)
def test_within_100_bytes(header: str, found: tuple[int, int] | None) -> None:
    asked = parse_range(header)
    assert asked is not None
    assert asked.within(100) == found


@pytest.mark.parametrize("header", ["", "bytes=", "bytes=-", "bytes=0-1,3-4", "lines=1-2", "bytes=a-b", "bytes= 1-2"])
def test_none_several_or_malformed_mean_the_whole(header: str) -> None:
    assert parse_range(header) is None
