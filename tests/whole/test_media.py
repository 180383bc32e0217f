"""Real broadcasts and real playlists through the whole server: where viewers begin, and that nothing is lost."""

import asyncio
import json
import re
import subprocess
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.kit.behaviours import TYPES, body, folder
from tests.kit.checker import Checker
from tests.kit.clips import ffprobe_packets
from tests.kit.hls_origin import HlsChannel, coded_segments, listed_segments
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.server import Server, Status
from tests.kit.ts_packets import PACKET, is_flagged, pid_of
from tests.kit.viewer import Viewer, connect, fetch
from tests.media import media
from tests.whole.relay import PATH, relay

START = 0.2
"""An HTTP source is tuned in after this part of a recording, in the middle of a group of pictures and of a packet."""
ONE_PAT = ("rai-every-frame/test-072.ts",)
"""These have their tables only once, at their very start."""
LATER = (1.0, 3.0, 7.5)
"""Seconds of media that the first viewer has when the others come."""
ALL_AT_ONCE = {"ring_seconds": "200s", "ring_size": "16MiB"}
"""No finished list is paced, and all of each fits into its ring."""
LEAST = 1.5
"""Seconds of media that each of these gets."""


@dataclass(frozen=True)
class Medium:
    """A recording: its file, or its playlist and segments; `pid` is that of its picture, or of its only sound.

    `leftovers`: its PES packets begin with the end of the picture before, of which a decoder cannot but complain.
    `damaged`: packets are missing in it, and behind a random-access point come pictures that refer to what was before.
    """

    name: str
    seconds: float
    pid: int
    leftovers: bool = False
    damaged: bool = False
    rounds: int = 1
    """How often its list names the same segment."""

    @property
    def stream(self) -> str:
        """What ffprobe calls it."""
        return "a:0" if self.name.startswith("audio") else "v:0"

    @property
    def path(self) -> Path:
        return media(self.name)

    @property
    def is_list(self) -> bool:
        return self.path.suffix == ".m3u8"

    def bytes(self) -> bytes:
        """All of it once, in order."""
        if not self.is_list:
            return self.path.read_bytes()
        segments = listed_segments(self.path)
        count = self.path.read_text().count("#EXTINF") // self.rounds
        return b"".join(segments(index).data for index in range(count))


MEDIA = (
    Medium("broadcast-no-idr/broadcast.ts", 16.4, 0x140, damaged=True),
    Medium("rai-every-frame/test-072.ts", 12, 0x65),
    Medium("ad-insert/80s_with_ad.ts", 79, 0x100),
    Medium("h264-no-rai/prog_index.m3u8", 36, 0x101),
    Medium("pts-rollover/playlist.m3u8", 20, 0x101),
    Medium("hevc/index.m3u8", 12, 0x100, rounds=2),
    Medium("audio-only/playlist.m3u8", 31.9, 0x101),
    Medium("cut-by-size/media.m3u8", 16.8, 0x100),
    Medium("byterange/video.m3u8", 59.9, 0x102, leftovers=True),
)
LISTS = tuple(medium for medium in MEDIA if medium.name.endswith(".m3u8"))
MASTERS = {"hevc/index.m3u8": "hevc.m3u8", "byterange/video.m3u8": "master.m3u8"}


@dataclass
class Watched:
    """What came of one relay: the bytes of each viewer in the order they joined, and the status while they watched."""

    source: bytes
    bodies: list[bytearray] = field(default_factory=list)
    status: Status = field(default_factory=dict)


# What is saved, all recordings at once because each runs in real time.


async def _save(url: str, watched: Watched) -> Viewer:
    saved = bytearray()
    watched.bodies.append(saved)
    return await connect(url, sink=saved.extend)


async def _watch(server: Server, name: str, source: bytes, seconds: float) -> Watched:
    """A first viewer and three later ones, each with some seconds of media."""
    rate, watched, url = int(len(source) / seconds), Watched(source), server.url(f"/stream/{name}")
    viewers = [await _save(url, watched)]
    for later in LATER:
        await viewers[0].received(int(later * rate), within=60)
        viewers.append(await _save(url, watched))
    await asyncio.gather(*(viewer.received(int(LEAST * rate), within=60) for viewer in viewers))
    watched.status = await server.status(name)
    for viewer, saved in zip(viewers, watched.bodies, strict=True):
        viewer.close()
        del saved[int((LATER[-1] if viewer is viewers[0] else LEAST) * rate) :]
    return watched


def _config(urls: dict[str, str], **streams: Any) -> dict[str, Any]:
    entries = [{"name": name, "output_path": name, "source_urls": [url]} for name, url in urls.items()]
    return {"relays": entries, "streams": streams}


