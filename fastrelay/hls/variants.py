"""Which variant of a master playlist can be relayed as one transport stream."""

from fastrelay.errors import FormatError
from fastrelay.hls.m3u8 import Master, Variant

_VIDEO_CODECS = ("avc", "hvc", "hev", "dvh", "dva", "av01", "vp", "mp4v")


def best_variant(master: Master) -> Variant:
    """The variant of highest bandwidth whose audio is muxed in; the first of equals.

    A variant with sound only is never preferred to picture: it is meant for bad networks. Raises FormatError when
    every choice has its audio in a rendition of its own.
    """
    if not master.variants:
        raise FormatError("the master playlist names no variant")
    pictured = [variant for variant in master.variants if _has_video(variant)]
    muxed = [variant for variant in pictured or master.variants if _has_own_audio(master, variant)]
    if not muxed:
        raise FormatError("audio and video come in separate playlists, only the HLS passthrough can relay that")
    return max(muxed, key=lambda variant: variant.bandwidth)


def _has_video(variant: Variant) -> bool:
    return variant.resolution is not None or any(codec.lower().startswith(_VIDEO_CODECS) for codec in variant.codecs)


def _has_own_audio(master: Master, variant: Variant) -> bool:
    """A rendition without a URI is contained in the variant itself (RFC 8216 §4.3.4.2.1)."""
    group = [one for one in master.renditions if one.kind == "AUDIO" and one.group == variant.audio]
    return not group or any(one.uri is None for one in group)
