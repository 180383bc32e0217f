import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.errors import FormatError
from fastrelay.hls.lexis import attributes
from fastrelay.hls.m3u8 import Master, Media, PlaylistError, parse
from fastrelay.hls.m3u8_model import Key
from tests.media import ROOT, media

BASE = "http://h/d/list.m3u8"
HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n"


def read_media(text: str) -> Media:
    playlist = parse(text, BASE)
    assert isinstance(playlist, Media)
    return playlist


def load(name: str) -> Media | Master:
    return parse(media(name).read_text(errors="replace"), BASE)


# name: segments, target duration, media sequence, ended, sum of durations
MEDIA = {
    "absoluteUris": (4, 10, 0, True, 40),
    "allowCache": (17, 10, 0, True, 161.4167),
    "discontinuity": (9, 19, 0, True, 106),
    "disc-sequence": (4, 19, 0, True, 50),
    "emptyMediaSequence": (4, 8, 0, True, 24.32),
    "emptyPlaylistType": (6, 10, 0, True, 58),
    "encrypted": (6, 15, 7794, False, 75.166),
    "invalidMediaSequence": (4, 8, 0, True, 24.32),
    "invalidTargetDuration": (17, 10, 0, True, 161.4167),
    "liveMissingSegmentDuration": (3, 8, 0, False, 22.64),
    "liveStart30sBefore": (9, 10, 0, False, 106),
    "llhls-delta-byte-range": (4, 10, 0, False, None),
    "llhls": (7, 4, 266, False, None),
    "manifestExtTTargetdurationNegative": (1, 10, 0, True, 10),
    "manifestExtXEndlistEarly": (5, 10, 0, True, 50),
    "mediaSequence": (4, 8, 0, True, 24.32),
    "missingEndlist": (2, 10, 0, False, 20),
    "missingExtinf": (3, 10, 0, True, 30),
    "multipleTargetDurations": (4, 10, 0, False, 37),
    "negativeMediaSequence": (4, 8, 0, True, 24.32),
    "playlistMediaSequenceHigher": (1, 8, 17, True, 6.64),
    "test_simple_media": (3, 6, 0, True, 6),
    "twoMediaSequences": (4, 8, 11, True, 24.32),
    "versionInvalid": (1, 10, 0, True, 10),
    "zeroDuration": (1, 10, 0, True, 0),
}
REFUSED = {
    "empty": "is empty",
    "headerOnly": "neither segments nor variants",
    "manifestNoExtM3u": "beginning with #EXTM3U",
    "start": "beginning with #EXTM3U",
    "byteRange": "nothing before it to continue",
    "llhls-byte-range": "not a length with an offset",
}


@pytest.mark.parametrize("name", MEDIA)
def test_real_media_playlists(name: str) -> None:
    playlist = load(f"playlists/{name}.m3u8")
    assert isinstance(playlist, Media)
    count, target, sequence, ended, seconds = MEDIA[name]
    assert len(playlist.segments) == count
    assert (playlist.target_duration, playlist.media_sequence, playlist.ended) == (target, sequence, ended)
    if seconds is not None:
        assert sum(segment.duration for segment in playlist.segments) == pytest.approx(seconds)


@pytest.mark.parametrize("name", REFUSED)
def test_real_playlists_that_are_refused(name: str) -> None:
    with pytest.raises(PlaylistError, match=REFUSED[name]):
        load(f"playlists/{name}.m3u8")


@pytest.mark.parametrize("path", sorted(ROOT.glob("playlists/*.m3u8")), ids=lambda path: path.stem)
def test_every_real_playlist_is_read_or_refused(path: object) -> None:
    name = getattr(path, "stem")  # noqa: B009  # a Path by construction
    if name in REFUSED:
        return
    playlist = load(f"playlists/{name}.m3u8")
    if isinstance(playlist, Master):
        assert playlist.variants or playlist.i_frame_variants
        assert all(variant.uri.startswith("http") for variant in playlist.variants)
    else:
        assert playlist.segments and all(segment.uri.startswith("http") for segment in playlist.segments)
        assert [s.sequence for s in playlist.segments] == sorted({s.sequence for s in playlist.segments})


def test_a_list_of_channels_is_not_an_hls_playlist() -> None:
    with pytest.raises(PlaylistError, match="list of channels"):
        load("iptv/free-tv.m3u8")


