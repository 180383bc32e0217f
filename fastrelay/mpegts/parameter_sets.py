"""What video says about itself in front of its pictures: profile, picture size, frame rate."""

from collections.abc import Callable
from typing import NamedTuple

from fastrelay.mpegts.bits import Bits, unescaped


class VideoHeader(NamedTuple):
    """`codec` as RFC 6381 and ISO 14496-15 annex E write it; `frame_rate` in pictures per second, None if not told."""

    codec: str
    width: int
    height: int
    frame_rate: float | None


def parse_h264_sps(unit: bytes) -> VideoHeader | None:
    """What a sequence parameter set (ISO 14496-10 §7.3.2.1.1), NAL header included, says; None if it is damaged."""
    return _parsed(_h264_sps, unit)


def parse_hevc_sps(unit: bytes) -> VideoHeader | None:
    """The same for a sequence parameter set of HEVC (ISO 23008-2 §7.3.2.2)."""
    return _parsed(_hevc_sps, unit)


def _parsed(parse: Callable[[bytes], VideoHeader], unit: bytes) -> VideoHeader | None:
    try:
        header = parse(unescaped(unit))
    except EOFError:
        return None
    # Damaged bits may well read as a picture of which more is cropped than there is.
    return header if header.width > 0 and header.height > 0 else None


_WITH_CHROMA = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
"""Profiles of H.264 whose parameter sets tell the chroma format."""

_SUBSAMPLING = {0: (1, 1), 1: (2, 2), 2: (2, 1), 3: (1, 1)}
"""Luma samples per chroma sample, across and down, by chroma_format_idc."""

_FASTEST = 300
"""Pictures per second (level 6.2 of H.264 and HEVC)."""


def _h264_sps(data: bytes) -> VideoHeader:
    bits = Bits(data)
    bits.skip(8)
    profile, constraints, level = bits.u(8), bits.u(8), bits.u(8)
    bits.skip_ue(1)
    chroma = _h264_chroma(bits) if profile in _WITH_CHROMA else 1
    bits.skip_ue(1)
    order = bits.ue()
    if order == 0:
        bits.skip_ue(1)
    elif order == 1:
        bits.skip(1)
        bits.skip_ue(2)
        bits.skip_ue(min(bits.ue(), 255))
    bits.skip_ue(1)
    bits.skip(1)
    across, down = bits.ue() + 1, bits.ue() + 1
    only_frames = bits.flag()
    if not only_frames:
        bits.skip(1)
    bits.skip(1)
    fields = 1 if only_frames else 2
    unit_x, unit_y = _SUBSAMPLING[chroma]
    left, right, top, bottom = (bits.ue() for _ in range(4)) if bits.flag() else (0, 0, 0, 0)
    return VideoHeader(
        f"avc1.{profile:02x}{constraints:02x}{level:02x}",
        16 * across - unit_x * (left + right),
        16 * down * fields - unit_y * fields * (top + bottom),
        _h264_frame_rate(bits),
    )


def _h264_chroma(bits: Bits) -> int:
    """chroma_format_idc, and on past the scaling lists."""
    chroma = bits.ue() & 3
    # With separate_colour_plane_flag cropping counts luma samples, as in 4:4:4.
    if chroma == 3:
        bits.skip(1)
    bits.skip_ue(2)
    bits.skip(1)
    if bits.flag():
        for index in range(12 if chroma == 3 else 8):
            if bits.flag():
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return chroma


def _skip_scaling_list(bits: Bits, size: int) -> None:
    """§7.3.2.1.1.1: the list ends where a delta makes the next scale 0."""
    scale = 8
    for _ in range(size):
        scale = (scale + bits.se()) % 256
        if scale == 0:
            return


def _skip_picture_look(bits: Bits) -> None:
    """Aspect ratio, overscan and colours: the same bits in front of the VUI of both (§E.1.1)."""
    if bits.flag() and bits.u(8) == 255:
        bits.skip(32)
    if bits.flag():
        bits.skip(1)
    if bits.flag():
        bits.skip(4)
        if bits.flag():
            bits.skip(24)
    if bits.flag():
        bits.skip_ue(2)


def _h264_frame_rate(bits: Bits) -> float | None:
    try:
        if not bits.flag():
            return None
        _skip_picture_look(bits)
        if not bits.flag():
            return None
        units, scale = bits.u(32), bits.u(32)
    except EOFError:
        return None
    # The clock ticks once per field (§E.2.1), also where there are only frames.
    return _plausible(scale, 2 * units)


def _plausible(scale: int, units: int) -> float | None:
    """Some encoders write their time base where the picture rate belongs."""
    return scale / units if 0 < units <= scale <= _FASTEST * units else None


