"""The splice, read back with a parser that knows nothing of the code under test."""

import json
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.demo import demo_clip
from fastrelay.mpegts.splice import Splicer
from tests.media import media

STUFFING = b"\xff"


def crc_by_the_book(data: bytes) -> int:
    """ISO 13818-1 annex A, bit by bit."""
    register = 0xFFFFFFFF
    for byte in data:
        for bit in range(7, -1, -1):
            feedback = register >> 31 ^ (byte >> bit & 1)
            register = register << 1 & 0xFFFFFFFF ^ (0x04C11DB7 if feedback else 0)
    return register


def section(table: int, extension: int, version: int, body: bytes, current: bool = True) -> bytes:
    head = bytes([table, 0xB0 | (len(body) + 9) >> 8, (len(body) + 9) & 0xFF])
    head += extension.to_bytes(2) + bytes([0xC0 | version << 1 | current, 0, 0])
    return head + body + crc_by_the_book(head + body).to_bytes(4)


def pat(version: int, *pmt_pids: int, stream: int = 1, current: bool = True) -> bytes:
    programs = b"".join(n.to_bytes(2) + (0xE000 | pid).to_bytes(2) for n, pid in enumerate(pmt_pids, 1))
    return section(0, stream, version, programs, current)


def pmt(version: int, program: int = 1, pcr_pid: int = 0x100, size: int = 5) -> bytes:
    return section(2, program, version, (0xE000 | pcr_pid).to_bytes(2) + b"\xf0\x00" + bytes(range(65, 65 + size)))


def packet(pid: int, counter: int, payload: bytes, start: bool = False, field: bytes | None = None) -> bytes:
    """A packet; `field` is the adaptation field behind its length byte, made longer to fill the packet."""
    room = 184 - len(payload)
    if room and field is None:
        field = b"" if room == 1 else b"\x00"
    control = 0x10 * bool(payload) | (0x20 if field is not None else 0)
    packed = b"" if field is None else bytes([room - 1]) + field.ljust(room - 1, STUFFING)
    out = bytes([0x47, start << 6 | pid >> 8, pid & 0xFF, control | counter & 15]) + packed + payload
    assert len(out) == 188
    return out


def table(pid: int, counter: int, *sections: bytes) -> bytes:
    return packet(pid, counter, (b"\0" + b"".join(sections)).ljust(184, STUFFING), start=True)


def video(pid: int, counter: int) -> bytes:
    return packet(pid, counter, b"v" * 184)


def clock(pid: int, counter: int) -> bytes:
    return packet(pid, counter, b"c" * 176, field=b"\x10" + bytes(6))


def cut(stream: bytes) -> list[bytes]:
    assert len(stream) % 188 == 0
    return [stream[at : at + 188] for at in range(0, len(stream), 188)]


def pid_of(one: bytes) -> int:
    return (one[1] & 0x1F) << 8 | one[2]


def payload_of(one: bytes) -> bytes:
    if not one[3] & 0x10:
        return b""
    return one[5 + one[4] :] if one[3] & 0x20 else one[4:]


def marked(one: bytes) -> bool:
    return bool(one[3] & 0x20 and one[4] and one[5] & 0x80)


def sections(stream: bytes, pid: int) -> list[bytes]:
    """All whole sections of a PID, in order; repeated packets once."""
    found: list[bytes] = []
    gathered = b""
    last = b""
    for one in cut(stream):
        payload = payload_of(one)
        if pid_of(one) != pid or not payload or one == last:
            continue
        last = one
        if one[1] & 0x40:
            found += whole(gathered + payload[1 : 1 + payload[0]])
            gathered, payload = b"", payload[1 + payload[0] :]
        gathered += payload
    return found + whole(gathered)


def whole(data: bytes) -> list[bytes]:
    found = []
    while len(data) >= 3 and data[0] != 0xFF:
        size = 3 + ((data[1] & 0x0F) << 8 | data[2])
        if len(data) < size:
            break
        found.append(data[:size])
        data = data[size:]
    return found


def version(one: bytes) -> int:
    assert crc_by_the_book(one) == 0, "the CRC over a whole section is 0"
    return one[5] >> 1 & 0x1F


