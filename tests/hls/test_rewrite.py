"""Playlists rewritten: every URI has a name, everything else is what it was."""

import re
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrelay.hls.lexis import PlaylistError
from fastrelay.hls.names import Mention, Role
from fastrelay.hls.rewrite import Rewriter, Rewritten
from tests.media import media

BASE = "http://host/dir/list.m3u8?key=1"


def rewrite(text: str, base: str = BASE, imported: dict[str, str] | None = None) -> Rewritten:
    """With names that count: <0>, <1>, …; the same mention has the same name."""
    names: dict[Mention, str] = {}
    numbers = count()
    rewriter = Rewriter(
        text, base, lambda one: names.setdefault(one, f"<{next(numbers)}>"), lambda first: None, imported or {}
    )
    while rewriter.step(3):
        pass
    return rewriter.result()


def named(text: str) -> list[tuple[str, str, int | None]]:
    """What the playlist names, in its order: role, URL, sequence."""
    found = rewrite(text)
    mentions = [found.mentions[name] for name in found.names]
    return [(one.role.value, one.url, one.sequence) for one in mentions]


MASTER = """#EXTM3U
#EXT-X-SESSION-KEY:METHOD=AES-128,URI="/keys/1"
#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI="skd://drm/1",KEYFORMAT="com.apple.streamingkeydelivery"
#EXT-X-SESSION-DATA:DATA-ID="a",URI="data.json"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="Two, URI=x",URI="audio/en.m3u8",DEFAULT=YES
#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="cc",NAME="CC",INSTREAM-ID="CC1"
#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"

//other/v1.m3u8?b=2&a=1
#EXT-X-STREAM-INF:BANDWIDTH=2
  v2.m3u8\t
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=3,URI="iframes.m3u8"
"""


def test_a_master_playlist() -> None:
    assert named(MASTER) == [
        ("key", "http://host/keys/1", None),
        ("data", "http://host/dir/data.json", None),
        ("playlist", "http://host/dir/audio/en.m3u8", None),
        ("playlist", "http://other/v1.m3u8?b=2&a=1", None),
        ("playlist", "http://host/dir/v2.m3u8", None),
        ("playlist", "http://host/dir/iframes.m3u8", None),
    ]
    found = rewrite(MASTER)
    assert found.master
    text = found.text("hls/", "token=t")
    assert 'URI="skd://drm/1"' in text
    assert "\n  hls/<4>?token=t\t\n" in text
    assert 'NAME="Two, URI=x",URI="hls/<2>?token=t",DEFAULT=YES' in text


MEDIA = """#EXTM3U
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:100
#EXT-X-DISCONTINUITY-SEQUENCE:7
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z
#EXT-X-KEY:METHOD=AES-128,URI="k1",IV=0x1
#EXT-X-KEY:METHOD=SAMPLE-AES,URI="data:text/plain;base64,AAAA"
#EXT-X-MAP:URI="init.mp4",BYTERANGE="100"
#EXTINF:4,
#EXT-X-BYTERANGE:50@10
all.mp4
#EXTINF:4,
#EXT-X-BYTERANGE:60
all.mp4
#EXT-X-SOMETHING-NEW:URI="untouched.bin"
#EXT-X-DATERANGE:ID="x",X-ASSET-URI="ad.m3u8",X-ASSET-LIST="ads.json",SCTE35-OUT=0xFC
#EXTINF:3.5,Title, with a comma
http://else/1.m4s
#EXT-X-KEY:METHOD=NONE
# a comment
#EXTINF:2,
2.m4s
"""


def test_a_media_playlist() -> None:
    found = rewrite(MEDIA)
    assert named(MEDIA) == [
        ("key", "http://host/dir/k1", None),
        ("init", "http://host/dir/init.mp4", None),
        ("segment", "http://host/dir/all.mp4", None),
        ("segment", "http://host/dir/all.mp4", None),
        ("playlist", "http://host/dir/ad.m3u8", None),
        ("data", "http://host/dir/ads.json", None),
        ("segment", "http://else/1.m4s", 102),
        ("segment", "http://host/dir/2.m4s", 103),
    ]
    assert {name: sorted(spans) for name, spans in found.spans.items()} == {
        "<1>": [(0, 100)],
        "<2>": [(10, 50), (60, 60)],
    }
    assert (found.master, found.ended, found.target, found.duration) == (False, False, 4.0, 13.5)
    assert (found.after, found.blocking) == ((104, 0), False)


URIS = (
    *("/keys/1", "data.json", "audio/en.m3u8", "//other/v1.m3u8?b=2&a=1", "v2.m3u8", "iframes.m3u8"),
    *("k1", "init.mp4", "all.mp4", "ad.m3u8", "ads.json", "http://else/1.m4s", "2.m4s"),
)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("text", [MASTER, MEDIA])
def test_all_but_the_uris_is_untouched(text: str, ending: str) -> None:
    text = text.replace("\n", ending)
    pieces = "".join(rewrite(text).pieces)
    for uri in URIS:
        text = text.replace(uri, "")
    assert pieces == text


