import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from fastrelay.config import Failover
from fastrelay.errors import FormatError, SourceRefusedError
from fastrelay.sources.addresses import AddressPolicy
from fastrelay.sources.open import Opener
from tests.media import media
from tests.sources.origin import Call, origin, packets


def opener() -> Opener:
    return Opener(Failover(), AddressPolicy(("127.0.0.0/8",)), None)


def test_the_http_client_is_imported_only_when_it_is_needed() -> None:
    code = "import sys, fastrelay.sources.open; print('aiohttp' in sys.modules, 'cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "exec:touch /tmp/never", "EXEC:id", " file:///x"])
async def test_local_schemes_are_refused_unless_trusted(url: str) -> None:
    with pytest.raises(SourceRefusedError, match="operator's config only"):
        await opener().open(url, trusted=False)


@pytest.mark.parametrize("url", ["", "gopher://h/", "http://", "http://u:secret@h:x/"])
async def test_what_is_no_source_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SourceRefusedError, match="not a source URL") as caught:
        await opener().open(url, trusted=True)
    assert "secret" not in str(caught.value)


async def test_a_trusted_file_is_opened_by_its_decoded_path(tmp_path: Path) -> None:
    clip = media("audio-only/segment_0.ts")
    (tmp_path / "a b?#%.ts").write_bytes(clip.read_bytes())
    source = await opener().open(f"file://{tmp_path}/a%20b%3F%23%25.ts", trusted=True)
    assert source.kind == "file"
    assert await source.read() is not None
    await source.close()


@pytest.mark.parametrize("name", ["x.m3u8", "x.ts", "get.php?type=m3u8", "x"])
async def test_bytes_decide_and_not_names(name: str) -> None:
    async def transport_stream(call: Call) -> None:
        await call.start(Content_Type="application/vnd.apple.mpegurl")
        await call.send(packets(100))
        await call.gone()

    playlist = b"\xef\xbb\xbf#EXTM3U\r\n#EXT-X-TARGETDURATION:1\r\n#EXTINF:1,\r\ns.ts\r\n#EXT-X-ENDLIST\r\n"
    path = f"/{name.partition('?')[0]}"
    async with origin({path: transport_stream}) as it:
        source = await opener().open(it.url(f"/{name}"), trusted=False)
        assert source.kind == "ts"
        await source.close()
    async with origin({path: playlist, "/s.ts": packets(10)}) as it:
        source = await opener().open(it.url(f"/{name}"), trusted=False)
        assert source.kind == "hls"
        await source.close()


async def test_a_stream_that_trickles_is_recognised_and_loses_nothing() -> None:
    async def trickle(call: Call) -> None:
        await call.start()
        data = b"\x00garbage" + packets(60)
        for at in range(0, len(data), 99):
            await call.send(data[at : at + 99])
        await call.gone()

    async with origin({"/x": trickle}) as it:
        source = await opener().open(it.url("/x"), trusted=False)
        data = b""
        while len(data) < 8 + 60 * 188:
            chunk = await source.read()
            assert chunk is not None
            data += chunk.data
        assert data == b"\x00garbage" + packets(60)
        await source.close()


async def test_a_compressed_transport_stream_is_refused() -> None:
    async def handler(call: Call) -> None:
        await call.answer(gzip.compress(packets(100)), Content_Encoding="gzip")

    async with origin({"/x": handler}) as it:
        with pytest.raises(FormatError, match="comes compressed"):
            await opener().open(it.url("/x"), trusted=False)
        await it.until(lambda: it.connections == 0)
