"""Packets are found by PID and by payload_unit_start, whatever their priority and their neighbours."""

from fastrelay.mpegts.headers import UNIT_START, header, headers_of, search

PRIORITY = 0x20


def found(wanted: bytes, *packets: bytes, start: int = 0, stop: int | None = None) -> list[int]:
    headers = headers_of(bytes(each[0] for each in packets), bytes(each[1] for each in packets))
    return list(search(headers, wanted, start, len(packets) if stop is None else stop))


def test_a_unit_start_is_another_header_and_the_priority_is_none() -> None:
    packets = (header(0x100), header(0x100, UNIT_START), header(0x100, PRIORITY), header(0x100, UNIT_START | PRIORITY))
    assert found(header(0x100), *packets) == [0, 2]
    assert found(header(0x100, UNIT_START), *packets) == [1, 3]


def test_two_neighbours_that_look_like_a_packet_between_them_are_none() -> None:
    packets = (header(0x0101), header(0x0000), header(0x0101), header(0x0100), header(0x0100))
    assert found(header(0x0100), *packets) == [3, 4]
    assert found(header(0x0001), *packets) == []


def test_only_the_packets_asked_for_are_searched() -> None:
    packets = (header(0x0101),) * 6
    assert found(header(0x0101), *packets, start=1, stop=4) == [1, 2, 3]
    assert found(header(0x0101), *packets, start=6) == []