def _hevc_sps(data: bytes) -> VideoHeader:
    bits = Bits(data)
    bits.skip(16 + 4)
    sub_layers = bits.u(3) + 1
    bits.skip(1)
    codec = _hevc_profile(bits, sub_layers)
    bits.skip_ue(1)
    chroma = bits.ue() & 3
    if chroma == 3:
        bits.skip(1)
    width, height = bits.ue(), bits.ue()
    unit_x, unit_y = _SUBSAMPLING[chroma]
    left, right, top, bottom = (bits.ue() for _ in range(4)) if bits.flag() else (0, 0, 0, 0)
    try:
        frame_rate = _hevc_frame_rate(bits, sub_layers)
    except EOFError:
        frame_rate = None
    return VideoHeader(codec, width - unit_x * (left + right), height - unit_y * (top + bottom), frame_rate)


def _hevc_profile(bits: Bits, sub_layers: int) -> str:
    """The profile_tier_level structure (§7.3.3) as ISO 14496-15 §E.3 writes it."""
    space, tier, profile = bits.u(2), bits.u(1), bits.u(5)
    compatible = int(f"{bits.u(32):032b}"[::-1], 2)
    constraints = bits.u(48).to_bytes(6).rstrip(b"\x00")
    level = bits.u(8)
    present = [(bits.flag(), bits.flag()) for _ in range(sub_layers - 1)]
    if present:
        bits.skip(2 * (8 - len(present)))
    for has_profile, has_level in present:
        bits.skip(88 * has_profile + 8 * has_level)
    parts = [f"{('', 'A', 'B', 'C')[space]}{profile}", f"{compatible:X}", f"{'LH'[tier]}{level}"]
    return ".".join(["hvc1", *parts, *(f"{byte:X}" for byte in constraints)])


def _hevc_frame_rate(bits: Bits, sub_layers: int) -> float | None:
    """On from behind the cropping to the timing of the VUI (§E.2.1)."""
    bits.skip_ue(2)
    order_bits = bits.ue() + 4
    bits.skip_ue(3 * (sub_layers if bits.flag() else 1))
    bits.skip_ue(6)
    if bits.flag() and bits.flag():
        _skip_hevc_scaling_lists(bits)
    bits.skip(2)
    if bits.flag():
        bits.skip(8)
        bits.skip_ue(2)
        bits.skip(1)
    _skip_reference_sets(bits)
    if bits.flag():
        bits.skip((order_bits + 1) * bits.ue())
    bits.skip(2)
    if not bits.flag():
        return None
    _skip_picture_look(bits)
    bits.skip(3)
    if bits.flag():
        bits.skip_ue(4)
    if not bits.flag():
        return None
    units, scale = bits.u(32), bits.u(32)
    return _plausible(scale, units)


def _skip_hevc_scaling_lists(bits: Bits) -> None:
    """§7.3.4."""
    for size in range(4):
        for _ in range(2 if size == 3 else 6):
            if not bits.flag():
                bits.skip_ue(1)
            else:
                bits.skip_ue(min(64, 1 << 4 + 2 * size) + (size > 1))


def _skip_reference_sets(bits: Bits) -> None:
    """The short-term reference picture sets (§7.3.7); one may be told as its difference to the one before."""
    pictures = 0
    for index in range(min(bits.ue(), 64)):
        if index and bits.flag():
            bits.skip(1)
            bits.skip_ue(1)
            # used_by_curr_pic_flag, and use_delta_flag where that is 0, which keeps a picture or drops it.
            pictures = sum(bits.flag() or bits.flag() for _ in range(pictures + 1))
        else:
            pictures = bits.ue() + bits.ue()
            for _ in range(min(pictures, 64)):
                bits.skip_ue(1)
                bits.skip(1)


_MPEG_FRAME_RATES = (None, 24000 / 1001, 24.0, 25.0, 30000 / 1001, 30.0, 50.0, 60000 / 1001, 60.0)
"""By frame_rate_code (ISO 13818-2 table 6-4)."""


def parse_sequence_header(unit: bytes, mpeg1: bool) -> VideoHeader | None:
    """What a sequence header of MPEG-1 or MPEG-2 video (ISO 13818-2 §6.2.2.1), its start code value included, says.

    None if it is cut off.
    """
    if len(unit) < 5:
        return None
    bits = Bits(unit[1:5])
    width, height = bits.u(12), bits.u(12)
    bits.skip(4)
    code = bits.u(4)
    frame_rate = _MPEG_FRAME_RATES[code] if code < len(_MPEG_FRAME_RATES) else None
    # Object types of the MP4 registration authority: MPEG-1 video, MPEG-2 video of the main profile.
    return VideoHeader("mp4v.6a" if mpeg1 else "mp4v.61", width, height, frame_rate)
