"""Small clips made by ffmpeg when a test first asks, and what ffmpeg and ffprobe say about a file or a URL."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

_PICTURE = "-f lavfi -i testsrc2=size={size}:rate=25"
_SOUND = "-f lavfi -i sine=frequency=440:sample_rate=48000"
_H264 = "-c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -b:v 400k -sc_threshold 0"
_B_FRAMES = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -b:v 400k -bf 3"
_ODD_RATE = "-f lavfi -i testsrc2=size=320x180:rate=50,select='lt(mod(n\\,100)\\,40)+not(mod(n\\,7))'"
"""Now 50 pictures a second, now 7."""
_AAC = "-c:a aac -b:a 64k -ac 2"
_TS = "-t 12 -f mpegts"


def _h264(gop: int, size: str = "320x180", muxer: str = "") -> str:
    keys = f"-g {gop * 25} -keyint_min {gop * 25}"
    return f"{_PICTURE.format(size=size)} {_SOUND} {_H264} {keys} {_AAC} {muxer} {_TS}"


RECIPES = {
    "h264_gop1": _h264(1),
    "h264_gop5": _h264(5),
    "h264_gop10": _h264(10),
    "h264_other": _h264(1, "480x270", "-mpegts_start_pid 0x200 -mpegts_pmt_start_pid 0x50 -mpegts_service_id 7"),
    "hevc": f"{_PICTURE.format(size='320x180')} {_SOUND} -c:v libx265 -preset ultrafast -g 25 "
    f"-x265-params log-level=none:keyint=25:min-keyint=25:scenecut=0 {_AAC} {_TS}",
    "mpeg2": f"{_PICTURE.format(size='320x180')} {_SOUND} -c:v mpeg2video -g 25 -b:v 600k -c:a mp2 -b:a 128k {_TS}",
    "audio": f"{_SOUND} {_AAC} {_TS}",
    "h264_open_gop": f"{_PICTURE.format(size='320x180')} {_SOUND} {_B_FRAMES} "
    f"-x264-params open-gop=1:keyint=50:min-keyint=50:scenecut=0 {_AAC} {_TS}",
    "h264_wrap": f"{_PICTURE.format(size='320x180')} {_SOUND} {_B_FRAMES} -g 50 {_AAC} -output_ts_offset 95436 {_TS}",
    "h264_odd_rate": f"{_ODD_RATE} {_SOUND} {_B_FRAMES} -fps_mode vfr -g 30 {_AAC} {_TS}",
    "h264_mbaff": f"{_PICTURE.format(size='320x180')} {_B_FRAMES} -x264-params interlaced=1:tff=1:keyint=50 {_TS}",
    "mpeg2_fields": f"{_PICTURE.format(size='720x576')} {_SOUND} -c:v mpeg2video -flags +ildct+ilme -g 15 -bf 2 "
    f"-b:v 2M -c:a ac3 {_TS}",
    "audio_mp2": f"{_SOUND} -c:a mp2 -b:a 128k {_TS}",
    "audio_ac3": f"{_SOUND} -c:a ac3 -b:a 192k {_TS}",
    "unlike_programs": f"{_PICTURE.format(size='320x180')} {_SOUND} -map 0:v -map 1:a -map 0:v -map 1:a {_H264} -g 25 "
    f"-c:v:1 mpeg2video -c:a:0 aac -c:a:1 mp2 -program program_num=1:st=0:st=1 -program program_num=2:st=2:st=3 {_TS}",
    "programs": f"{_PICTURE.format(size='320x180')} {_SOUND} -map 0:v -map 1:a -map 0:v -map 1:a {_H264} -g 25 {_AAC} "
    f"-program program_num=1:title=one:st=0:st=1 -program program_num=2:title=two:st=2:st=3 {_TS}",
}
"""Clips of 12 s at 25 frames per second, a key frame each second unless the name says otherwise."""


def tool(name: str) -> str:
    """The path of a program; skips the test where it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed: apt-get install ffmpeg")
    return path


def clips_folder() -> Path:
    """Clips are kept between sessions, per user; a clip's name carries its recipe, so that none is ever stale."""
    folder = Path(tempfile.gettempdir()) / f"fastrelay-clips-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    assert folder.stat().st_uid == os.getuid(), f"{folder} belongs to somebody else"
    return folder


def clip(name: str) -> Path:
    """A clip of `RECIPES`, made once for all processes; skips the test without ffmpeg."""
    ffmpeg, recipe = tool("ffmpeg"), RECIPES[name]
    path = clips_folder() / f"{name}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}.ts"
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            part = path.with_suffix(".part")
            command = [ffmpeg, "-hide_banner", "-nostdin", "-v", "error", "-y", *recipe.split(), str(part)]
            subprocess.run(command, check=True, timeout=60)
            part.rename(path)
    return path


def ffprobe(source: str | Path, *arguments: str, timeout: float = 20) -> dict[str, Any]:
    """What ffprobe says with these arguments, as JSON; raises when it fails or takes longer than `timeout` seconds."""
    command = [tool("ffprobe"), "-v", "error", *arguments, "-of", "json", str(source)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    assert result.returncode == 0, f"ffprobe {source}: {result.stderr}"
    parsed: dict[str, Any] = json.loads(result.stdout)
    return parsed


def ffprobe_packets(source: str | Path, seconds: float | None = None, timeout: float = 20) -> list[dict[str, Any]]:
    """Packets of all streams in file order, as ffprobe -show_packets; of a live URL, ask for some seconds of it."""
    interval = ("-read_intervals", f"%+{seconds}") if seconds else ()
    packets: list[dict[str, Any]] = ffprobe(source, *interval, "-show_packets", timeout=timeout)["packets"]
    return packets


def ffmpeg_decode(source: str | Path, seconds: float | None = None, timeout: float = 30) -> tuple[int, str]:
    """Decode all streams (the first `seconds`): the number of video frames, and all that ffmpeg complained about."""
    limit = ("-t", str(seconds)) if seconds else ()
    command = [tool("ffmpeg"), "-hide_banner", "-nostdin", "-nostats", "-v", "warning", "-progress", "pipe:1"]
    command += ["-i", str(source), *limit, "-f", "null", "-"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    frames = re.findall(r"^frame=\s*(\d+)", result.stdout, re.MULTILINE)
    return int(frames[-1]) if frames else 0, result.stderr
