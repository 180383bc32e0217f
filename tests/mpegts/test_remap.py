"""Which PIDs and program numbers a source is sent with, after others have been."""

import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fastrelay.mpegts.marks import Scanner
from fastrelay.mpegts.psi import ElementaryStream, Program
from fastrelay.mpegts.remap import Lineup, Permutation, Remap
from fastrelay.mpegts.splice import Splicer
from tests.kit.clips import clip
from tests.mpegts.build import AAC, H264, HEVC, PRIVATE, Counters, descriptor, packet, pat, pmt, psi_packets

AC3 = descriptor(0x6A)
SUBTITLE = descriptor(0x59, b"deu\x10\x00\x01\x00\x01")


def language(code: bytes) -> bytes:
    return descriptor(0x0A, code + b"\x00")


def program(number: int, pmt_pid: int, *streams: tuple[int, int] | tuple[int, int, bytes], pcr: int = 0) -> Program:
    made = tuple(ElementaryStream(one[0], one[1], one[2] if len(one) > 2 else b"") for one in streams)
    return Program(number, pmt_pid, pcr or streams[0][0], made, 0)


def sent(remap: Remap, *pids: int) -> tuple[int, ...]:
    return tuple(map(remap.pids, pids))


def test_the_same_source_again_moves_nothing() -> None:
    source = program(1, 0x1000, (0x100, H264), (0x101, AAC))
    remap = Lineup().splice([source], [source])
    assert not remap.pids
    assert not remap.numbers


def test_tracks_take_the_pids_of_their_codec_and_programs_their_number() -> None:
    remap = Lineup().splice(
        [program(1, 0x1000, (0x100, H264), (0x101, AAC), (0x102, PRIVATE, AC3))],
        [program(7, 0x50, (0x60, H264), (0x61, PRIVATE, AC3), (0x62, AAC))],
    )
    assert sent(remap, 0x50, 0x60, 0x61, 0x62) == (0x1000, 0x100, 0x102, 0x101)
    assert remap.numbers(7) == 1


def test_swapped_pids_are_swapped_back() -> None:
    remap = Lineup().splice(
        [program(1, 0x1000, (0x100, H264), (0x101, AAC))], [program(1, 0x1000, (0x101, H264), (0x100, AAC))]
    )
    assert sent(remap, 0x101, 0x100) == (0x100, 0x101)


def test_a_language_finds_its_own() -> None:
    remap = Lineup().splice(
        [program(1, 0x1000, (0x100, H264), (0x101, AAC, language(b"fra")), (0x102, AAC, language(b"eng")))],
        [program(1, 0x1000, (0x100, H264), (0x201, AAC, language(b"eng")), (0x202, AAC, language(b"deu")))],
    )
    assert sent(remap, 0x201, 0x202) == (0x102, 0x101)


def test_of_several_without_their_language_the_first_takes_the_first() -> None:
    remap = Lineup().splice(
        [program(1, 0x1000, (0x100, H264), (0x101, AAC, language(b"fra")), (0x102, AAC, language(b"eng")))],
        [program(1, 0x1000, (0x100, H264), (0x201, AAC, language(b"deu")), (0x202, AAC, language(b"ita")))],
    )
    assert sent(remap, 0x201, 0x202) == (0x101, 0x102)


def test_a_pid_never_comes_to_mean_another_codec() -> None:
    """Subtitles on the PID that a decoder was opened for as AC-3 get another; also in the source after."""
    lineup = Lineup()
    first = program(1, 0x1000, (0x100, H264), (0x101, PRIVATE, AC3))
    second = program(1, 0x1000, (0x100, HEVC), (0x101, PRIVATE, SUBTITLE))
    remap = lineup.splice([first], [second])
    hevc, subtitle = sent(remap, 0x100, 0x101)
    assert len({hevc, subtitle, 0x100, 0x101, 0x1000}) == 5
    seen = program(1, 0x1000, (hevc, HEVC), (subtitle, PRIVATE, SUBTITLE))
    assert sent(lineup.splice([seen], [first]), 0x100, 0x101) == (0x100, 0x101)
    other = program(1, 0x1000, (0x200, HEVC), (0x201, PRIVATE, AC3), (0x202, H264))
    assert sent(lineup.splice([first], [other]), 0x200, 0x201, 0x202) == (hevc, 0x101, 0x100)


def test_a_clock_of_its_own_and_a_pid_that_is_a_pmt_elsewhere() -> None:
    remap = Lineup().splice(
        [program(1, 0x1000, (0x100, H264), pcr=0x1FE)], [program(1, 0x100, (0x1000, H264), pcr=0x40)]
    )
    assert sent(remap, 0x100, 0x1000, 0x40) == (0x1000, 0x100, 0x1FE)