def versions(stream: bytes, pid: int) -> list[int]:
    return [version(one) for one in sections(stream, pid)]


def run(splicer: Splicer, *packets: bytes, by: int = 100) -> bytes:
    stream = b"".join(packets)
    return b"".join(bytes(splicer.rewrite(stream[at : at + by * 188])) for at in range(0, len(stream), by * 188))


@pytest.fixture
def splicer() -> Splicer:
    return Splicer()


def test_before_a_splice_the_input_itself_comes_out(splicer: Splicer) -> None:
    stream = table(0, 0, pat(3, 0x50)) + table(0x50, 0, pmt(4)) + video(0x100, 0)
    assert splicer.rewrite(stream) is stream
    view = memoryview(stream)
    assert splicer.rewrite(view) is view
    assert len(splicer.rewrite(b"")) == 0


def test_versions_go_on_from_those_sent(splicer: Splicer) -> None:
    run(splicer, table(0, 0, pat(3, 0x50)), table(0x50, 0, pmt(31)))
    splicer.splice()
    out = run(splicer, table(0, 7, pat(20, 0x60)), table(0x60, 7, pmt(20)))
    assert (versions(out, 0), versions(out, 0x60)) == ([4], [0])
    splicer.splice()
    out = run(splicer, table(0, 0, pat(5, 0x50)), table(0x50, 0, pmt(0)))
    assert (versions(out, 0), versions(out, 0x50)) == ([5], [1])


def test_the_same_source_again_gets_new_versions_too(splicer: Splicer) -> None:
    source = table(0, 0, pat(0, 0x50)) + table(0x50, 0, pmt(0))
    run(splicer, source)
    for expected in (1, 2, 3):
        splicer.splice()
        out = run(splicer, source)
        assert (versions(out, 0), versions(out, 0x50)) == ([expected], [expected])


def test_a_change_of_the_source_stays_a_change(splicer: Splicer) -> None:
    run(splicer, table(0, 0, pat(0, 0x50)), table(0x50, 0, pmt(9)))
    splicer.splice()
    out = run(
        splicer,
        table(0, 0, pat(2, 0x50)),
        *[table(0x50, n, pmt(v)) for n, v in enumerate((30, 30, 31, 0))],
        table(0, 1, pat(3, 0x50)),
    )
    assert versions(out, 0x50) == [10, 10, 11, 12]
    assert versions(out, 0) == [1, 2]


def test_after_a_splice_every_program_has_a_version_that_none_had(splicer: Splicer) -> None:
    run(splicer, table(0, 0, pat(0, 0x50, 0x51)), table(0x50, 0, pmt(3, 1)), table(0x51, 0, pmt(8, 2)))
    splicer.splice()
    out = run(splicer, table(0, 0, pat(0, 0x50, 0x51)), table(0x51, 0, pmt(1, 2)), table(0x50, 0, pmt(1, 1)))
    assert (versions(out, 0x50), versions(out, 0x51)) == ([9], [9])


def test_back_and_forth_between_two_sources_every_switch_shows_another_version(splicer: Splicer) -> None:
    seen = []
    for program in (1, 7, 1, 7, 1):
        out = run(splicer, table(0, 0, pat(0, 0x50)), table(0x50, 0, pmt(0, program)))
        seen.append((versions(out, 0), versions(out, 0x50)))
        splicer.splice()
    assert seen == [([number], [number]) for number in range(5)]


def test_a_number_that_any_program_had_is_passed_over(splicer: Splicer) -> None:
    run(splicer, table(0, 0, pat(0, 0x50, 0x51)), table(0x50, 0, pmt(4, 1)), table(0x51, 0, pmt(3, 2)))
    splicer.splice()
    out = run(splicer, table(0, 0, pat(0, 0x50, 0x51)), table(0x50, 0, pmt(0, 1)))
    assert versions(out, 0x50) == [5]


def test_a_table_never_sent_follows_the_last_of_its_kind(splicer: Splicer) -> None:
    run(splicer, table(0, 0, pat(0, 0x50, stream=1)), table(0x50, 0, pmt(6, program=1)))
    splicer.splice()
    out = run(splicer, table(0, 0, pat(0, 0x50, stream=2)), table(0x50, 0, pmt(6, program=2)))
    assert (versions(out, 0), versions(out, 0x50)) == ([1], [7])