def test_real_byte_ranges() -> None:
    playlist = load("byterange/video.m3u8")
    assert isinstance(playlist, Media)
    assert [s.span for s in playlist.segments][:3] == [(0, 326744), (326744, 326368), (653112, 327120)]
    assert {s.uri for s in playlist.segments} == {"http://h/d/main.ts"}


def test_real_gaps() -> None:
    playlist = load("gap/playlist.m3u8")
    assert isinstance(playlist, Media)
    assert [s.gap for s in playlist.segments] == [True, False, False, False, True, False, False, False]


def test_real_keys() -> None:
    playlist = load("playlists/encrypted.m3u8")
    assert isinstance(playlist, Media)
    first, *_, last = playlist.segments
    assert first.key == Key("AES-128", "https://priv.example.com/key.php?r=52")
    keys = [segment.key for segment in playlist.segments]
    assert keys[4] == Key("AES-128", "https://priv.example.com/key.php?r=54", bytes.fromhex("14BB69D61E4".zfill(32)))
    assert last.key is None  # METHOD=NONE


def test_real_init_sections() -> None:
    playlist = load("playlists/fmp4.m3u8")
    assert isinstance(playlist, Media)
    init = playlist.segments[0].init
    assert init is not None and (init.uri, init.span) == ("http://h/d/main.mp4", (0, 720))


def test_a_delta_update_counts_what_it_skips() -> None:
    playlist = load("playlists/llhlsDelta.m3u8")
    assert isinstance(playlist, Media)
    assert [s.sequence for s in playlist.segments] == [269, 270, 271, 272]


def test_real_discontinuities_and_dates() -> None:
    playlist = load("playlists/discontinuity.m3u8")
    assert isinstance(playlist, Media)
    assert [s.discontinuity for s in playlist.segments].count(True) == 3 and playlist.segments[2].discontinuity
    dated = load("pts-rollover/playlist.m3u8")
    assert isinstance(dated, Media) and len(dated.segments) == 10
    assert dated.segments[0].program_date_time == datetime(2024, 3, 4, 23, 2, 17, 684000, UTC)
    sequence = load("playlists/disc-sequence.m3u8")
    assert isinstance(sequence, Media) and sequence.discontinuity_sequence == 3


def test_a_real_master() -> None:
    playlist = load("playlists/multipleAudioGroups.m3u8")
    assert isinstance(playlist, Master)
    assert [v.bandwidth for v in playlist.variants] == [195023, 260000, 591680, 650000]
    assert playlist.variants[2].codecs == ("mp4a.40.2", "avc1.64001e")
    assert [(r.group, r.language, r.default) for r in playlist.renditions][:2] == [
        ("audio-lo", "eng", True),
        ("audio-lo", "fre", False),
    ]
    assert playlist.renditions[1].name == "Français"
    trick = load("playlists/iFramePlaylist.m3u8")
    assert isinstance(trick, Master) and len(trick.i_frame_variants) == 9
    assert trick.variants[0].resolution is not None


@pytest.mark.parametrize(
    ("line", "duration"),
    [
        ("#EXTINF:6.0,", 6.0),
        ("#EXTINF: 6.0", 6.0),
        ("#EXTINF:5", 5.0),
        ("#EXTINF:.5,x", 0.5),
        ("#EXTINF:5,title, with commas", 5.0),
        ("#EXTINF:0,", 0.0),
        ("#EXTINF:-1,", 6.0),
        ("#EXTINF:,", 6.0),
        ("#EXTINF:NaN,", 6.0),
        ("#EXTINF:inf,", 6.0),
        ("#EXTINF:1e400,", 1.0),
        ("#EXTINF:999999999999,", 6.0),
        ("#EXTINF:٣,", 6.0),
        ("#EXTINF", 6.0),
    ],
)
def test_durations(line: str, duration: float) -> None:
    assert read_media(f"{HEAD}{line}\na.ts\n").segments[0].duration == duration


@pytest.mark.parametrize(
    ("value", "target"),
    [("6", 6), ("6.5", 6.5), (" 7 ", 7), ("0", 4), ("-3", 4), ("", 4), ("NaN", 4), ("1e9999", 1), ("99999999", 4)],
)
def test_target_durations(value: str, target: float) -> None:
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:{value}\n#EXTINF:4,\na.ts\n#EXTINF:3,\nb.ts\n"
    assert read_media(text).target_duration == target


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r", "\n\n  \n"])
@pytest.mark.parametrize("start", ["", "\ufeff", " \r\n\t", "# comment\n"])
def test_line_endings_marks_and_blanks(start: str, ending: str) -> None:
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:6", "#EXT-X-MEDIA-SEQUENCE:7", "#EXTINF:6,", " a.ts ", "#EXT-X-ENDLIST"]
    playlist = read_media(start + ending.join(lines))
    assert [(s.uri, s.sequence, s.duration) for s in playlist.segments] == [("http://h/d/a.ts", 7, 6.0)]
    assert playlist.ended