def _id(kind: str, medium: Medium) -> str:
    return f"{kind}-{medium.name.partition('/')[0]}"


async def _watch_all() -> dict[str, Watched]:
    async with Origin() as origin:
        urls, sources = {}, {}
        for medium in MEDIA:
            name, whole = _id("http", medium), medium.bytes()
            sources[name] = (whole, medium.seconds)
            skipped = 0 if medium.name in ONE_PAT else int(START * len(whole)) // PACKET * PACKET + 77
            urls[name] = origin.route(f"/{name}", body(whole[skipped:]))
        for medium in LISTS:
            name = _id("hls", medium)
            sources[name] = (medium.bytes(), medium.seconds)
            urls[name] = HlsChannel(listed_segments(medium.path), window=4).mount(origin, f"/{name}")
        async with Server(_config(urls)) as server:
            found = await asyncio.gather(*(_watch(server, name, *sources[name]) for name in urls))
    return dict(zip(urls, found, strict=True))


@pytest.fixture(scope="module")
def watched() -> dict[str, Watched]:
    media(".")
    return uvloop.run(_watch_all())


async def _play_out() -> dict[str, Watched]:
    """Each finished list from its first segment to its end, in one burst."""
    async with Origin() as origin:
        urls = {_id("end", one): origin.route(f"/{one.name}", folder(one.path.parent)) for one in LISTS}
        for medium in LISTS:
            top = MASTERS.get(medium.name, medium.path.name)
            origin.route(f"/{medium.path.parent.name}/", folder(medium.path.parent))
            urls[_id("end", medium)] = origin.url(f"/{medium.path.parent.name}/{top}")
        async with Server(_config(urls, **ALL_AT_ONCE)) as server:
            played = {_id("end", medium): Watched(medium.bytes()) for medium in LISTS}
            viewers = [await _save(server.url(f"/stream/{name}"), one) for name, one in played.items()]
            assert {await viewer.ended(within=60) for viewer in viewers} == {"eof"}
            for name, one in played.items():
                one.status = await server.wait_status(name, lambda status: status["state"] == "idle")
    return played


@pytest.fixture(scope="module")
def played() -> dict[str, Watched]:
    media(".")
    return uvloop.run(_play_out())


# What must be true of it.