def test_the_id_of_the_stream_stays_over_all_splices(splicer: Splicer) -> None:
    """VLC takes no PAT with another transport_stream_id."""
    run(splicer, table(0, 0, pat(0, 0x50, stream=0x1234)))
    for stream in (0x0002, 0xFF00):
        splicer.splice()
        out = run(splicer, table(0, 0, pat(5, 0x50, stream=stream)))
        (found,) = sections(out, 0)
        assert found[3:5] == b"\x12\x34"
        assert crc_by_the_book(found) == 0


def test_a_table_announced_ahead_does_not_shift_the_one_in_force(splicer: Splicer) -> None:
    run(splicer, table(0, 0, pat(7, 0x50)))
    splicer.splice()
    out = run(splicer, table(0, 0, pat(1, 0x50, current=False), pat(0, 0x50), pat(1, 0x50)))
    assert versions(out, 0) == [9, 8, 9]


def test_a_pmt_of_the_old_source_is_no_pmt_of_the_new(splicer: Splicer) -> None:
    run(splicer, table(0, 0, pat(0, 0x50)), table(0x50, 0, pmt(0)))
    splicer.splice()
    stranger = table(0x50, 1, pmt(0))
    out = run(splicer, table(0, 1, pat(0, 0x60)), stranger)
    assert versions(out, 0x50) == [0]


def test_foreign_sections_and_broken_crcs_are_left_as_they_are(splicer: Splicer) -> None:
    run(splicer, table(0, 0, pat(0, 0x50)), table(0x50, 0, pmt(0)))
    splicer.splice()
    foreign = section(0xFC, 1, 0, b"splice information")
    broken = pmt(0)[:-1] + b"?"
    out = run(splicer, table(0, 0, pat(0, 0x50)), table(0x50, 0, foreign, broken))
    first, second = sections(out, 0x50)
    assert first == foreign
    assert crc_by_the_book(second) == crc_by_the_book(broken) != 0


def test_a_lost_packet_inside_a_section_harms_no_other_bytes(splicer: Splicer) -> None:
    long = pmt(0, size=180)
    start, rest = b"\0" + long[:183], long[183:].ljust(184, STUFFING)
    run(splicer, table(0, 0, pat(0, 0x50)), table(0x50, 0, pmt(5)))
    splicer.splice()
    head = table(0, 0, pat(0, 0x50)) + packet(0x50, 0, start, start=True)
    late = packet(0x50, 2, rest)
    out = run(splicer, head, late)
    assert cut(out)[-1] == late


def test_a_packet_sent_twice_changes_twice(splicer: Splicer) -> None:
    long = pmt(0, size=180)
    halves = packet(0x50, 0, b"\0" + long[:183], start=True), packet(0x50, 1, long[183:].ljust(184, STUFFING))
    run(splicer, table(0, 0, pat(0, 0x50)), table(0x50, 0, pmt(0)))
    splicer.splice()
    run(splicer, table(0, 0, pat(0, 0x50)))
    first, again, second, second_again = cut(run(splicer, halves[0], halves[0], halves[1], halves[1]))[1:]
    assert first == again != halves[0]
    assert second == second_again != halves[1]
    assert versions(first + second, 0x50) == [1]


def test_every_pid_is_marked_once(splicer: Splicer) -> None:
    run(splicer, table(0, 0, pat(0, 0x50)), table(0x50, 0, pmt(0)), video(0x100, 0))
    splicer.splice()
    source = [table(0, 4, pat(0, 0x50)), table(0x50, 4, pmt(0)), clock(0x100, 9), video(0x101, 0), video(0x1FFF, 0)]
    source += [video(0x100, 10), video(0x101, 1), packet(0x102, 3, b"a" * 100), video(0x102, 4)]
    out = cut(run(splicer, *source, by=3))
    assert [(pid_of(one), marked(one), one[3] & 15) for one in out] == [
        (0, True, 3),
        (0, False, 4),
        (0x50, True, 3),
        (0x50, False, 4),
        (0x100, True, 9),
        (0x101, True, 15),
        (0x101, False, 0),
        (0x1FFF, False, 0),
        (0x100, False, 10),
        (0x101, False, 1),
        (0x102, True, 3),
        (0x102, False, 4),
    ]
    inserted = [one for one in out if not one[3] & 0x10]
    assert all(one[3] & 0x30 == 0x20 and one[4] == 183 and one[5] == 0x80 for one in inserted)
    assert [payload_of(one) for one in out if one not in inserted and pid_of(one) >= 0x100] == [
        payload_of(one) for one in source[2:]
    ]