def test_only_line_breaks_break_lines() -> None:
    assert read_media(HEAD + "#EXTINF:6,a\u2028b.ts\x0cc\na.ts\n").segments[0].uri == "http://h/d/a.ts"


@pytest.mark.parametrize(
    ("uri", "absolute"),
    [
        ("a.ts", "http://h/d/a.ts"),
        ("/a.ts?x=1", "http://h/a.ts?x=1"),
        ("../a.ts", "http://h/a.ts"),
        ("//i/a.ts", "http://i/a.ts"),
        ("https://i/a.ts", "https://i/a.ts"),
        ("?n=1", "http://h/d/list.m3u8?n=1"),
    ],
)
def test_uris_resolve_against_the_final_url(uri: str, absolute: str) -> None:
    assert read_media(f"{HEAD}#EXTINF:6,\n{uri}\n").segments[0].uri == absolute


def test_ranges_continue_the_one_before_of_the_same_resource() -> None:
    text = HEAD + "".join(
        f"#EXTINF:6,\n#EXT-X-BYTERANGE:{value}\n{uri}\n"
        for value, uri in [("100@50", "a"), ("10", "a"), ("7@0", "b"), ("5", "a"), ("3", "b")]
    )
    assert [s.span for s in read_media(text).segments] == [(50, 100), (150, 10), (0, 7), (160, 5), (7, 3)]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("#EXTINF:6,\n#EXT-X-BYTERANGE:100\na.ts", "nothing before it"),
        ("#EXTINF:6,\n#EXT-X-BYTERANGE:9@0\na\n#EXTINF:6,\na\n#EXTINF:6,\n#EXT-X-BYTERANGE:9\na", "nothing before it"),
        ("#EXTINF:6,\n#EXT-X-BYTERANGE:x@0\na.ts", "not a length"),
        ("#EXTINF:6,\n#EXT-X-BYTERANGE:0@0\na.ts", "not a length"),
        ("#EXT-X-KEY:METHOD=AES-128\n#EXTINF:6,\na.ts", "without METHOD or URI"),
        ('#EXT-X-KEY:URI="k"\n#EXTINF:6,\na.ts', "without METHOD or URI"),
        ('#EXT-X-KEY:METHOD=AES-128,URI="k",IV=xyz\n#EXTINF:6,\na.ts', "IV"),
        ('#EXT-X-KEY:METHOD=AES-128,URI="k",IV=0x' + "0" * 33 + "\n#EXTINF:6,\na.ts", "IV"),
        ("#EXT-X-MAP:X=1\n#EXTINF:6,\na.ts", "EXT-X-MAP without URI"),
        ('#EXT-X-MAP:URI="i",BYTERANGE="x"\n#EXTINF:6,\na.ts', "BYTERANGE"),
        ("#EXTINF:6,\nhttp://[::1/a.ts", "URI that is not valid"),
        ("#EXTINF:6,\na.ts\n#EXT-X-STREAM-INF:BANDWIDTH=1\nb.m3u8", "both variants and segments"),
    ],
)
def test_what_would_fetch_wrong_bytes_is_refused(lines: str, reason: str) -> None:
    with pytest.raises(PlaylistError, match=reason):
        parse(f"{HEAD}{lines}\n", BASE)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("\ufeff \r\n", "is empty"),
        ("<!DOCTYPE html><html>#EXTM3U", "a web page"),
        ("#EXTINF:6,\na.ts", "beginning with #EXTM3U"),
        ("x\n#EXTM3U\n", "beginning with #EXTM3U"),
        ("#EXTM3U\nhttp://h/a.ts\n", "neither segments nor variants"),
        ('#EXTM3U\n#EXTINF:-1 tvg-id="a",A\nhttp://h/a.ts\n', "list of channels"),
    ],
)
def test_what_is_no_playlist_is_refused(text: str, reason: str) -> None:
    with pytest.raises(PlaylistError, match=reason) as caught:
        parse(text, BASE)
    assert isinstance(caught.value, FormatError)


