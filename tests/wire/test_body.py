import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.errors import RequestError
from fastrelay.wire.body import ChunkedBody, SizedBody


@settings(deadline=None, max_examples=200)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.binary(max_size=20), st.integers(1, 60))
def test_chunks_come_back_whole_and_leave_the_rest(chunks: list[bytes], rest: bytes, step: int) -> None:
    coded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n" + rest
    body = ChunkedBody(1000)
    left = b""
    for at in range(0, len(coded), step):
        piece = coded[at : at + step]
        left += piece if body.done else body.feed(piece)
    assert body.done
    assert (bytes(body.data), left) == (b"".join(chunks), rest)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=60))
def test_garbage_is_refused_or_awaited_but_never_a_crash(data: bytes) -> None:
    body = ChunkedBody(100)
    try:
        body.feed(data)
    except RequestError as error:
        assert error.status in (400, 413)
    else:
        assert len(body.data) <= 100


def test_a_chunk_above_the_limit_is_refused_before_its_data() -> None:
    body = ChunkedBody(10)
    with pytest.raises(RequestError) as refused:
        body.feed(b"a\r\n0123456789\r\n1\r\n")
    assert refused.value.status == 413


def test_a_sized_body_takes_its_part() -> None:
    body = SizedBody(4, 4)
    assert body.feed(b"ab") == b""
    assert not body.done
    assert body.feed(b"cdef") == b"ef"
    assert body.done
    assert body.data == b"abcd"