def test_the_first_pcr_is_marked_where_the_first_packet_has_none(splicer: Splicer) -> None:
    splicer.splice()
    tables = table(0, 0, pat(0, 0x50)) + table(0x50, 0, pmt(0, pcr_pid=0x100))
    out = run(
        splicer, tables, video(0x100, 0), video(0x100, 1), clock(0x100, 2), clock(0x100, 3), clock(0x101, 0), by=4
    )
    assert [marked(one) for one in cut(out) if pid_of(one) == 0x100] == [True, False, False, True, False]
    assert not marked(run(splicer, clock(0x100, 4)))


def test_an_empty_adaptation_field_has_no_room_for_the_mark(splicer: Splicer) -> None:
    splicer.splice()
    cramped = packet(0x100, 0, b"v" * 183)
    out = cut(run(splicer, cramped))
    assert out[1] == cramped
    assert marked(out[0]) and out[0][3] == 0x2F


def test_once_all_is_marked_and_no_table_shifts_the_input_itself_comes_out(splicer: Splicer) -> None:
    splicer.splice()
    run(splicer, table(0, 0, pat(0, 0x50)), table(0x50, 0, pmt(0)), video(0x100, 0))
    more = table(0, 1, pat(0, 0x50)) + video(0x100, 1)
    assert splicer.rewrite(more) is more


def packed(pid: int, tables: list[bytes], paddings: list[int]) -> bytes:
    """Sections one after the other in packets with adaptation fields of any size: they straddle wherever they like."""
    data = b"".join(tables)
    borders = {sum(map(len, tables[:n])) for n in range(len(tables))}
    out, at, counter = b"", 0, 0
    while at < len(data):
        room = 184 - paddings[counter % len(paddings)]
        starts = [border for border in borders if at <= border < at + room - 1]
        if starts:
            part = data[at : at + room - 1]
            payload = bytes([min(starts) - at]) + part
        else:
            payload = part = data[at : at + room]
        at += len(part)
        tail = room - len(payload)
        out += packet(pid, counter, payload + STUFFING * tail, start=bool(starts))
        counter += 1
    return out


@given(
    sizes=st.lists(st.integers(0, 180), min_size=1, max_size=6),
    paddings=st.lists(st.integers(0, 175), min_size=1, max_size=4),
    source_version=st.integers(0, 31),
    sent_version=st.integers(0, 31),
    by=st.integers(1, 5),
)
@settings(deadline=None, max_examples=150)
def test_sections_may_straddle_packets_anyhow(
    sizes: list[int], paddings: list[int], source_version: int, sent_version: int, by: int
) -> None:
    splicer = Splicer()
    run(splicer, table(0, 0, pat(0, 0x50)), table(0x50, 0, pmt(sent_version)))
    splicer.splice()
    run(splicer, table(0, 0, pat(0, 0x50)))
    tables = [pmt(source_version, size=size) for size in sizes]
    source = packed(0x50, tables, paddings)
    assert sections(source, 0x50) == tables, "the packing itself"
    out = run(splicer, source, by=by)
    assert versions(out, 0x50) == [(sent_version + 1) % 32] * len(tables)
    assert [one[:5] + one[6:-4] for one in sections(out, 0x50)] == [one[:5] + one[6:-4] for one in tables]


# Real clips and a real decoder.


