"""Buckets are cumulative and hold their bound."""

from fastrelay.metrics.histogram import Histogram


def test_buckets() -> None:
    histogram = Histogram(0.5, 1, 10)
    for value in (0.1, 0.5, 0.6, 10, 10.1, 1000):
        histogram.observe(value)
    assert histogram.buckets() == [("0.5", 2), ("1.0", 3), ("10.0", 4), ("+Inf", 6)]
    assert histogram.total == 1021.3


def test_nothing_observed() -> None:
    assert Histogram(1).buckets() == [("1.0", 0), ("+Inf", 0)]
