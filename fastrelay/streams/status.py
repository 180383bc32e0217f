"""What the API says about a stream and its viewers: plain dictionaries, credentials redacted."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from fastrelay.streams.decisions import Decision
from fastrelay.streams.hls_sessions import Session
from fastrelay.streams.state import PUBLIC_NAMES
from fastrelay.streams.stream import Stream
from fastrelay.streams.viewers import Viewer
from fastrelay.wire.redact import redact

redacted = lru_cache(maxsize=4096)(redact)
"""`redact` for URLs that are shown every second: it takes 20 µs and more."""


def timestamp(unix: float) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return _second(int(unix))


@lru_cache(maxsize=4096)
def _second(unix: int) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stream_status(stream: Stream, *, reveal: bool) -> dict[str, Any]:
    """The status of a stream, running or not; `reveal` shows the source's credentials."""
    return {**stream_figures(stream, reveal=reveal), "events": shown_events(stream.events)}


def shown_events(events: Iterable[Decision]) -> list[dict[str, str]]:
    """Decisions as the status shows them."""
    return [{"at": timestamp(decision.at), "event": decision.event, "detail": decision.detail} for decision in events]


def stream_figures(stream: Stream, *, reveal: bool) -> dict[str, Any]:
    """The status without its events: what may change every second, cheap enough to be read that often."""
    run = stream.run
    running = stream.running and run is not None
    url = stream.source_url if running else stream.source_urls[0]
    totals = stream.totals
    viewers = len(run.viewers) if run is not None else 0
    sessions = run.sessions if run is not None else 0
    return {
        "id": stream.id,
        "active": running,
        "clients": viewers + sessions,
        "source_url": url if reveal else redacted(url),
        "uptime_seconds": round(run.uptime(), 3) if running and run else 0.0,
        "bytes_streamed": totals.delivered,
        "last_activity": timestamp(stream.last_activity) if stream.last_activity is not None else None,
        "state": PUBLIC_NAMES[stream.state],
        "kind": stream.kind,
        "bytes_received": totals.received,
        "bitrate": round(run.bitrate()) if running and run is not None else 0,
        "source_index": stream.source_index,
        "switches": stream.switches,
        "clients_ts": viewers,
        "clients_hls": sessions,
        "dropped_slow": stream.dropped_slow,
        "ring_bytes": run.ring.size if running and run is not None else 0,
        "hls_bytes": _segments_held(stream),
        "continuity_errors": totals.continuity_errors,
        "packets_lost": totals.lost,
    }


def _segments_held(stream: Stream) -> int:
    """Bytes; also of a source that has played to its end, while its viewers fetch the rest."""
    running = stream.run.hls if stream.run is not None else None
    return sum(output.store.bytes for output in (running, stream.finished) if output is not None)


def stream_clients(stream: Stream) -> list[dict[str, Any]]:
    """Everyone who watches or waits: direct TS in the order they came, then HLS."""
    run = stream.run
    if run is None:
        return []
    now = time.time()
    viewers = [
        {
            "id": viewer.id,
            "kind": "ts",
            **_who(viewer, now),
            "bytes": viewer.sent,
            "lag_bytes": run.fanout.lag(viewer),
            "lag_seconds": round(run.index.seconds_behind(viewer.cursor), 3) if viewer.joined_at is not None else 0.0,
        }
        for viewer in run.viewers.values()
    ]
    # What a player of HLS has not fetched yet is its own affair: it lags behind nothing here.
    sessions = [
        {
            "id": session.id,
            "kind": "hls",
            **_who(session, now),
            "bytes": session.sent,
            "lag_bytes": 0,
            "lag_seconds": 0.0,
        }
        for session in (run.hls.sessions if run.hls is not None else ())
    ]
    return [*viewers, *sessions]


def _who(viewer: Viewer | Session, now: float) -> dict[str, Any]:
    return {
        "address": viewer.address,
        "user_agent": viewer.user_agent,
        "since": timestamp(viewer.since),
        "seconds": round(now - viewer.since, 3),
    }