def ffmpeg(*arguments: str | Path) -> str:
    done = subprocess.run(
        ["ffmpeg", "-hide_banner", "-nostdin", *map(str, arguments)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def other_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """One second of another channel: resolution, PMT PID and all tables' versions are as in no other clip here."""
    path = tmp_path_factory.mktemp("clips") / "other.ts"
    ffmpeg(
        *("-v", "error", "-f", "lavfi", "-i", "testsrc=s=320x180:r=25:d=1", "-f", "lavfi", "-i", "sine=d=1"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2"),
        *("-mpegts_pmt_start_pid", "0x200", "-pat_period", "0.1", "-f", "mpegts", path),
    )
    return path.read_bytes()


def joined(*clips: bytes) -> bytes:
    splicer = Splicer()
    out = bytes(splicer.rewrite(clips[0]))
    for clip in clips[1:]:
        splicer.splice()
        out += run(splicer, clip, by=137)
    return out


def programs(stream: bytes) -> dict[int, list[int]]:
    """The version numbers of the PAT (key 0) and of the PMTs by their PIDs; every CRC is checked."""
    found = defaultdict(list, {0: versions(stream, 0)})
    pmt_pids = {(one[10] & 0x1F) << 8 | one[11] for one in sections(stream, 0)}
    for pid in pmt_pids:
        found[pid] = [version(one) for one in sections(stream, pid) if one[0] == 2]
    return found


def frames(path: Path) -> set[tuple[int, int, int]]:
    """(width, height, count) of the pictures that ffprobe decodes, errors being fatal."""
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "frame=width,height", "-of", "json", path],
        capture_output=True,
        text=True,
        timeout=60,
    )
    sizes = [(one["width"], one["height"]) for one in json.loads(done.stdout)["frames"] if "width" in one]
    return {(*size, sizes.count(size)) for size in sizes}


def test_a_decoder_goes_on_over_the_splice(other_clip: bytes, tmp_path: Path) -> None:
    demo = demo_clip()
    spliced = joined(demo, other_clip, demo)
    found = programs(spliced)
    assert found[0][0] == 0 and found[0][-1] == 2
    assert set(found[0x200]) == {1}
    assert found[0x1000] == sorted(found[0x1000]) and set(found[0x1000]) == {0, 2}
    path = tmp_path / "spliced.ts"
    path.write_bytes(spliced)
    assert frames(path) == {(640, 360, 400), (320, 180, 25)}
    log = ffmpeg("-v", "info", "-i", path, "-map", "0:v", "-fps_mode", "passthrough", "-f", "null", "-")
    assert "frame=  425" in log


def video_packets(path: Path) -> int:
    """How many pictures ffprobe finds, undecoded, in all streams there ever are."""
    entries = ("-show_entries", "packet=codec_type", "-of", "csv=p=0")
    done = subprocess.run(["ffprobe", "-v", "quiet", *entries, path], capture_output=True, text=True, timeout=60)
    return done.stdout.count("video")


def test_a_pmt_of_two_packets_from_the_air(tmp_path: Path) -> None:
    air = media("broadcast-no-idr/broadcast.ts").read_bytes()[: 188 * 8000]
    spliced = joined(air, demo_clip(), air)
    before, after = programs(air), programs(spliced)
    (pmt_pid,) = before.keys() - {0}
    (first,) = set(before[pmt_pid])
    assert len(sections(air, pmt_pid)[0]) > 184
    assert after[pmt_pid] == before[pmt_pid] + [(first + 2) % 32] * len(before[pmt_pid])
    assert after[0] == sorted(after[0]) and len(set(after[0])) == 3
    paths = [tmp_path / name for name in ("air.ts", "demo.ts", "spliced.ts")]
    for path, stream in zip(paths, (air, demo_clip(), spliced), strict=True):
        path.write_bytes(stream)
    in_air, in_demo, in_spliced = map(video_packets, paths)
    assert in_spliced == 2 * in_air + in_demo


def test_the_media_themselves_are_untouched(other_clip: bytes) -> None:
    spliced = joined(demo_clip(), other_clip)
    for pid in (0x100, 0x101):
        was = [payload_of(one) for one in cut(demo_clip() + other_clip) if pid_of(one) == pid]
        assert [payload_of(one) for one in cut(spliced) if pid_of(one) == pid and payload_of(one)] == was