def test_the_tables_of_the_system_stay_where_they_are() -> None:
    remap = Lineup().splice([program(1, 0x1000, (0x100, H264))], [program(1, 0x10, (0x11, H264))])
    assert sent(remap, *range(0x20), 0x1FFF) == (*range(0x20), 0x1FFF)


def test_the_program_to_watch_takes_the_place_of_the_one_watched() -> None:
    remap = Lineup().splice(
        [program(1, 0x1000, (0x100, H264))],
        [program(5, 0x50, (0x51, H264)), program(1, 0x40, (0x100, H264))],
    )
    assert sent(remap, 0x50, 0x51) == (0x1000, 0x100)
    assert remap.numbers(5) == 1 != remap.numbers(1)
    assert remap.pids(0x100) not in (0x100, 0x1000)


def test_the_first_program_keeps_the_number_when_another_left_it_behind() -> None:
    lineup = Lineup()
    one, two = program(1, 0x40, (0x41, H264)), program(2, 0x50, (0x51, H264))
    lineup.splice([one, two], [one, two])
    remap = lineup.splice([two], [program(5, 0x60, (0x61, H264)), program(6, 0x70, (0x71, H264))])
    assert remap.numbers(5) == 2 != remap.numbers(6)


def test_where_every_pid_means_something_nothing_is_raised() -> None:
    def flood(first: int, kind: tuple[int, bytes]) -> list[Program]:
        return [
            program(n + 1, 0x40 + n, *((pid, *kind) for pid in range(first + 480 * n, first + 480 * (n + 1))))
            for n in range(16)
        ]

    remap = Lineup().splice(flood(0x100, (PRIVATE, SUBTITLE)), flood(0x1FFF - 7680, (AAC, b"")))
    assert len({remap.pids(pid) for pid in range(0x2000)}) == 0x2000


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=12))
def test_no_two_numbers_become_one(pairs: list[tuple[int, int]]) -> None:
    permutation = Permutation()
    places: dict[int, int] = {}
    for number, place in pairs:
        if number not in places and place not in places.values():
            permutation.send(number, place)
            places[number] = place
    assert {number: permutation(number) for number in places} == places
    assert sorted(map(permutation, range(31))) == list(range(31))


def splice(first: bytes, second: bytes, by: int = 7) -> bytes:
    """The second stream as sent after the first."""
    before, after, splicer = Scanner(), Scanner(), Splicer()
    before.scan(bytes(splicer.rewrite(first)), 0)
    after.scan(second, 0)
    splicer.splice(before.ranked_programs, after.ranked_programs)
    step = by * 188
    return b"".join(bytes(splicer.rewrite(second[at : at + step])) for at in range(0, len(second), step))


def read(stream: bytes) -> Scanner:
    scanner = Scanner()
    scanner.scan(stream, 0)
    return scanner


def made(number: int, pmt_pid: int, *pids: int, descriptors: bytes = b"") -> bytes:
    """A stream of audio tracks, its tables twice."""
    counters = Counters()
    tracks = pmt(number, *((pid, AAC, descriptors) for pid in pids), pcr_pid=pids[0])
    tables = psi_packets(0, pat((number, pmt_pid)), counters) + psi_packets(pmt_pid, tracks, counters)
    media = b"".join(packet(pid, bytes([pid & 0xFF]) * 184, counters.next(pid)) for pid in pids)
    return tables + media + psi_packets(0, pat((number, pmt_pid)), counters) + psi_packets(pmt_pid, tracks, counters)


@given(
    number=st.integers(1, 0xFFFF),
    pmt_pid=st.integers(0x20, 0xFF),
    first=st.integers(0x200, 0x1F00),
    size=st.integers(0, 60),
)
def test_tables_and_packets_agree(number: int, pmt_pid: int, first: int, size: int) -> None:
    """Also where the PMT spans two packets, wherever it is cut, and each packet comes alone."""
    pids = tuple(range(first, first + 12))
    out = splice(made(1, 0x100, *range(0x110, 0x11C)), made(number, pmt_pid, *pids, descriptors=bytes(size)), by=1)
    scanner = read(out)
    assert scanner.program is not None
    assert (scanner.program.number, scanner.program.pmt_pid) == (1, 0x100)
    assert [stream.pid for stream in scanner.program.streams] == list(range(0x110, 0x11C))
    carried = {(out[at + 1] & 0x1F) << 8 | out[at + 2]: out[at + 187] for at in range(0, len(out), 188)}
    assert [carried[0x110 + n] for n in range(12)] == [pid & 0xFF for pid in pids]


def test_ffmpeg_decodes_a_source_with_other_pids_as_the_same_tracks(tmp_path: Path) -> None:
    first, second = (clip(name).read_bytes() for name in ("h264_gop1", "h264_other"))
    path = tmp_path / "spliced.ts"
    path.write_bytes(first + splice(first, second, by=300))
    shown = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "stream=index,codec_name", "-of", "csv=p=0", path],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert sorted(set(shown.stdout.split())) == ["0,h264", "1,aac"]
