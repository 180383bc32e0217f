"""The HLS source against a real server: finished lists, live windows that move, and everything that goes wrong."""

import asyncio
import gc
import gzip
import hashlib
import time
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from fastrelay.config import Failover
from fastrelay.errors import FormatError, SourceError, SourceRefusedError, StallError, StatusError
from fastrelay.sources.addresses import AddressPolicy
from fastrelay.sources.base import Chunk, Source
from fastrelay.sources.open import Opener
from tests.media import media
from tests.sources.origin import Call, Handler, Origin, open_descriptors, origin, packets

DEFAULT = Failover()
IMPATIENT = Failover(first_byte_timeout=0.6)


def opener(failover: Failover = DEFAULT) -> Opener:
    return Opener(failover, AddressPolicy(("127.0.0.0/8",)), None)


async def play(url: str, failover: Failover = DEFAULT) -> list[Chunk]:
    """All of a finished list."""
    source = await opener(failover).open(url, trusted=False)
    chunks = await rest(source)
    await source.close()
    return chunks


async def rest(source: Source) -> list[Chunk]:
    assert source.kind == "hls" and source.paced
    chunks = []
    while (chunk := await source.read()) is not None:
        chunks.append(chunk)
    return chunks


async def refused(url: str, text: str, kind: type[SourceError] = FormatError) -> None:
    with pytest.raises(kind, match=text):
        await opener().open(url, trusted=False)


def folder(path: Path) -> dict[str, Handler | bytes]:
    return {f"/{file.name}": file.read_bytes() for file in path.iterdir()}


def segment(number: int) -> bytes:
    """A small segment that can be told from every other."""
    return packets(10, first=number * 100)


def listing(*lines: str, target: float = 1, sequence: int = 0, end: bool = True) -> bytes:
    head = f"#EXTM3U\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:{sequence}\n"
    return (head + "\n".join(lines) + ("\n#EXT-X-ENDLIST\n" if end else "\n")).encode()


def numbered(first: int, count: int, target: float = 0.4, end: bool = False) -> bytes:
    lines = [f"#EXTINF:{target},\ns{n}.ts" for n in range(first, first + count)]
    return listing(*lines, target=target, sequence=first, end=end)


def segments(first: int, count: int) -> dict[str, Handler | bytes]:
    return {f"/s{n}.ts": segment(n) for n in range(first, first + count)}


def numbers(chunks: list[Chunk]) -> list[int]:
    return [int.from_bytes(chunk.data[4:12], "big") // 100 for chunk in chunks]


async def take(source: Source, count: int) -> list[Chunk]:
    chunks = []
    for _ in range(count):
        chunk = await source.read()
        assert chunk is not None
        chunks.append(chunk)
    return chunks


def status(text: str, times: int = 1000) -> Handler:
    """Answers with a status so many times, then as if nothing had been, when `body` is set on it."""
    left = times

    async def handler(call: Call) -> None:
        nonlocal left
        left -= 1
        name = call.path.rpartition("/s")[2].removesuffix(".ts")
        if left >= 0:
            await call.answer(b"", text)
        else:
            await call.answer(segment(int(name)))

    return handler


# --- real media, finished lists ---


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("pts-rollover/playlist.m3u8", [f"360p30_h264_48k_160_aac_ts-00000000{n}.ts" for n in range(24, 34)]),
        ("cut-by-size/media.m3u8", [f"s_0000{n}.ts" for n in range(6)]),
        ("audio-only/playlist.m3u8", [f"segment_{n}.ts" for n in range(8)]),
        ("hevc/hevc.m3u8", ["0.ts", "0.ts"]),
        ("h264-no-rai/prog_index.m3u8", [f"fileSequence{n}.ts" for n in range(6)]),
    ],
)
async def test_real_lists_play_whole_from_first_to_last(name: str, files: list[str]) -> None:
    path = media(name)
    async with origin(folder(path.parent)) as it:
        chunks = await play(it.url(f"/{path.name}"))
        assert [chunk.data for chunk in chunks] == [(path.parent / file).read_bytes() for file in files]
        assert not any(chunk.discontinuity for chunk in chunks)
        assert it.accepted <= 2 and it.most_connections <= 2