def test_real_playlists_keep_their_other_lines() -> None:
    seen = 0
    for path in sorted(media("playlists").glob("*.m3u8")):
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        try:
            found = rewrite(text)
        except PlaylistError:
            continue
        seen += 1
        before = [line for line in text.splitlines() if line.startswith("#") and "URI" not in line]
        after = [line for line in found.text().splitlines() if line.startswith("#") and "URI" not in line]
        assert after == before, path
        bare = [line for line in found.text().splitlines() if line.strip() and not line.startswith("#")]
        assert all(re.fullmatch(r"\s*<\d+>\s*", line) for line in bare), path
    assert seen > 50


LOW_LATENCY = """#EXTM3U
#EXT-X-TARGETDURATION:4
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.0
#EXT-X-PART-INF:PART-TARGET=0.5
#EXT-X-MEDIA-SEQUENCE:10
#EXT-X-PART:DURATION=0.5,URI="10.0.mp4"
#EXTINF:4,
10.mp4
#EXT-X-PART:DURATION=0.5,URI="11.mp4",BYTERANGE="20@0"
#EXT-X-PART:DURATION=0.5,URI="11.mp4",BYTERANGE="30"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="11.mp4",BYTERANGE-START=50,BYTERANGE-LENGTH=10
#EXT-X-RENDITION-REPORT:URI="../b/list.m3u8",LAST-MSN=11,LAST-PART=1
"""


def test_low_latency() -> None:
    found = rewrite(LOW_LATENCY)
    assert (found.after, found.blocking, found.parted, found.target) == ((11, 2), True, True, 0.5)
    assert found.mentions[found.names[-1]] == Mention("http://host/b/list.m3u8", Role.PLAYLIST)
    assert [sorted(spans) for spans in found.spans.values()] == [[(0, 20), (20, 30), (50, 10)]]
    # A part, and the hint that announced it, are one thing.
    assert found.names[2:5] == (found.names[2],) * 3


def test_variables_are_put_in_and_not_passed_on() -> None:
    text = """#EXTM3U
#EXT-X-DEFINE:NAME="path",VALUE="secret/token"
#EXT-X-DEFINE:IMPORT="host"
#EXT-X-DEFINE:QUERYPARAM="key"
#EXT-X-TARGETDURATION:4
#EXT-X-MAP:URI="{$host}/init.mp4"
#EXTINF:4,{$unknown}
{$path}/{$key}.ts
"""
    found = rewrite(text, imported={"host": "http://h2", "path": "not this"})
    assert [mention.url for mention in found.mentions.values()] == [
        "http://h2/init.mp4", "http://host/dir/secret/token/1.ts",
    ]  # fmt: skip
    assert "DEFINE" not in found.text()
    assert "secret" not in found.text()
    assert "{$unknown}" in found.text()
    assert found.variables == {"path": "secret/token", "host": "http://h2", "key": "1"}


def test_variables_of_variables_end_before_the_memory_does() -> None:
    """Each is ten times the one before; the last would be 100 MB here, and a hundred lines more of it anything."""
    tens = "".join(f'#EXT-X-DEFINE:NAME="v{at}",VALUE="{f"{{$v{at - 1}}}" * 10}"\n' for at in range(1, 8))
    with pytest.raises(PlaylistError, match="variables of the playlist are longer than the 8 MiB"):
        rewrite(f'#EXTM3U\n#EXT-X-DEFINE:NAME="v0",VALUE="0123456789"\n{tens}#EXTINF:4,\na.ts\n')


def test_steering_between_the_provider_s_hosts_is_left_out() -> None:
    steered = MASTER.replace("#EXTM3U\n", '#EXTM3U\n#EXT-X-CONTENT-STEERING:SERVER-URI="/steer?token=x"\n')
    assert rewrite(steered).text() == rewrite(MASTER).text()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("<html>", "web page"),
        ("#EXTM3U\n", "neither segments nor variants"),
        ("#EXTM3U\n#EXTINF:-1,Channel\nhttp://x/\n", "list of channels"),
        ("#EXTM3U\n#EXT-X-STREAM-INF:\na\n#EXTINF:1,\nb\n", "both"),
        ('#EXTM3U\n#EXT-X-MAP:URI="a",URI="b"\n#EXTINF:1,\nc\n', "EXT-X-MAP with more than one URI"),
    ],
)
def test_what_is_no_playlist_is_refused(text: str, reason: str) -> None:
    with pytest.raises(PlaylistError, match=reason):
        rewrite(text)


LINES = st.sampled_from(
    [
        "#EXTM3U",
        *MASTER.splitlines(),
        *MEDIA.splitlines(),
        *LOW_LATENCY.splitlines(),
        "http://[",
        "#EXT-X-MAP:URI=",
        "\0",
    ]
)


@given(st.lists(LINES | st.text(max_size=20)))
def test_any_text_is_rewritten_or_refused(lines: list[str]) -> None:
    try:
        found = rewrite("#EXTM3U\n" + "\n".join(lines))
    except PlaylistError:
        return
    assert len(found.pieces) == len(found.names) + 1
