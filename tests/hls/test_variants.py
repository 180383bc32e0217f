import pytest

from fastrelay.errors import FormatError
from fastrelay.hls.m3u8 import Master, parse
from fastrelay.hls.variants import best_variant
from tests.media import media


def master(name: str) -> Master:
    playlist = parse(media(name).read_text(errors="replace"), "http://h/d/x.m3u8")
    assert isinstance(playlist, Master)
    return playlist


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("playlists/brightcove.m3u8", "assetId=1824687660001"),
        ("playlists/test_master_twitch_vod.m3u8", "720p60.m3u8"),
        ("playlists/test_multivariant_bandwidth.m3u8", "720p60.m3u8"),
        ("playlists/test_media_language.m3u8", "playlist.m3u8"),  # its default audio rendition has no URI
        ("playlists/multipleAudioGroupsCombinedMain.m3u8", "/lo2/prog_index.m3u8"),
        ("playlists/master.m3u8", "media3.m3u8"),
        ("byterange/master.m3u8", "/video.m3u8"),
        ("hevc/hevc.m3u8", "/index.m3u8"),
        ("adts-named-ts/index.m3u8", "/playlist.m3u8"),
    ],
)
def test_the_highest_bandwidth_with_its_audio_inside(name: str, uri: str) -> None:
    assert uri in best_variant(master(name)).uri


@pytest.mark.parametrize("name", ["alternateAudio", "multipleAudioGroups", "multipleVideo", "test_1", "master-fmp4"])
def test_audio_in_playlists_of_its_own_is_refused_with_that_reason(name: str) -> None:
    with pytest.raises(FormatError, match="separate playlists"):
        best_variant(master(f"playlists/{name}.m3u8"))


def test_sound_alone_does_not_stand_in_for_a_picture_whose_audio_is_apart() -> None:
    text = (
        '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",URI="a.m3u8"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS="avc1.4d401e,mp4a.40.2",AUDIO="a"\nv.m3u8\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="mp4a.40.2"\nsound.m3u8\n'
    )
    playlist = parse(text, "http://h/")
    assert isinstance(playlist, Master)
    with pytest.raises(FormatError, match="separate playlists"):
        best_variant(playlist)


def test_only_trick_play_variants_are_no_variants() -> None:
    with pytest.raises(FormatError, match="names no variant"):
        best_variant(Master((), (), best_and_only()))


def best_and_only() -> tuple:  # type: ignore[type-arg]  # whatever they are
    return master("playlists/iFramePlaylist.m3u8").i_frame_variants