@pytest.mark.parametrize("ranges", [True, False])
async def test_real_byte_ranges_with_and_without_a_server_that_knows_them(ranges: bool) -> None:
    path = media("byterange")
    whole = (path / "main.ts").read_bytes()

    async def handler(call: Call) -> None:
        first, last = (int(part) for part in call.headers["range"].removeprefix("bytes=").split("-"))
        if ranges:
            field = f"bytes {first}-{last}/{len(whole)}"
            await call.answer(whole[first : last + 1], "206 Partial Content", Content_Range=field)
        else:
            await call.answer(whole)

    async with origin({**folder(path), "/main.ts": handler}) as it:
        chunks = await play(it.url("/master.m3u8"))
        assert [len(chunk.data) for chunk in chunks] == [326744, 326368, 327120, 326556, 326368, 327684]
        assert b"".join(chunk.data for chunk in chunks) == whole[:1960840]


@pytest.mark.parametrize("answer", ["short", "elsewhere"])
async def test_a_byte_range_that_is_not_what_was_asked_for_is_not_used(answer: str) -> None:
    async def handler(call: Call) -> None:
        field = "bytes 188-1879/9999" if answer == "elsewhere" else "bytes 0-1691/9999"
        await call.answer(segment(0)[:-188], "206 Partial Content", Content_Range=field)

    lines = ["#EXTINF:1,\n#EXT-X-BYTERANGE:1880@0\ns0.ts"]
    async with origin({"/x.m3u8": listing(*lines), "/s0.ts": handler}) as it:
        text = "1692 bytes came of a byte range of 1880" if answer == "short" else "does not deliver the byte range"
        await refused(it.url("/x.m3u8"), text, SourceError)


@pytest.mark.parametrize("digits", [19, 5000])
async def test_a_byte_range_with_a_number_of_any_length_is_refused(digits: int) -> None:
    """With zeros in front, too: what is as long as that is not looked at."""

    async def handler(call: Call) -> None:
        await call.answer(segment(0), "206 Partial Content", Content_Range=f"bytes {'0' * digits}-1879/9999")

    lines = ["#EXTINF:1,\n#EXT-X-BYTERANGE:1880@0\ns0.ts"]
    async with origin({"/x.m3u8": listing(*lines), "/s0.ts": handler}) as it:
        await refused(it.url("/x.m3u8"), "does not deliver the byte range")


async def test_a_real_encrypted_segment() -> None:
    path = media("aes128")
    lines = ['#EXT-X-KEY:METHOD=AES-128,URI="encryptionKey.key"', "#EXTINF:4,", "encrypted.ts"]
    async with origin({**folder(path), "/x.m3u8": listing(*lines)}) as it:
        (chunk,) = await play(it.url("/x.m3u8"))
        assert len(chunk.data) == 16 * 188 and set(chunk.data[::188]) == {0x47}


async def test_real_gaps_are_skipped_and_told() -> None:
    path = media("gap/playlist.m3u8")
    files: dict[str, Handler | bytes] = {f"/{n}.ts": segment(n) for n in (2, 3, 4, 6, 7, 8)}
    async with origin({"/x.m3u8": path.read_bytes(), **files}) as it:
        source = await opener().open(it.url("/x.m3u8"), trusted=False)
        chunks = await rest(source)
        assert numbers(chunks) == [2, 3, 4, 6, 7, 8]
        assert [chunk.discontinuity for chunk in chunks] == [False, False, False, True, False, False]
        assert source.lost == 2
        await source.close()


