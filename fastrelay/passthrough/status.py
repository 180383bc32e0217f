"""What the API says about a passed-through channel, in the shape of a stream's status."""

import time
from typing import Any

from fastrelay.passthrough.channel import Channel
from fastrelay.streams.status import redacted, shown_events, timestamp


def channel_status(channel: Channel, *, reveal: bool) -> dict[str, Any]:
    """The status, running or not; `reveal` shows the source's credentials."""
    return {**channel_figures(channel, reveal=reveal), "events": shown_events(channel.events)}


def channel_figures(channel: Channel, *, reveal: bool) -> dict[str, Any]:
    """The status without its events."""
    url = channel.source_url if channel.active else channel.source_urls[0]
    return {
        "id": channel.id,
        "active": channel.active,
        "clients": len(channel.sessions),
        "source_url": url if reveal else redacted(url),
        "uptime_seconds": round(channel.uptime, 3),
        "bytes_streamed": channel.delivered,
        "last_activity": timestamp(channel.last_activity) if channel.last_activity is not None else None,
        "state": channel_state(channel),
        "kind": channel.kind,
        "bytes_received": channel.received,
        "bitrate": 0,
        "source_index": channel.source_index,
        "switches": channel.switches,
        "clients_ts": 0,
        "clients_hls": len(channel.sessions),
        "dropped_slow": 0,
        "ring_bytes": 0,
        "hls_bytes": channel.cached_bytes,
        "continuity_errors": 0,
        "packets_lost": 0,
    }


def channel_clients(channel: Channel) -> list[dict[str, Any]]:
    """Everyone who watches."""
    now = time.time()
    return [
        {
            "id": session.id,
            "kind": "hls",
            "address": session.address,
            "user_agent": session.user_agent,
            "since": timestamp(session.since),
            "seconds": round(now - session.since, 3),
            "bytes": session.sent,
            "lag_bytes": 0,
            "lag_seconds": 0.0,
        }
        for session in channel.sessions
    ]


def channel_state(channel: Channel) -> str:
    """One of the states that users are told."""
    if channel.source is None:
        return "starting" if channel.active else "idle"
    return "active" if channel.sessions else "stopping"
