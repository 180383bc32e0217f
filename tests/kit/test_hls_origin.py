import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urljoin

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from tests.kit.checker import Checker
from tests.kit.hls_origin import HlsChannel, coded_segments, listed_segments
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.viewer import fetch
from tests.media import media

SOURCE = PositionCoded(byte_rate=100_000, gop=2)
FAST = 20.0
"""Speed-up of the clock: a segment of 2 s comes each 100 ms."""


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin() as running:
        yield running


def channel(origin: Origin, **options: object) -> tuple[HlsChannel, str]:
    made = HlsChannel(coded_segments(SOURCE, 2.0))
    for name, value in options.items():
        setattr(made, name, value)
    return made, made.mount(origin, "/hls")


def sequence(text: str) -> int:
    found = re.search(r"#EXT-X-MEDIA-SEQUENCE:(\d+)", text)
    assert found
    return int(found[1])


def uris(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


async def playlist(url: str) -> str:
    return (await fetch(url)).body.decode()


async def playlist_when(url: str, predicate: Callable[[str], bool]) -> str:
    for _ in range(2000):
        text = await playlist(url)
        if predicate(text):
            return text
    raise AssertionError(text)


def plain(data: bytes, key: bytes, iv: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    unpadder = PKCS7(128).unpadder()
    return unpadder.update(decryptor.update(data) + decryptor.finalize()) + unpadder.finalize()


async def test_the_window_moves_and_its_segments_are_contiguous(origin: Origin) -> None:
    # What comes now stays listed for six seconds: a machine that stands still makes no hole.
    hls, url = channel(origin, speed=FAST, window=60)
    checker, wanted = Checker(SOURCE), 57
    while wanted < 65:
        text = await playlist(url)
        newer = uris(text)[wanted - sequence(text) :]
        for name in newer:
            checker.feed((await fetch(urljoin(url, name))).body)
        wanted += len(newer)
    assert hls.newest >= 64
    checker.verify(least=8 * 190_000)


async def test_frozen_ended_and_reset(origin: Origin) -> None:
    hls, url = channel(origin, speed=FAST)
    await playlist_when(url, lambda text: sequence(text) > 3)
    hls.frozen = True
    text = await playlist(url)
    assert text == await playlist(url) and "ENDLIST" not in text
    hls.reset_sequence()
    assert sequence(await playlist(url)) == 0 and uris(await playlist(url)) == uris(text)
    hls.frozen = False
    await playlist_when(url, lambda text: sequence(text) > 1)
    hls.ended = True
    assert (await playlist(url)).endswith("#EXT-X-ENDLIST\n")


async def test_a_segment_at_the_edge_is_late_and_others_are_missing(origin: Origin) -> None:
    hls, url = channel(origin, missing_edge=2, frozen=True, gaps={1}, lost={2})
    names = uris(await playlist(url))
    statuses = [(await fetch(urljoin(url, name))).status for name in [*names, names[-1], names[-1]]]
    assert statuses == [200, 404, 404, 200, 404, 404, 200]
    assert (await playlist(url)).count("#EXT-X-GAP") == 1
    assert (await fetch(urljoin(url, "segment5.ts"))).status == 404
    assert hls.newest == 4


@pytest.mark.parametrize("explicit", [True, False])
async def test_encrypted(origin: Origin, explicit: bool) -> None:
    key = bytes(range(16))
    _, url = channel(origin, key=key, explicit_iv=explicit, frozen=True, first_sequence=7)
    text = await playlist(url)
    assert (await fetch(urljoin(url, "key.bin"))).body == key
    named = re.search(r"IV=0x(\w{32})", text)
    iv = bytes.fromhex(named[1]) if named else (7).to_bytes(16, "big")
    assert bool(named) == explicit
    data = plain((await fetch(urljoin(url, uris(text)[0]))).body, key, iv)
    assert data == coded_segments(SOURCE, 2.0)(0).data


async def test_byte_ranges(origin: Origin) -> None:
    _, url = channel(origin, ranged=3, frozen=True)
    text = await playlist(url)
    assert uris(text) == ["group0.ts"] * 3 + ["group3.ts"] * 2
    ranges = re.findall(r"BYTERANGE:(\d+)(?:@(\d+))?", text)
    assert [bool(offset) for _, offset in ranges] == [True, False, False, True, False]
    size = int(ranges[0][0])
    wanted = f"bytes={size}-{size + int(ranges[1][0]) - 1}"
    part = await fetch(urljoin(url, "group0.ts"), headers={"Range": wanted})
    assert part.body == coded_segments(SOURCE, 2.0)(1).data


async def test_discontinuities_absolute_uris_and_other_ways_in(origin: Origin) -> None:
    _, url = channel(origin, discontinuities={2}, absolute=True, frozen=True)
    text = await playlist(url)
    assert text.index("#EXT-X-DISCONTINUITY\n") < text.index("segment2.ts") and "segment1.ts\n#EXT-X-DISC" in text
    assert all(uri.startswith("http://127.0.0.1:") for uri in uris(text))
    moved = await fetch(urljoin(url, "moved.m3u8"))
    assert (moved.status, moved.headers["location"]) == (302, url)
    assert uris(await playlist(urljoin(url, "master.m3u8"))) == ["playlist.m3u8"]


async def test_a_finished_list_becomes_a_live_one(origin: Origin, tmp_path: Path) -> None:
    for index in range(2):
        (tmp_path / f"{index}.ts").write_bytes(bytes([index]) * 10)
    (tmp_path / "all.ts").write_bytes(b"0123456789")
    lines = "#EXTM3U\n#EXTINF:2,\n0.ts\n#EXTINF:3\n1.ts\n#EXTINF:1,\n#EXT-X-BYTERANGE:4@2\nall.ts\n"
    lines += "#EXTINF:1,\n#EXT-X-BYTERANGE:3\nall.ts\n#EXT-X-ENDLIST\n"
    (tmp_path / "list.m3u8").write_text(lines)
    segments = listed_segments(tmp_path / "list.m3u8")
    assert [segments(index).data for index in (1, 2, 3, 5)] == [b"\1" * 10, b"2345", b"678", b"\1" * 10]
    assert [segments(index).discontinuity for index in range(6)] == [False, False, False, False, True, False]
    hls = HlsChannel(segments, window=3, frozen=True)
    text = await playlist(hls.mount(origin, "/live"))
    assert "ENDLIST" not in text and "TARGETDURATION:3" in text and len(uris(text)) == 3


@pytest.mark.parametrize("name", ["h264-no-rai/prog_index.m3u8", "cut-by-size/media.m3u8", "audio-only/playlist.m3u8"])
async def test_real_lists_can_be_live(origin: Origin, name: str) -> None:
    url = HlsChannel(listed_segments(media(name)), window=3, frozen=True).mount(origin, "/real")
    first = await fetch(urljoin(url, uris(await playlist(url))[0]))
    assert first.status == 200 and first.body[:1] == b"\x47"