@pytest.mark.parametrize(
    ("name", "reason"),
    [("adts-named-ts/index.m3u8", r"packed audio \(ID3\)|packed audio \(ADTS\)"), ("fmp4/hls.m3u8", "fragmented MP4")],
)
async def test_real_media_that_is_no_transport_stream(name: str, reason: str) -> None:
    path = media(name)
    async with origin(folder(path.parent)) as it:
        await refused(it.url(f"/{path.name}"), reason)
        await it.until(lambda: it.connections == 0)


# --- encryption ---


def encrypt(data: bytes, key: bytes, vector: bytes) -> bytes:
    padder, encryptor = PKCS7(128).padder(), Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    return encryptor.update(padder.update(data) + padder.finalize()) + encryptor.finalize()


async def test_keys_rotate_are_asked_for_once_and_the_number_is_the_vector() -> None:
    keys = [hashlib.md5(bytes((n,))).digest() for n in range(2)]
    vector = bytes(range(16))
    lines = [
        *('#EXT-X-KEY:METHOD=AES-128,URI="k0"', "#EXTINF:1,\ns0.ts", "#EXTINF:1,\ns1.ts"),
        *(f'#EXT-X-KEY:METHOD=AES-128,URI="k1",IV=0x{vector.hex()}', "#EXTINF:1,\ns2.ts"),
        *('#EXT-X-KEY:METHOD=AES-128,URI="k0"', "#EXTINF:1,\ns3.ts", "#EXT-X-KEY:METHOD=NONE", "#EXTINF:1,\ns4.ts"),
    ]
    sequence = [(7 + n).to_bytes(16, "big") for n in range(4)]
    routes: dict[str, Handler | bytes] = {"/x.m3u8": listing(*lines, sequence=7), "/k0": keys[0], "/k1": keys[1]}
    for n, (key, iv) in enumerate([(0, sequence[0]), (0, sequence[1]), (1, vector), (0, sequence[3])]):
        routes[f"/s{n}.ts"] = encrypt(segment(n), keys[key], iv)
    async with origin({**routes, "/s4.ts": segment(4)}) as it:
        chunks = await play(it.url("/x.m3u8"))
        assert [chunk.data for chunk in chunks] == [segment(n) for n in range(5)]
        assert (it.paths().count("/k0"), it.paths().count("/k1")) == (1, 1)


@pytest.mark.parametrize(
    ("key_line", "key", "reason"),
    [
        ('METHOD=AES-128,URI="k"', bytes(15), "16 bytes was expected, 15 came"),
        ('METHOD=AES-128,URI="k"', b"<html>not today</html>", "16 bytes was expected, 22 came"),
        ('METHOD=AES-128,URI="k"', bytes(16), "cannot be decrypted"),
        ('METHOD=SAMPLE-AES,URI="k"', bytes(16), "encrypted with SAMPLE-AES"),
        ('METHOD=AES-128,URI="k",KEYFORMAT="com.widevine"', bytes(16), "DRM"),
    ],
)
async def test_what_cannot_be_decrypted_is_refused(key_line: str, key: bytes, reason: str) -> None:
    lines = [f"#EXT-X-KEY:{key_line}", "#EXTINF:1,\ns0.ts"]
    body = encrypt(segment(0), b"k" * 16, bytes(16))
    async with origin({"/x.m3u8": listing(*lines), "/k": key, "/s0.ts": body}) as it:
        await refused(it.url("/x.m3u8"), reason)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (['#EXT-X-MAP:URI="i.mp4"', "#EXTINF:1,\ns0.ts"], "fragmented MP4"),
        (["#EXT-X-I-FRAMES-ONLY", "#EXTINF:1,\ns0.ts"], "I-frames"),
        ([], "no segment to play"),
        (["#EXTINF:1,\nhtml"], "a web page"),
        (["#EXTINF:1,\nx.m3u8"], "segment is a playlist"),
        (["#EXT-X-BYTERANGE:9\n#EXTINF:1,\ns0.ts"], "nothing before it to continue"),
    ],
)
async def test_lists_that_cannot_be_relayed(lines: list[str], reason: str) -> None:
    async with origin({"/x.m3u8": listing(*lines), "/s0.ts": segment(0), "/html": b"<html></html>"}) as it:
        await refused(it.url("/x.m3u8"), reason)


