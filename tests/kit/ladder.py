"""A live HLS provider with all that HLS has: three variants, audio and subtitles of their own, AES-128 or fMP4.

ffmpeg makes it once as files; a `Ladder` serves them as a live window that moves by the clock.
"""

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from tests.kit.behaviours import TYPES, body, status
from tests.kit.clips import clips_folder, tool
from tests.kit.hls_origin import PLAYLIST
from tests.kit.origin import Exchange, Origin

SEGMENT_SECONDS = 2
RATES = ("100k", "200k", "400k")
_SOURCES = "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine=frequency=440:sample_rate=48000"
_CODECS = (
    "-map 0:v -map 0:v -map 0:v -map 1:a -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 50 -keyint_min 50 "
    f"-sc_threshold 0 {' '.join(f'-b:v:{at} {rate}' for at, rate in enumerate(RATES))} -c:a aac -b:a 64k"
)
_HLS = f"-f hls -hls_time {SEGMENT_SECONDS} -hls_playlist_type vod -master_pl_name master.m3u8"
_MAP = "v:0,agroup:a v:1,agroup:a v:2,agroup:a a:0,agroup:a"
_KIND = {
    "aes": "-hls_key_info_file key.info -hls_segment_filename s%v_%03d.ts",
    "fmp4": "-hls_segment_type fmp4 -hls_fmp4_init_filename init_%v.mp4 -hls_segment_filename s%v_%03d.m4s",
}


def ladder_files(kind: str, seconds: int) -> Path:
    """A folder with `master.m3u8` and all it names, complete; `kind` is aes or fmp4. Made once for all processes."""
    ffmpeg = tool("ffmpeg")
    command = f"{_SOURCES} -t {seconds} {_CODECS} {_HLS} {_KIND[kind]}"
    digest = hashlib.sha256(f"{command} {_MAP} {Path(__file__).read_text()}".encode()).hexdigest()[:12]
    folder = clips_folder() / f"ladder-{kind}-{seconds}-{digest}"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            part = Path(tempfile.mkdtemp(dir=folder.parent))
            (part / "key.bin").write_bytes(bytes(range(16)))
            (part / "key.info").write_text(f"key.bin\n{part / 'key.bin'}\n")
            arguments = [ffmpeg, "-hide_banner", "-nostdin", "-v", "error", *command.split(), "-var_stream_map", _MAP]
            subprocess.run([*arguments, "list_%v.m3u8"], cwd=part, check=True, timeout=120)
            _add_subtitles(part, seconds)
            part.rename(folder)
            shutil.rmtree(part, ignore_errors=True)
    return folder


def _add_subtitles(folder: Path, seconds: int) -> None:
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{SEGMENT_SECONDS}", "#EXT-X-MEDIA-SEQUENCE:0"]
    for at in range(seconds // SEGMENT_SECONDS):
        name = f"sub_{at:03}.vtt"
        begin, end = (f"00:{second // 60:02}:{second % 60:02}.000" for second in (at * 2, at * 2 + 2))
        (folder / name).write_text(
            f"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:126000,LOCAL:00:00:00.000\n\n{begin} --> {end}\nPart {at}\n"
        )
        lines += [f"#EXTINF:{SEGMENT_SECONDS}.0,", name]
    (folder / "list_sub.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    master = folder / "master.m3u8"
    text = master.read_text().replace('AUDIO="group_a"', 'AUDIO="group_a",SUBTITLES="subs"')
    rendition = '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="English",LANGUAGE="en",URI="list_sub.m3u8"\n'
    master.write_text(text.replace("#EXT-X-STREAM-INF", f"{rendition}#EXT-X-STREAM-INF", 1))


@dataclass
class Ladder:
    """Serves such a folder as a live channel: `window` segments are listed, the first of them at the start."""

    folder: Path
    window: int = 5
    polls: defaultdict[str, list[tuple[float, bytes]]] = field(default_factory=lambda: defaultdict(list))
    """Of each media playlist, when it was asked for (time.monotonic()) and what was answered."""

    def mount(self, origin: Origin, path: str) -> str:
        """Serve below `path`; the URL of the master playlist."""
        self._started = time.monotonic()
        origin.route(f"{path}/", self._serve)
        return origin.url(f"{path}/master.m3u8")

    def segments(self, name: str) -> list[str]:
        """The files of the media playlist `name`, by media sequence number."""
        return [line for line in (self.folder / name).read_text().splitlines() if line and not line.startswith("#")]

    def polled_in_time(self, target: float = SEGMENT_SECONDS, slack: float = 0.02) -> bool:
        """Was no playlist asked for again before its target duration was over, or half of it where nothing was new?"""
        for asked in self.polls.values():
            before = b""
            for (at, text), (later, _) in pairwise(asked):
                if later - at < (target if text != before else target / 2) - slack:
                    return False
                before = text
        return True

    async def _serve(self, exchange: Exchange) -> None:
        name = exchange.path.rsplit("/", 1)[1]
        file = self.folder / name
        if name.startswith("list_"):
            text = self._live(file.read_text()).encode()
            self.polls[name].append((time.monotonic(), text))
            await body(text, PLAYLIST)(exchange)
        elif file.is_file():
            await body(file.read_bytes(), TYPES.get(file.suffix, "application/octet-stream"))(exchange)
        else:
            await status(404)(exchange)

    def _live(self, whole: str) -> str:
        """The part of a finished playlist that is live now."""
        first = int((time.monotonic() - self._started) / SEGMENT_SECONDS)
        head, *entries = whole.removesuffix("#EXT-X-ENDLIST\n").split("#EXTINF:")
        first = min(first, len(entries) - self.window)
        head = head.replace("#EXT-X-MEDIA-SEQUENCE:0", f"#EXT-X-MEDIA-SEQUENCE:{first}")
        head = head.replace("#EXT-X-PLAYLIST-TYPE:VOD\n", "")
        return head + "".join(f"#EXTINF:{entry}" for entry in entries[first : first + self.window])
