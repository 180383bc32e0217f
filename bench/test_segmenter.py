"""What HLS costs: cutting a file, cutting a stream that is already scanned, and writing playlists."""

from typing import Any

from fastrelay.demo import demo_clip
from fastrelay.hls.cut import Cutter
from fastrelay.hls.packager import Packager
from fastrelay.hls.playlist import Head, master_playlist, media_playlist
from fastrelay.hls.segmenter import Segmenter
from fastrelay.hls.store import Memory, Store
from fastrelay.mpegts.marks import Mark, Scanner
from fastrelay.mpegts.restamp import Restamper
from fastrelay.ring.ring import Ring

PIECE = 348 * 188
ROUNDS = 8


def recording() -> tuple[Ring, list[tuple[list[Mark], int, float]]]:
    """The demo clip, eight times in a row, as it would lie in a ring; and what is told of it piece by piece."""
    clip, restamper, scanner = demo_clip(), Restamper(), Scanner()
    ring = Ring(ROUNDS * len(clip))
    told = []
    for _ in range(ROUNDS):
        for at in range(0, len(clip), PIECE):
            packets = restamper.restamp(clip[at : at + PIECE])
            marks = scanner.scan(packets, ring.head)
            ring.append(packets)
            told.append((marks, ring.head, scanner.clock.seconds))
        restamper.seam()
    return ring, told


def package(ring: Ring, told: list[tuple[list[Mark], int, float]]) -> Store:
    store = Store(0.0, 6, Memory(1 << 30))
    packager = Packager(Segmenter(4.0, ring.copy), store, ring.copy)
    for marks, head, seconds in told:
        packager.feed(marks, head, seconds, 0, seconds)
    return store


def cut(ring: Ring) -> Store:
    cutter = Cutter(4.0)
    for at in range(0, ring.head, PIECE):
        cutter.feed(ring.copy(at, min(at + PIECE, ring.head)))
    cutter.finish()
    return cutter.store


def per_second(benchmark: Any, what: str, number: float) -> None:
    benchmark.extra_info[f"{what}/s"] = round(number / benchmark.stats.stats.min)


def test_cut_a_file(benchmark: Any) -> None:
    """All of it: found packets, scanned, cut and copied, as `python -m fastrelay.hls cut` does."""
    ring, _ = recording()
    store = benchmark(cut, ring)
    per_second(benchmark, "MB", ring.head / 1e6)
    assert sum(len(entry.segment.data) for entry in store.listed) >= ring.head


def test_cut_a_minute(benchmark: Any) -> None:
    ring, told = recording()
    store = benchmark(package, ring, told)
    per_second(benchmark, "MB", ring.head / 1e6)
    assert len(store.listed) >= 6


def test_feed_without_a_cut(benchmark: Any) -> None:
    ring, told = recording()
    segmenter = Segmenter(4.0, ring.copy)
    marks, head, seconds = told[0]
    segmenter.feed(marks, head, seconds)
    benchmark(segmenter.feed, [], head, seconds)


def test_render_a_playlist(benchmark: Any) -> None:
    """As often as a segment is added, and not for who polls."""
    ring, told = recording()
    listed = tuple(package(ring, told).listed)

    def render() -> bytes:
        # The lines of a segment are written once; one of them is new.
        listed[-1].__dict__.pop("lines", None)
        return media_playlist(Head(6, independent=True), listed)

    assert benchmark(render).count(b"#EXTINF") == len(listed)
    per_second(benchmark, "renders", 1)


def test_add_a_segment_and_render(benchmark: Any) -> None:
    ring, told = recording()
    made = package(ring, told)
    segment, clock = made.listed[-1].segment, iter(range(10_000_000))
    store = Store(0.0, 6, Memory(1 << 30))
    benchmark(lambda: store.add(segment, 0.0, 6, 4.0 * next(clock)))
    assert len(store.listed) >= 6


def test_master_playlist(benchmark: Any) -> None:
    ring, told = recording()
    opening = package(ring, told).listed[-1].segment.opening
    benchmark(master_playlist, opening, (5_000_000, 4_000_000), "playlist.m3u8?session=1")
    per_second(benchmark, "renders", 1)