async def test_a_master_with_all_audio_apart_is_refused() -> None:
    async with origin({"/x.m3u8": media("playlists/alternateAudio.m3u8").read_bytes()}) as it:
        await refused(it.url("/x.m3u8"), "only the HLS passthrough")


# --- addresses and headers ---


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["#EXTINF:1,\nhttp://169.254.169.254/s0.ts"], "metadata"),
        (["#EXTINF:1,\nhttp://[::1]/s0.ts"], "loopback"),
        (["#EXTINF:1,\nfile:///etc/passwd"], "'file' is not allowed"),
        (["#EXTINF:1,\nexec:id"], "'exec' is not allowed"),
        (['#EXT-X-KEY:METHOD=AES-128,URI="http://169.254.169.254/k"', "#EXTINF:1,\ns0.ts"], "metadata"),
        (["#EXTINF:1,\nredirect"], "metadata"),
    ],
)
async def test_every_uri_of_a_playlist_is_checked(lines: list[str], text: str) -> None:
    async def redirect(call: Call) -> None:
        await call.answer(b"", "302 Found", Location="http://169.254.169.254/")

    async with origin({"/x.m3u8": listing(*lines), "/s0.ts": segment(0), "/redirect": redirect}) as it:
        await refused(it.url("/x.m3u8"), text, SourceRefusedError)


async def test_headers_go_along_with_every_request_but_credentials_stay_at_home() -> None:
    async with origin(segments(1, 1)) as other:
        lines = ["#EXT-X-KEY:METHOD=NONE", "#EXTINF:1,\ns0.ts", f"#EXTINF:1,\n{other.url('/s1.ts')}"]
        master = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nx.m3u8\n"
        async with origin({"/m.m3u8": master, "/x.m3u8": listing(*lines), "/s0.ts": segment(0)}) as it:
            await play(it.url("/m.m3u8") + "|Authorization=Bearer s&X-Key=k&User-Agent=Foo")
            sent = [(call.headers.get("authorization"), call.headers["x-key"]) for call in it.calls]
            assert sent == [("Bearer s", "k")] * 3
        (call,) = other.calls
        assert "authorization" not in call.headers
        assert (call.headers["x-key"], call.headers["user-agent"]) == ("k", "Foo")


async def test_names_resolve_against_where_the_playlist_came_from_in_the_end() -> None:
    async def redirect(call: Call) -> None:
        await call.answer(b"", "302 Found", Location="/deep/er/x.m3u8")

    lines = ["#EXTINF:1,\ns0.ts"]
    routes: dict[str, Handler | bytes] = {"/a/x.m3u8": redirect, "/deep/er/x.m3u8": listing(*lines)}
    async with origin({**routes, "/deep/er/s0.ts": segment(0)}) as it:
        assert numbers(await play(it.url("/a/x.m3u8"))) == [0]


@pytest.mark.parametrize("coding", ["gzip", "identity"])
async def test_playlists_may_come_compressed(coding: str) -> None:
    plain = listing("#EXTINF:1,\ns0.ts")

    async def handler(call: Call) -> None:
        body = gzip.compress(plain) if coding == "gzip" else plain
        await call.answer(body, Content_Encoding=coding)

    async with origin({"/x.m3u8": handler, "/s0.ts": segment(0)}) as it:
        assert numbers(await play(it.url("/x.m3u8"))) == [0]


async def test_a_compressed_playlist_that_is_cut_short_is_not_half_used() -> None:
    async def handler(call: Call) -> None:
        await call.answer(gzip.compress(listing("#EXTINF:1,\ns0.ts") * 50)[:-20], Content_Encoding="gzip")

    async with origin({"/x.m3u8": handler, "/s0.ts": segment(0)}) as it:
        await refused(it.url("/x.m3u8"), "cannot be unpacked")