def _split(saved: bytes) -> tuple[list[bytes], bytes]:
    """The tables in front, packet by packet, and what follows; whole packets only."""
    whole = saved[: len(saved) // PACKET * PACKET]
    packets = [whole[at : at + PACKET] for at in range(0, 10 * PACKET, PACKET)]
    assert pid_of(packets[0]) == 0 and packets[0][1] & 0x40, "the first packet is not the start of a PAT"
    pmt_pid = pid_of(packets[1])
    tables = next(count for count, packet in enumerate(packets) if pid_of(packet) not in (0, pmt_pid))
    assert tables >= 2 and packets[1][1] & 0x40, "no PMT after the PAT"
    return packets[:tables], whole[tables * PACKET :]


def _verify_slice(saved: bytes, source: bytes, pid: int) -> int:
    """Tables, then the start of an access unit, then the source's own packets one by one, up to where a live list
    begins anew; where in it they begin.
    """
    tables, rest = _split(saved)
    assert pid_of(rest) == pid and rest[1] & 0x40, f"begins with PID {pid_of(rest):#x}, not with a picture's start"
    at = source.find(rest[:PACKET])
    assert at >= 0
    psi = {pid_of(packet) for packet in tables}
    assert _without(psi, source[at : at + len(rest)]) == _without(psi, rest[: len(source) - at])
    return at


def _without(pids: set[int], packets: bytes) -> bytes:
    """Tables may have got another version, where a live list began anew before."""
    parts = (packets[at : at + PACKET] for at in range(0, len(packets), PACKET))
    return b"".join(part for part in parts if pid_of(part) not in pids)


def _payload(packets: bytes, pid: int) -> bytes:
    """All that one PID carries, from the start of its first access unit on."""
    parts: list[bytes] = []
    for at in range(0, len(packets) - PACKET + 1, PACKET):
        packet = packets[at : at + PACKET]
        if pid_of(packet) == pid and packet[3] & 0x10 and (parts or packet[1] & 0x40):
            parts.append(packet[5 + packet[4] if packet[3] & 0x20 else 4 :])
    return b"".join(parts)


def _complaints(text: str) -> list[str]:
    """What the decoders of pictures complained of. What the demuxer read is compared byte by byte."""
    return [line for line in text.splitlines() if line.startswith(("[h264", "[hevc"))]


# What a decoder says that was not started at a random-access point.
MISSING = re.compile(r"non-existing|decode_slice_header|no frame!|Could not find ref|PPS id|SPS id|missing picture")


def _decode(path: Path, stream: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    """The first packets and frames of a stream, and all complaints."""
    command = ["ffprobe", "-v", "warning", "-analyzeduration", "1M", "-select_streams", stream]
    command += ["-read_intervals", "%+1"]
    command += ["-show_packets", "-show_frames", "-of", "json", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    mixed = json.loads(result.stdout)["packets_and_frames"]
    packets, frames = ([one for one in mixed if one["type"] == kind] for kind in ("packet", "frame"))
    return packets, frames, _complaints(result.stderr)


def _last_unit(saved: bytes, pid: int) -> int:
    """Where the last access unit begins, which is not whole."""
    for at in range(len(saved) // PACKET * PACKET - PACKET, 0, -PACKET):
        packet = saved[at : at + PACKET]
        if pid_of(packet) == pid and packet[1] & 0x40:
            return at
    raise AssertionError("no access unit")


def _verify_start(medium: Medium, saved: bytes, path: Path) -> None:
    """The first picture decodes and needs nothing before it, and those after it decode as they do in the recording."""
    path.write_bytes(saved[: _last_unit(saved, medium.pid)])
    packets, frames, complaints = _decode(path, medium.stream)
    assert frames[0]["key_frame"] == 1
    if medium.stream == "v:0":
        assert frames[0]["pict_type"] == "I"
    if medium.stream == "v:0" and not medium.leftovers:
        assert frames[0]["pkt_pos"] == packets[0]["pos"]
        assert not [line for line in complaints if MISSING.search(line)]
    assert medium.damaged or not [line for line in complaints if not MISSING.search(line)]


@pytest.mark.parametrize(
    ("kind", "medium"),
    [
        *(pytest.param("http", one, id=_id("http", one)) for one in MEDIA),
        *(pytest.param("hls", one, id=_id("hls", one)) for one in LISTS),
    ],
)
def test_every_viewer_begins_at_a_random_access_point_and_loses_nothing(
    watched: dict[str, Watched], kind: str, medium: Medium, tmp_path: Path
) -> None:
    one = watched[_id(kind, medium)]
    starts = {_verify_slice(bytes(saved), one.source, medium.pid): saved for saved in one.bodies}
    # Behind an HLS source everybody starts a segment's length back, which may be one key frame for all.
    assert len(starts) > 1 or kind == "hls", "all joined at the same place"
    for start, saved in starts.items():
        beginning = bytes(saved[: int(LEAST * len(one.source) / medium.seconds)])
        _verify_start(medium, beginning, tmp_path / f"from{start}.ts")
    assert (one.status["state"], one.status["switches"], one.status["dropped_slow"]) == ("active", 0, 0)
    assert "source failed" not in [event["event"] for event in one.status["events"]]


@pytest.mark.parametrize("medium", LISTS, ids=lambda medium: medium.name.split("/")[0])
def test_a_finished_list_is_played_from_its_first_picture_to_its_end(
    played: dict[str, Watched], medium: Medium, tmp_path: Path
) -> None:
    one = played[_id("end", medium)]
    saved = bytes(one.bodies[0])
    assert len(saved) % PACKET == 0
    assert _payload(saved, medium.pid) == _payload(one.source, medium.pid) * medium.rounds
    _verify_start(medium, saved[:500_000], tmp_path / "viewer.ts")
    assert one.status["dropped_slow"] == 0
    assert (one.status["events"][-1]["event"], one.status["events"][-1]["detail"]) == ("stopped", "ended")


def test_the_wrap_of_33_bits_is_nothing(played: dict[str, Watched], tmp_path: Path) -> None:
    """The stamps begin anew in the fifth of ten segments; players see one continuous stream."""
    one = played["end-pts-rollover"]
    path = tmp_path / "wrapped.ts"
    path.write_bytes(one.bodies[0])
    packets = [packet for packet in ffprobe_packets(path) if packet["codec_type"] == "video"]
    assert len(packets) == pytest.approx(20 * 24, abs=2)
    steps = [int(b["dts"]) - int(a["dts"]) for a, b in pairwise(packets)]
    assert 0 < min(steps) <= max(steps) < 90_000 / 10
    _, rest = _split(bytes(one.bodies[0]))
    assert not any(is_flagged(rest[at : at + PACKET]) for at in range(0, len(rest), PACKET))
    assert one.status["continuity_errors"] == 0


def test_media_time_goes_on_over_the_wrap(watched: dict[str, Watched]) -> None:
    """The live list was joined right before the wrap: the bitrate is that of the recording, not of 26 hours or none."""
    one = watched["hls-pts-rollover"]
    assert one.status["bitrate"] == pytest.approx(8 * len(one.source) / 20, rel=0.5)


async def test_a_wrap_in_the_middle_of_a_live_stream_is_nothing_to_any_viewer() -> None:
    """Viewers before and after it; the stamps wrap in the third second, and pacing and joins go on."""
    source = PositionCoded(byte_rate=200_000, start_pts=(1 << 33) - 3 * 90_000 - 45_000)
    async with Origin() as origin, relay(origin.route("/a", body(source.take(12)))) as server:
        first = await connect(server.url(PATH), Checker(source))
        await first.received(2 * 200_000)
        viewers = [first]
        for seconds in (4, 5, 6):
            await first.received(seconds * 200_000)
            viewers.append(await connect(server.url(PATH), Checker(source)))
        await asyncio.gather(*(viewer.received(2 * 200_000) for viewer in viewers))
        for viewer in viewers:
            viewer.verify(switches=0)
        wrap = source.number_at(3)
        assert first.checker and first.checker.starts[0].number < wrap
        assert viewers[-1].checker and viewers[-1].checker.starts[0].number > wrap
        status = await server.status("a")
        assert status["switches"] == 0
        assert status["bitrate"] == pytest.approx(8 * 200_000, rel=0.3)


async def test_an_encrypted_segment_is_relayed_in_clear(tmp_path: Path) -> None:
    """One segment of 16 packets and its key: 3 pictures."""
    folder_ = media("aes128")
    lines = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n"
    lines += '#EXT-X-KEY:METHOD=AES-128,URI="encryptionKey.key"\n#EXTINF:0.2,\nencrypted.ts\n#EXT-X-ENDLIST\n'
    async with Origin() as origin:
        origin.route("/aes/", folder(folder_))
        url = origin.route("/aes/list.m3u8", body(lines.encode(), TYPES[".m3u8"]))
        async with relay(url) as server:
            saved = bytearray()
            viewer = await connect(server.url(PATH), sink=saved.extend)
            assert await viewer.ended() == "eof"
    packets = [bytes(saved[at : at + PACKET]) for at in range(0, len(saved), PACKET)]
    assert [pid_of(packet) for packet in packets] == [0, 0x1000, *[0x100] * 12, 0x101]
    _verify_start(Medium("aes128/encrypted.ts", 0.2, 0x100), bytes(saved), tmp_path / "clear.ts")


async def test_gaps_in_a_list_are_skipped_and_flagged() -> None:
    """The list says that its first and its fifth segment do not exist."""
    source = PositionCoded(byte_rate=100_000, gop=2)
    segments = coded_segments(source, 4.0)
    async with Origin() as origin:
        url = origin.route("/gap/list.m3u8", body(media("gap/playlist.m3u8").read_bytes(), TYPES[".m3u8"]))
        for number in (2, 3, 4, 6, 7, 8):
            origin.route(f"/gap/{number}.ts", body(segments(number).data))
        async with relay(url, streams=ALL_AT_ONCE) as server:
            viewer = await connect(server.url(PATH), Checker(source))
            assert await viewer.ended(within=60) == "eof"
            viewer.verify(least=6 * 4 * 100_000 - 3000, switches=1)
            assert viewer.checker
            numbers = [start.number for start in viewer.checker.starts]
            assert [source.frame_of(number) for number in numbers] == [200, 600]
        assert [origin.requests(f"/gap/{number}.ts") for number in (1, 5)] == [0, 0]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("adts-named-ts/index.m3u8", "packed audio"),
        ("adts-named-ts/playlist.m3u8", "packed audio"),
        ("adts-named-ts/fileSequence0.ts", "packed audio"),
        ("fmp4/hls.m3u8", "fragmented MP4"),
        ("fmp4/hls11.m4s", "fragmented MP4"),
    ],
)
async def test_what_is_no_transport_stream_is_refused_with_the_reason(name: str, reason: str) -> None:
    async with Origin() as origin:
        path = media(name)
        origin.route("/x/", folder(path.parent))
        async with relay(origin.url(f"/x/{path.name}")) as server:
            reply = await fetch(server.url(PATH))
            assert (reply.status, reply.headers["content-type"]) == (502, "application/json")
            error = reply.json()["error"]
            assert error["code"] == "no_source_works"
            assert reason in error["message"]
            await server.wait_status("a", lambda status: status["state"] == "idle")
