"""What is a line of the log, and what only of the level debug."""

import logging

import pytest

from fastrelay.server.access import AccessLog
from fastrelay.wire.access import AccessLine
from fastrelay.wire.request import Request

POLLS = (
    *("/stream/a/hls/playlist.m3u8", "/stream/a/hls/segment_12.ts", "/api/proxy/channel/1/hls/x.ts"),
    *("/livez", "/readyz", "/metrics"),
)
OTHERS = (
    *("/stream/a/hls", "/stream/a/hls/master.m3u8", "/api/proxy/channel/1/hls", "/playlist.m3u", "/stream/a"),
    *("/api/streams/channel:1/hls/stop", "/api/streams/channel:1/hls/status", "/"),
)


def request(path: str) -> Request:
    return Request("GET", f"{path}?x=1", path, {}, {"user-agent": "VLC"}, ("10.0.0.1", 1), ("10.0.0.2", 80))


@pytest.mark.parametrize(
    ("path", "status", "level"),
    [
        *((path, 200, logging.DEBUG) for path in POLLS),
        *((path, 404, logging.INFO) for path in POLLS),
        *((path, 200, logging.INFO) for path in OTHERS),
    ],
)
def test_level(path: str, status: int, level: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "fastrelay.access")
    AccessLog({}).of("10.0.0.1")(request(path), status, 5, 0.1)
    (record,) = caplog.records
    line = AccessLine("10.0.0.1", "GET", f"{path}?x=1", status, 5, 0.1, "VLC")
    assert (record.levelno, record.msg) == (level, line)


def test_answers_are_counted_whatever_the_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "fastrelay.access")
    answers: dict[int, int] = {}
    done = AccessLog(answers).of("10.0.0.1")
    for status in (200, 200, 404):
        done(request("/livez"), status, 5, 0.1)
    done(None, 400, 5, 0.0)
    assert answers == {200: 2, 404: 1, 400: 1} and not caplog.records