async def test_playlists_are_bounded_also_when_compressed() -> None:
    async def bomb(call: Call) -> None:
        await call.answer(gzip.compress(b"#EXTM3U\n" + b"#" * (4 << 20)), Content_Encoding="gzip")

    async with origin({"/big": b"#EXTM3U\n" + b"#" * (3 << 20), "/bomb": bomb}) as it:
        await refused(it.url("/big"), "longer than the 2 MiB")
        await refused(it.url("/bomb"), "more than 2 MiB")


# --- live ---


def moving(it: Origin, count: int = 6, target: float = 0.6, first: int = 10) -> list[int]:
    """Routes of a live window; what the test does to the returned first number moves it."""
    at = [first]

    async def playlist(call: Call) -> None:
        await call.answer(numbered(at[0], count, target))

    it.routes["/x.m3u8"] = playlist
    return at


async def test_a_live_list_is_followed_from_three_segments_back() -> None:
    async with origin(segments(10, 12)) as it:
        before = open_descriptors()
        at = moving(it)
        source = await opener().open(it.url("/x.m3u8"), trusted=False)
        assert it.paths() == ["/x.m3u8", "/s13.ts"]
        chunks = await take(source, 3)
        for n in range(11, 16):
            at[0] = n
            chunks += await take(source, 1)
        assert numbers(chunks) == list(range(13, 21))
        assert not any(chunk.discontinuity for chunk in chunks)
        assert source.lost == 0
        assert it.accepted == 1
        await source.close()
        await it.until(lambda: it.connections == 0)
        assert open_descriptors() <= before


async def test_reloads_wait_for_the_target_duration_and_half_of_it_when_nothing_is_new() -> None:
    async with origin(segments(10, 12)) as it:
        loads: list[float] = []
        loop = asyncio.get_running_loop()
        first = 10

        async def playlist(call: Call) -> None:
            nonlocal first
            loads.append(loop.time())
            first = 11 if len(loads) == 4 else first
            await call.answer(numbered(first, 6, target=0.8))

        it.routes["/x.m3u8"] = playlist
        source = await opener().open(it.url("/x.m3u8"), trusted=False)
        assert numbers(await take(source, 4)) == [13, 14, 15, 16]
        pauses = [after - before for before, after in pairwise(loads)]
        assert pauses[0] >= 0.75 and all(pause >= 0.35 for pause in pauses)
        assert min(pauses[1:3]) < 0.75  # half of it
        await source.close()


async def test_an_unchanged_list_has_stalled_after_three_target_durations() -> None:
    async with origin(segments(10, 6)) as it:
        moving(it, target=0.2)
        source = await opener().open(it.url("/x.m3u8"), trusted=False)
        await take(source, 3)
        started = asyncio.get_running_loop().time()
        with pytest.raises(StallError, match="no new segment for 3 target durations"):
            await source.read()
        assert asyncio.get_running_loop().time() - started >= 0.4
        await source.close()


async def test_a_stalled_list_is_noticed_by_the_time_its_last_segment_has_been_played() -> None:
    """The three segments in hand last three target durations: then is the time to go, not three more later, which
    would be six more looks at the list.
    """
    async with origin(segments(10, 6)) as it:
        moving(it, target=0.3)
        source = await opener().open(it.url("/x.m3u8"), trusted=False)
        for _ in range(3):
            await take(source, 1)
            await asyncio.sleep(0.3)
        looks = it.paths().count("/x.m3u8")
        with pytest.raises(StallError, match="no new segment"):
            await source.read()
        assert it.paths().count("/x.m3u8") - looks <= 2
        await source.close()


async def test_a_paused_reader_does_not_stall_and_goes_on_where_the_window_is() -> None:
    async with origin(segments(10, 40)) as it:
        at = moving(it, target=0.4)
        source = await opener().open(it.url("/x.m3u8"), trusted=False)
        await take(source, 3)
        await asyncio.sleep(0.9)
        at[0] = 30
        chunks = await take(source, 3)
        assert numbers(chunks) == [33, 34, 35]
        assert [chunk.discontinuity for chunk in chunks] == [True, False, False]
        assert source.lost == 33 - 16
        await source.close()


