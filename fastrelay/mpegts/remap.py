"""Keeps PIDs and program numbers over splices, so that a receiver finds each stream where the last source had it.

Many receivers settle their tracks once. ffmpeg opens no decoder for a PID that it did not know when it began,
ExoPlayer reads the PAT and the PMT a single time, and mpegts.js stays with the program number it saw first.
"""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from fastrelay.mpegts.codecs import codec_of
from fastrelay.mpegts.packet import NULL_PID
from fastrelay.mpegts.psi import ElementaryStream, Program, descriptors

_RESERVED = 0x20
"""PIDs below belong to tables that receivers look for just there (ISO 13818-1 table 2-3, EN 300 468 table 1)."""

_MOST_PROGRAMS = 16
"""More than a multiplex has. Hundreds of them would hold the loop; those beyond are sent as they are."""
_FIRST_NEW = 0x100
"""Where PIDs are looked for that no source has."""
_LANGUAGE = 0x0A
_PCR = "pcr"
"""The codec of a PID that carries nothing but the clock."""


class Permutation:
    """A renumbering in which no two numbers become one: whoever has to make room takes the place that was left."""

    def __init__(self) -> None:
        self._moved: dict[int, int] = {}
        self._came: dict[int, int] = {}

    def __call__(self, number: int) -> int:
        return self._moved.get(number, number)

    def __bool__(self) -> bool:
        """Whether anything moves."""
        return any(number != place for number, place in self._moved.items())

    def send(self, number: int, place: int) -> None:
        """`number` becomes `place`. Places given before stay, as long as none is given twice."""
        left, evicted = self(number), self._came.get(place, place)
        self._moved[number], self._came[place] = place, number
        if evicted != number:
            self._moved[evicted], self._came[left] = left, evicted


class Remap(NamedTuple):
    """How a source's PIDs and program numbers are sent."""

    pids: Permutation
    numbers: Permutation


class _Track(NamedTuple):
    pid: int
    codec: str
    language: bytes


class _Place(NamedTuple):
    """A program as receivers know it: the tracks of its last PMT, then those of earlier ones that are not in it."""

    number: int
    pmt_pid: int
    tracks: tuple[_Track, ...]


class Lineup:
    """The programs and tracks that receivers were told of, over all sources so far.

    For the life of a stream a PID means a track of one codec: it is what a decoder was opened for. A source that lacks
    a track leaves its PID unused, and one that has more brings PIDs that none had.
    """

    def __init__(self) -> None:
        self._places: list[_Place] = []

    def splice(self, before: Sequence[Program], after: Sequence[Program]) -> Remap:
        """How to send the programs `after` where receivers know `before` by now, the one to watch first in both."""
        after = after[:_MOST_PROGRAMS]
        pairs = zip_longest(map(_place, before[:_MOST_PROGRAMS]), self._places)
        self._places = [_merged(now, earlier) if now and earlier else now or earlier for now, earlier in pairs]
        remap = Remap(Permutation(), Permutation())
        given: dict[int, int] = {}
        numbers: set[int] = set()
        for place, program in zip(self._places, after, strict=False):
            # A program that took another's place may have its number: the first of them keeps it.
            if place.number not in numbers:
                numbers.add(place.number)
                remap.numbers.send(program.number, place.number)
            given.setdefault(program.pmt_pid, place.pmt_pid)
            for track, known in _matches(_tracks(program), place.tracks):
                given.setdefault(track.pid, known.pid)
        for pid, place_pid in self._complete(given, after).items():
            remap.pids.send(pid, place_pid)
        return remap

    def _complete(self, given: dict[int, int], after: Sequence[Program]) -> dict[int, int]:
        """`given` without what cannot be, and with new PIDs for tracks whose own ones mean something else by now."""
        told = {pid for place in self._places for pid in _pids(place)}
        own = dict.fromkeys(pid for program in after for pid in _pids(_place(program)))
        complete: dict[int, int] = {}
        taken: set[int] = set()
        for pid, place in given.items():
            if _is_free(pid) and _is_free(place) and place not in taken:
                complete[pid] = place
                taken.add(place)
        strays = [pid for pid in own if _is_free(pid) and pid in told and pid not in complete]
        unused = (pid for pid in range(_FIRST_NEW, NULL_PID) if pid not in told and pid not in own)
        # Where every PID there is means something, what is left over goes where the others leave room.
        return complete | dict(zip(strays, unused, strict=False))


def _place(program: Program) -> _Place:
    return _Place(program.number, program.pmt_pid, _tracks(program))


def _tracks(program: Program) -> tuple[_Track, ...]:
    tracks = [_Track(stream.pid, codec_of(stream).name, _language(stream)) for stream in program.streams]
    if program.pcr_pid not in {NULL_PID, *(track.pid for track in tracks)}:
        tracks.append(_Track(program.pcr_pid, _PCR, b""))
    return tuple(tracks)


def _language(stream: ElementaryStream) -> bytes:
    """Of the ISO 639 language descriptor (§2.6.18); empty where there is none."""
    return next((body[:3] for tag, body in descriptors(stream.descriptors) if tag == _LANGUAGE), b"")


def _pids(place: _Place) -> Iterator[int]:
    yield place.pmt_pid
    for track in place.tracks:
        yield track.pid


def _merged(now: _Place, earlier: _Place) -> _Place:
    pids = set(_pids(now))
    return now._replace(tracks=now.tracks + tuple(track for track in earlier.tracks if track.pid not in pids))


def _matches(tracks: tuple[_Track, ...], known: tuple[_Track, ...]) -> Iterator[tuple[_Track, _Track]]:
    """Each track with a known one of its codec: of its language where there is one, else the next that is left."""
    waiting, left = list(tracks), list(known)
    for likeness in (_codec_and_language, _codec):
        alike: dict[object, list[_Track]] = {}
        for one in reversed(left):
            alike.setdefault(likeness(one), []).append(one)
        pairs = [(track, same.pop()) for track in waiting if (same := alike.get(likeness(track)))]
        yield from pairs
        matched, used = {track for track, _ in pairs}, {one for _, one in pairs}
        waiting = [track for track in waiting if track not in matched]
        left = [one for one in left if one not in used]


def _codec_and_language(track: _Track) -> object:
    return track.codec, track.language


def _codec(track: _Track) -> object:
    return track.codec


def _is_free(pid: int) -> bool:
    return _RESERVED <= pid < NULL_PID
