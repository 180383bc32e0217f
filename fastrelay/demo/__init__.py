"""The embedded demo channel: a short clip that loops without a seam, made by `scripts/make-demo-clip`."""

from pathlib import Path


def clip_path() -> Path:
    """The clip as MPEG-TS: H.264 640x360 at 25 Hz and AAC, 8 s, a closed GOP per second."""
    return Path(__file__).with_name("clip.ts")


def demo_clip() -> bytes:
    """Its bytes."""
    return clip_path().read_bytes()