async def test_a_server_that_begins_again_is_followed_with_a_discontinuity() -> None:
    async with origin(segments(10, 12)) as it:
        at = moving(it)
        source = await opener().open(it.url("/x.m3u8"), trusted=False)
        await take(source, 3)
        at[0] = 0
        it.routes.update(segments(0, 8))
        chunks = await take(source, 3)
        assert numbers(chunks) == [3, 4, 5]
        assert [chunk.discontinuity for chunk in chunks] == [True, False, False]
        await source.close()


async def test_discontinuities_are_passed_on() -> None:
    lines = [
        "#EXT-X-DISCONTINUITY",
        "#EXTINF:1,\ns0.ts",
        "#EXTINF:1,\ns1.ts",
        "#EXT-X-DISCONTINUITY\n#EXTINF:1,\ns2.ts",
    ]
    async with origin({"/x.m3u8": listing(*lines), **segments(0, 3)}) as it:
        chunks = await play(it.url("/x.m3u8"))
        assert [chunk.discontinuity for chunk in chunks] == [False, False, True]


async def test_a_segment_not_yet_there_at_the_edge_is_waited_for() -> None:
    async with origin(segments(10, 8)) as it:
        it.routes["/s15.ts"] = status("404 Not Found", times=2)
        moving(it, target=2)
        source = await opener().open(it.url("/x.m3u8"), trusted=False)
        chunks = await take(source, 3)
        assert numbers(chunks) == [13, 14, 15] and not chunks[2].discontinuity
        assert it.paths().count("/s15.ts") == 3
        await source.close()


async def test_a_segment_gone_from_the_window_is_skipped_at_once() -> None:
    async with origin(segments(10, 8)) as it:
        it.routes["/s14.ts"] = status("404 Not Found")
        moving(it, target=2)
        source = await opener().open(it.url("/x.m3u8"), trusted=False)
        chunks = await take(source, 2)
        assert numbers(chunks) == [13, 15] and chunks[1].discontinuity
        assert it.paths().count("/s14.ts") == 1 and source.lost == 1
        await source.close()


async def cut_short(call: Call) -> None:
    await call.answer(segment(1)[:-188], Content_Length=str(len(segment(1))))
    call.writer.close()


async def silent(call: Call) -> None:
    await call.gone()


async def page(call: Call) -> None:
    await call.answer(b"<html>busy</html>")


@pytest.mark.parametrize(
    ("handler", "asked"),
    [(status("500 Oops"), 3), (status("503 Busy"), 3), (cut_short, 3), (silent, 3), (page, 1), (b"", 1)],
)
async def test_a_segment_that_keeps_failing_is_skipped_and_never_half_used(
    handler: Handler | bytes, asked: int
) -> None:
    lines = [f"#EXTINF:1,\ns{n}.ts" for n in range(3)]
    routes = {**segments(0, 3), "/x.m3u8": listing(*lines), "/s1.ts": handler}
    async with origin(routes) as it:
        chunks = await play(it.url("/x.m3u8"), IMPATIENT if handler is silent else DEFAULT)
        assert numbers(chunks) == [0, 2] and chunks[1].discontinuity
        assert it.paths().count("/s1.ts") == asked


@pytest.mark.parametrize("how", ["500", "short"])
async def test_a_segment_that_fails_once_is_asked_for_again(how: str) -> None:
    calls = 0

    async def handler(call: Call) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            await call.answer(segment(1))
        elif how == "500":
            await call.answer(b"", "500 Oops")
        else:
            await cut_short(call)

    lines = [f"#EXTINF:1,\ns{n}.ts" for n in range(3)]
    async with origin({**segments(0, 3), "/x.m3u8": listing(*lines), "/s1.ts": handler}) as it:
        chunks = await play(it.url("/x.m3u8"))
        assert numbers(chunks) == [0, 1, 2] and not any(chunk.discontinuity for chunk in chunks)


