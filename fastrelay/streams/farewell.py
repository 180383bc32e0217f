"""The access line of a viewer who has gone: one for all that he has watched."""

import logging
import time

from fastrelay.streams.hls_sessions import Session
from fastrelay.streams.viewers import Viewer
from fastrelay.wire.access import AccessLine

log = logging.getLogger("fastrelay.access")


def say_gone(stream_id: str, viewer: Viewer | Session, reason: str) -> None:
    """`reason`: why he is gone, for people."""
    if log.isEnabledFor(logging.INFO):
        hls = isinstance(viewer, Session) and not stream_id.endswith("/hls")
        target = viewing_path(stream_id) + ("/hls" if hls else "")
        seconds = time.time() - viewer.since
        log.info(AccessLine(viewer.address, "GET", target, 200, viewer.sent, seconds, viewer.user_agent, reason))


def viewing_path(stream_id: str) -> str:
    """Where viewers ask for a stream."""
    kind, _, number = stream_id.rpartition(":")
    return f"/api/proxy/{kind}/{number}" if kind else f"/stream/{stream_id}"
