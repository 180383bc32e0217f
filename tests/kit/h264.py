"""The smallest H.264 that really decodes: grey pictures of whole macroblocks, Annex B, Baseline (ITU-T H.264 §7.3)."""

ACCESS_UNIT_DELIMITER = b"\x00\x00\x00\x01\x09\xf0"
FILLER = b"\x00\x00\x00\x01\x0c"
"""Start of a filler NAL unit (type 12): decoders skip what follows, up to the next start code."""


def _ue(value: int) -> str:
    bits = f"{value + 1:b}"
    return "0" * (len(bits) - 1) + bits


def _nal(header: int, bits: str) -> bytes:
    """One NAL unit with start code, stop bit and emulation prevention bytes."""
    bits += "1"
    bits += "0" * (-len(bits) % 8)
    unit = bytearray(b"\x00\x00\x00\x01")
    unit.append(header)
    zeros = 0
    for byte in int(bits, 2).to_bytes(len(bits) // 8, "big"):
        if zeros >= 2 and byte <= 3:
            unit.append(3)
            zeros = 0
        unit.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(unit)


def parameter_sets(columns: int, rows: int) -> bytes:
    """SPS and PPS of pictures of columns x rows macroblocks (16 pixels each), 8 bits of frame_num, no reordering."""
    sps = f"{66:08b}{0xC0:08b}{10:08b}" + _ue(0) + _ue(4) + _ue(2) + _ue(1) + "0"
    sps += _ue(columns - 1) + _ue(rows - 1) + "1100"
    pps = _ue(0) + _ue(0) + "00" + _ue(0) * 3 + "000" + _ue(0) * 3 + "100"
    return _nal(0x67, sps) + _nal(0x68, pps)


def idr_slice(columns: int, rows: int, idr_pic_id: int) -> bytes:
    """An IDR picture of grey: every macroblock is Intra 16x16, DC prediction, without residual (8 bits)."""
    header = _ue(0) + _ue(7) + _ue(0) + f"{0:08b}" + _ue(idr_pic_id) + "00" + _ue(0) + _ue(1)
    macroblock = _ue(3) + _ue(0) + _ue(0) + "1"
    return _nal(0x65, header + macroblock * (columns * rows))


def skipped_slice(columns: int, rows: int, frame_num: int) -> bytes:
    """A P picture that repeats the one before it: all its macroblocks are skipped."""
    header = _ue(0) + _ue(5) + _ue(0) + f"{frame_num % 256:08b}" + "000" + _ue(0) + _ue(1)
    return _nal(0x41, header + _ue(columns * rows))