async def test_segments_failing_in_a_row_are_a_failed_source() -> None:
    lines = [f"#EXTINF:1,\ns{n}.ts" for n in range(9)]
    async with origin({**segments(0, 2), "/x.m3u8": listing(*lines)}) as it:
        source = await opener().open(it.url("/x.m3u8"), trusted=False)
        with pytest.raises(StatusError, match="404"):
            await rest(source)
        await source.close()


async def test_a_list_none_of_whose_segments_are_there_does_not_open() -> None:
    async with origin({"/x.m3u8": listing("#EXTINF:1,\ns0.ts")}) as it:
        await refused(it.url("/x.m3u8"), "404", StatusError)


async def test_playlist_failures_are_sat_out() -> None:
    async with origin(segments(10, 12)) as it:
        at = moving(it, target=1)
        works = it.routes["/x.m3u8"]
        source = await opener().open(it.url("/x.m3u8"), trusted=False)
        await take(source, 3)
        failures = 0

        async def fails_twice(call: Call) -> None:
            nonlocal failures
            failures += 1
            if failures == 2:
                at[0], it.routes["/x.m3u8"] = 11, works
            await call.answer(b"", "502 Bad Gateway")

        it.routes["/x.m3u8"] = fails_twice
        chunks = await take(source, 1)
        assert numbers(chunks) == [16] and failures == 2 and not chunks[0].discontinuity
        await source.close()


async def test_a_playlist_that_stays_away_is_a_failed_source_with_its_reason() -> None:
    async with origin(segments(10, 6)) as it:
        moving(it, target=0.2)
        source = await opener().open(it.url("/x.m3u8"), trusted=False)
        await take(source, 3)
        it.routes["/x.m3u8"] = status("502 Bad Gateway")
        with pytest.raises(StatusError, match="502"):
            await source.read()
        await source.close()


async def test_a_playlist_that_turns_into_something_else_is_refused() -> None:
    async with origin(segments(10, 6)) as it:
        moving(it, target=0.5)
        source = await opener().open(it.url("/x.m3u8"), trusted=False)
        await take(source, 3)
        it.routes["/x.m3u8"] = b"<html>maintenance</html>"
        with pytest.raises(FormatError, match="beginning with #EXTM3U, got a web page"):
            await source.read()
        await source.close()


async def test_a_list_that_ends_ends_the_stream() -> None:
    async with origin(segments(10, 12)) as it:
        moving(it, target=0.5)
        source = await opener().open(it.url("/x.m3u8"), trusted=False)
        await take(source, 3)
        it.routes["/x.m3u8"] = numbered(12, 6, target=0.5, end=True)
        assert numbers(await rest(source)) == [16, 17]
        assert await source.read() is None
        await source.close()


@pytest.mark.parametrize("end", [False, True])
async def test_the_list_of_a_whole_day_does_not_hold_the_loop(end: bool) -> None:
    """It is read in pieces: what else runs on the loop has its turn in a fraction of the time it takes."""
    count = 15_000
    gc.freeze()  # or a collection would look through all that other tests have left
    async with origin({"/x.m3u8": numbered(0, count, 6.0, end), **segments(0, 1), **segments(count - 3, 1)}) as it:
        # Of this thread: what else the machine does meanwhile is not its fault.
        clock = time.thread_time
        opening = asyncio.create_task(opener().open(it.url("/x.m3u8"), trusted=False))
        started = before = clock()
        slowest = 0.0
        while not opening.done():
            await asyncio.sleep(0)
            slowest, before = max(slowest, clock() - before), clock()
        source = await opening
        took = clock() - started
        print(f"\na list of {count}: {took * 1000:.0f} ms, the loop held {slowest * 1000:.0f} ms at most")
        assert numbers(await take(source, 1)) == [0 if end else count - 3]
        await source.close()
    gc.unfreeze()
    assert slowest < took / 3
