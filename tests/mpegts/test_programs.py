"""Which program is followed, and what a joiner gets of its tables."""

from fastrelay.mpegts.programs import ProgramTables
from tests.mpegts.build import AAC, AUDIO, H264, PRIVATE, VIDEO, Counters, descriptor, pat, pmt, psi_packets


class Multiplex:
    """Feeds tables to a `ProgramTables`, with counters that go on."""

    def __init__(self) -> None:
        self.tables = ProgramTables()
        self.counters = Counters()

    def send(self, pid: int, section: bytes) -> bytes:
        data = psi_packets(pid, section, self.counters)
        for at in range(0, len(data), 188):
            if self.tables.reads(pid):
                self.tables.feed(pid, data[at : at + 188])
        return data

    @property
    def number(self) -> int | None:
        return self.tables.program.number if self.tables.program else None


BIG = descriptor(0x0A, b"x" * 100)


def test_tables_are_the_last_packets_as_received() -> None:
    mux = Multiplex()
    for version in range(3):
        last = mux.send(0, pat((1, 32)))
        assert mux.tables.tables == b"" if not version else mux.tables.tables
        last += mux.send(32, pmt(1, (VIDEO, H264, BIG), (AUDIO, AAC, BIG), version=version))
        assert len(last) == 3 * 188
        assert mux.tables.tables == last


def test_the_first_program_with_video_is_followed() -> None:
    mux = Multiplex()
    mux.send(0, pat((1, 32), (2, 33), (3, 34), (4, 35)))
    assert mux.tables.missing == (1, 2, 3, 4)
    mux.send(32, pmt(1, (200, PRIVATE)))
    assert mux.number == 1
    mux.send(33, pmt(2, (201, AAC)))
    assert mux.number == 2
    mux.send(35, pmt(4, (203, H264)))
    assert (mux.number, mux.tables.settled) == (4, False)
    mux.send(34, pmt(3, (204, AAC), (202, H264)))
    assert (mux.number, mux.tables.settled) == (3, True)
    assert mux.tables.main is not None
    assert mux.tables.main.pid == 202
    assert [program.number for program in mux.tables.programs] == [1, 2, 3, 4]


def test_a_program_without_pmt_is_not_waited_for_for_ever() -> None:
    mux = Multiplex()
    mux.send(0, pat((1, 32), (2, 33)))
    mux.send(33, pmt(2, (201, H264)))
    assert not mux.tables.settled
    mux.send(33, pmt(2, (201, H264)))
    assert mux.tables.settled


def test_a_settled_choice_stays() -> None:
    mux = Multiplex()
    mux.send(0, pat((2, 33)))
    mux.send(33, pmt(2, (201, AAC)))
    mux.send(0, pat((1, 32), (2, 33), version=1))
    mux.send(32, pmt(1, (202, H264)))
    assert mux.number == 2


def test_a_program_that_is_gone_gives_way() -> None:
    mux = Multiplex()
    mux.send(0, pat((1, 32)))
    mux.send(32, pmt(1, (201, H264)))
    mux.send(0, pat((5, 40), version=1))
    assert mux.number is None
    assert mux.tables.tables == b""
    assert set(mux.tables.pids) == {0, 40}
    mux.send(40, pmt(5, (202, AAC)))
    assert mux.number == 5


def test_a_pmt_that_moves_is_followed() -> None:
    mux = Multiplex()
    mux.send(0, pat((1, 32), (2, 33)))
    mux.send(32, pmt(1, (201, H264)))
    mux.send(33, pmt(2, (202, H264)))
    mux.send(0, pat((1, 50), (2, 33), version=1))
    assert mux.number is None
    moved = mux.send(50, pmt(1, (205, H264)))
    assert mux.number == 1
    assert mux.tables.tables.endswith(moved)


def test_a_changed_pmt_says_so_and_a_repeated_one_does_not() -> None:
    mux = Multiplex()
    mux.send(0, pat((1, 32)))
    feed = mux.tables.feed
    counters = Counters()
    assert feed(32, psi_packets(32, pmt(1, (201, H264)), counters))
    assert not feed(32, psi_packets(32, pmt(1, (201, H264)), counters))
    assert feed(32, psi_packets(32, pmt(1, (202, H264), version=1), counters))


def test_programs_may_share_a_pid_and_a_packet() -> None:
    mux = Multiplex()
    mux.send(0, pat((1, 32), (2, 32)))
    both = mux.send(32, pmt(1, (201, AAC)) + pmt(2, (202, H264)))
    assert mux.number == 2
    assert mux.tables.tables.endswith(both)


def test_a_pat_of_two_sections_is_used_when_it_is_whole() -> None:
    mux = Multiplex()
    mux.send(0, pat((1, 32), part=0, last=1))
    assert mux.tables.pids == (0,)
    mux.send(0, pat((2, 33), part=1, last=1))
    assert set(mux.tables.pids) == {0, 32, 33}
    mux.send(33, pmt(2, (202, H264)))
    named = mux.send(0, pat((2, 33), part=1, last=1))
    after = mux.send(0, pat((1, 32), part=0, last=1))
    assert mux.tables.tables.startswith(named + after)


def test_audio_before_private_data() -> None:
    mux = Multiplex()
    mux.send(0, pat((1, 32)))
    mux.send(32, pmt(1, (200, PRIVATE), (201, AAC), (202, AAC)))
    assert mux.tables.main is not None
    assert mux.tables.main.pid == 201


def test_a_program_without_streams() -> None:
    mux = Multiplex()
    mux.send(0, pat((1, 32)))
    mux.send(32, pmt(1))
    assert mux.number == 1
    assert mux.tables.main is None