def test_attribute_lists() -> None:
    text = (
        '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a,b",NAME="x=""y", DEFAULT=YES ,URI="a.m3u8"\n'
        '#EXT-X-STREAM-INF: BANDWIDTH = 12 ,CODECS="avc1.4d401e, mp4a.40.2",RESOLUTION=640x360,AUDIO="a,b",X="open\nv\n'
    )
    playlist = parse(text, BASE)
    assert isinstance(playlist, Master)
    (variant,), (rendition,) = playlist.variants, playlist.renditions
    assert (variant.bandwidth, variant.codecs, variant.resolution) == (12, ("avc1.4d401e", "mp4a.40.2"), (640, 360))
    assert variant.audio == rendition.group == "a,b"
    assert rendition.default and rendition.uri == "http://h/d/a.m3u8"


@pytest.mark.parametrize("piece", ["a", "a ", "=", '"', "a=", "-", 'A="b"'])
def test_no_attribute_list_takes_out_of_proportion(piece: str) -> None:
    """Against an ordinary one as long as this one. What is quadratic would take hundreds of times as long."""

    def seconds(text: str) -> float:
        text *= 20_000 // len(text)
        started = time.perf_counter()
        attributes(text)
        return time.perf_counter() - started

    assert seconds(piece) < 30 * seconds('A="b",')


def test_of_several_key_formats_the_plain_one_is_taken() -> None:
    text = (
        HEAD
        + '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://x",KEYFORMAT="com.apple"\n#EXT-X-KEY:METHOD=AES-128,URI="k"\n'
        + "#EXTINF:6,\na.ts\n#EXT-X-KEY:METHOD=NONE\n#EXTINF:6,\nb.ts\n"
    )
    first, second = read_media(text).segments
    assert first.key == Key("AES-128", "http://h/d/k")
    assert second.key is None


def test_parts_without_their_segment_are_no_segment() -> None:
    text = HEAD + '#EXTINF:6,\na.ts\n#EXT-X-PART:DURATION=1,URI="b.1.ts"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI="b.2.ts"\n'
    assert len(read_media(text).segments) == 1


def test_tags_of_one_segment_do_not_reach_the_next() -> None:
    text = HEAD + "#EXT-X-DISCONTINUITY\n#EXT-X-GAP\n#EXTINF:5,\n#EXT-X-BYTERANGE:1@0\na.ts\n#EXTINF:6,\nb.ts\n"
    first, second = read_media(text).segments
    assert (first.discontinuity, first.gap, first.span) == (True, True, (0, 1))
    assert (second.discontinuity, second.gap, second.span, second.duration) == (False, False, None, 6.0)


LINES = st.one_of(
    st.sampled_from(
        [
            *("#EXTM3U", "#EXT-X-ENDLIST", "#EXT-X-DISCONTINUITY", "#EXT-X-GAP", "a.ts", "b.ts", "//", "http://[", ""),
            *("#EXTINF:6,", "#EXTINF:", "#EXTINF:-1", "#EXTINF:1e999", "#EXT-X-TARGETDURATION:6", "#EXT-X-SKIP:"),
            *('#EXT-X-KEY:METHOD=AES-128,URI="k"', "#EXT-X-KEY:METHOD=NONE", '#EXT-X-MAP:URI="[//["', "#EXT-X-START:"),
            *("#EXT-X-STREAM-INF:BANDWIDTH=1", '#EXT-X-MEDIA:URI="http://[x"', "#EXT-X-BYTERANGE:5", "#EXT-X-MEDIA:"),
        ]
    ),
    st.builds("{}:{}".format, st.sampled_from(["#EXT-X-KEY", "#EXT-X-BYTERANGE", "#EXTINF", "#EXT-X-MAP"]), st.text()),
    st.text(),
)


@settings(deadline=None, max_examples=200)
@given(st.lists(LINES, max_size=12), st.booleans(), st.text(max_size=10))
def test_any_text_is_read_or_refused(lines: list[str], header: bool, base: str) -> None:
    text = "\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:6", *lines] if header else lines)
    try:
        playlist = parse(text, f"http://h/{base}")
    except PlaylistError:
        return
    if isinstance(playlist, Media):
        assert playlist.target_duration > 0
        assert all(segment.duration >= 0 for segment in playlist.segments)
