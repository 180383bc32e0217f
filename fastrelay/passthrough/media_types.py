"""The content type of a passed-through resource: the source's, if it is one of media, else by its name. Pure.

Never a type that a browser would run: what comes from a source is served under the same name as the dashboard.
"""

import re

_TYPE = re.compile(r"\s*([\w.+-]+/[\w.+-]+)\s*(?:;.*)?", re.DOTALL)
_TRUSTED = re.compile(
    r"(?:video|audio)/[\w.+-]+|application/(?:mp4|json|ttml\+xml)|text/vtt|image/(?:jpeg|png|webp)", re.IGNORECASE
)
_BY_EXTENSION = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".ts": "video/mp2t",
    ".m4s": "video/iso.segment",
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".cmfv": "video/mp4",
    ".m4a": "audio/mp4",
    ".cmfa": "audio/mp4",
    ".cmft": "application/mp4",
    ".aac": "audio/aac",
    ".ac3": "audio/ac3",
    ".ec3": "audio/eac3",
    ".mp3": "audio/mpeg",
    ".vtt": "text/vtt",
    ".webvtt": "text/vtt",
    ".ttml": "application/ttml+xml",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".json": "application/json",
}
_UNKNOWN = "application/octet-stream"


def media_type(given: str, name: str) -> str:
    """The type of `name`, which the source calls `given` (empty where it says nothing)."""
    found = _TYPE.fullmatch(given)
    if found is not None and _TRUSTED.fullmatch(found[1]):
        return found[1].lower()
    return _BY_EXTENSION.get(name[name.rfind(".") :], _UNKNOWN)
