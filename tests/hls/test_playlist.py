"""Playlists as text, and what a strict reader says to every state that a long run goes through."""

import hashlib

from fastrelay.hls.discontinuities import Discontinuities
from fastrelay.hls.m3u8 import Master, Media, parse
from fastrelay.hls.playlist import Entry, Head, master_playlist, media_playlist, with_query
from fastrelay.hls.segment import Segment
from fastrelay.mpegts.opening import Opening
from tests.hls.hls_parser import refused
from tests.hls.kit import Live
from tests.kit.clips import clip

TELEVISION = Opening(("avc1.640028", "mp4a.40.2"), (1920, 1080), 25.0, True)


def entry(number: int, discontinuity: bool = False, date: float | None = None) -> Entry:
    segment = Segment(b"", 4.0, discontinuity, Opening(), True)
    return Entry(segment, 9_000 + number, 100 + number, 70 + (number >= 1), discontinuity, date)


def test_media_playlist() -> None:
    entries = [entry(0, date=1_763_800_000.0), entry(1, discontinuity=True, date=1_763_800_004.5)]
    assert media_playlist(Head(6, independent=True), entries).decode().splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:3",
        "#EXT-X-TARGETDURATION:6",
        "#EXT-X-MEDIA-SEQUENCE:100",
        "#EXT-X-DISCONTINUITY-SEQUENCE:70",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        "#EXT-X-PROGRAM-DATE-TIME:2025-11-22T08:26:40.000Z",
        "#EXTINF:4.000000,",
        "segment_9000.ts",
        "#EXT-X-DISCONTINUITY",
        "#EXT-X-PROGRAM-DATE-TIME:2025-11-22T08:26:44.500Z",
        "#EXTINF:4.000000,",
        "segment_9001.ts",
    ]


def test_a_list_that_begins_with_a_discontinuity_counts_those_before_it() -> None:
    text = media_playlist(Head(6, independent=False), [entry(1, discontinuity=True)])
    assert b"#EXT-X-DISCONTINUITY-SEQUENCE:70\n" in text
    assert b"INDEPENDENT" not in text


def test_the_end_of_a_live_stream_and_of_a_file() -> None:
    live = media_playlist(Head(6, True, ended=True), [entry(0)])
    assert live.endswith(b"#EXT-X-ENDLIST\n")
    assert b"PLAYLIST-TYPE" not in live
    assert b"#EXT-X-PLAYLIST-TYPE:VOD\n" in media_playlist(Head(6, True, ended=True, finished=True), [entry(0)])


def test_no_segments_no_playlist() -> None:
    assert media_playlist(Head(6, True), []) == b""


def test_a_query_goes_on_to_every_uri() -> None:
    text = media_playlist(Head(6, True), [entry(0), entry(1)])
    playlist = parse(with_query(text, "token=a%20b").decode(), "http://x/")
    assert isinstance(playlist, Media)
    assert [one.uri for one in playlist.segments] == [f"http://x/segment_900{n}.ts?token=a%20b" for n in (0, 1)]
    assert with_query(text, "") == text


def test_master_playlist() -> None:
    text = master_playlist(TELEVISION, (5_000_000, 4_000_000), "playlist.m3u8?session=7").decode()
    assert text.splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:3",
        '#EXT-X-STREAM-INF:BANDWIDTH=5000000,AVERAGE-BANDWIDTH=4000000,CODECS="avc1.640028,mp4a.40.2",'
        "RESOLUTION=1920x1080,FRAME-RATE=25.000",
        "playlist.m3u8?session=7",
    ]
    master = parse(text, "http://x/")
    assert isinstance(master, Master)
    assert master.variants[0].resolution == (1920, 1080)


def test_what_is_not_known_is_not_told() -> None:
    text = master_playlist(Opening(), (1, 1), "x")
    assert text.splitlines()[2] == b"#EXT-X-STREAM-INF:BANDWIDTH=1,AVERAGE-BANDWIDTH=1"


class Run:
    """Ten minutes of a channel: what was served, and whether it ever contradicted what was served before."""

    def __init__(self) -> None:
        self.live = Live(4.0)
        self.states: list[bytes] = []
        self._bytes: dict[str, bytes] = {}
        self._begin = (0, 0)
        self._reserved = [0]
        self._numbers = Discontinuities(0, self.live.now, self._reserved.append)
        self._targets: dict[int, float] = {}

    def watch(self, live: Live) -> None:
        self.live = live
        live.watch()
        self.look()

    def play(self, name: str) -> None:
        data = clip(name).read_bytes()
        for at in range(0, len(data), 100_000):
            self.live.feed(data[at : at + 100_000], 12 / (len(data) / 65_424))
            self.look()

    def look(self) -> None:
        store = self.live.store
        if not store.playlist or (self.states and store.playlist == self.states[-1]):
            return
        self.states.append(store.playlist)
        playlist = parse(store.playlist.decode(), "")
        assert isinstance(playlist, Media)
        assert not playlist.ended
        begin = (playlist.media_sequence, playlist.discontinuity_sequence)
        assert begin >= self._begin
        assert begin[1] >= self._begin[1]
        self._begin = begin
        self._numbers.given(store.numbers.discontinuity)
        assert self._targets.setdefault(id(store), playlist.target_duration) == playlist.target_duration
        for one in playlist.segments:
            assert int(one.duration + 0.5) <= playlist.target_duration
            segment = store.find(int(one.uri.removeprefix("segment_").removesuffix(".ts")))
            assert segment is not None
            digest = hashlib.sha256(segment.data).digest()
            assert self._bytes.setdefault(one.uri, digest) == digest

    def restart(self, seconds: float, after: bool) -> None:
        """Nobody watches for a while; then somebody does, in the same process or in a new one."""
        before = self.live
        self.live = Live(4.0, now=before.now + seconds)
        if after:
            self.live.ingest, self.live.after = before.ingest, before.store.numbers
        else:
            self._numbers = Discontinuities(self._reserved[-1], self.live.now, self._reserved.append)
        self.live.discontinuity = self._numbers.next
        self.watch(self.live)


def test_ten_minutes_in_which_everything_happens() -> None:
    run = Run()
    run.watch(Live(4.0, now=1_763_800_000.0))
    for number in range(12):
        for name in ("h264_gop1", "h264_gop5", "h264_gop10", "h264_other"):
            run.play(name)
            if number % 3 == 0:
                run.live.now += 25
            run.live.switch()
        if number % 4 == 1:
            run.restart(31.0, after=True)
        if number % 4 == 3:
            run.restart(1.0, after=False)
    assert len(run.states) > 100
    masters = [master_playlist(TELEVISION, (5_000_000, 4_000_000), "a"), master_playlist(Opening(), (1, 1), "b")]
    assert refused(run.states + masters) == []
    # The reader is strict indeed.
    assert len(refused([run.states[0].replace(b"#EXTINF:", b"#EXTINF:1")])) == 1
