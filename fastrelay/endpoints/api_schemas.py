"""What bodies and answers of the API look like, as JSON Schema (the dialect of OpenAPI 3.1). Data only.

Answers have every property that is named here, and no other.
"""

from typing import Any

from fastrelay.config.relay_fields import MAX_NAME, MAX_OUTPUT_PATH, MAX_SOURCES

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number", "minimum": 0}
COUNT: Schema = {"type": "integer", "minimum": 0}
TIME: Schema = {"type": "string", "format": "date-time"}
OUTPUT_PATH: Schema = {"type": "string", "pattern": f"^[A-Za-z0-9_-]{{1,{MAX_OUTPUT_PATH}}}$", "example": "sport-tv"}
NAME: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_NAME, "example": "Sport TV"}
SOURCES: Schema = {
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_SOURCES,
    "items": TEXT,
    "description": "http, https, udp or rtp, tried in this order. `|User-Agent=…&Referer=…` behind a URL sets headers.",
    "example": ["http://provider.example/live/sport.m3u8", "http://other.example/sport.ts|User-Agent=VLC/3.0.20"],
}


def said(schema: Schema, description: str) -> Schema:
    """The schema with a description."""
    return {**schema, "description": description}


def maybe(schema: Schema) -> Schema:
    """Or null."""
    return {**schema, "type": [schema["type"], "null"]}


def answer(**properties: Schema) -> Schema:
    """An object with exactly these."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def body(*required: str, **properties: Schema) -> Schema:
    """An object with these, of which some are required."""
    return {**answer(**properties), "required": list(required)}


def listed(name: str) -> Schema:
    """Many of what another schema describes."""
    return {"type": "array", "items": ref(name)}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


ERROR = {
    "type": "object",
    "properties": {
        "code": said(TEXT, "A word for programs, which stays."),
        "message": said(TEXT, "For people."),
        "field": said(TEXT, "Where a body is wrong: the field, as in `source_urls[1]`."),
    },
    "required": ["code", "message"],
    "additionalProperties": False,
}

_WISHES: dict[str, Schema] = {
    "max_connections": said(COUNT, "Connections that the provider's account allows; 0 for any number."),
    "refresh": said(maybe(NUMBER), "Seconds between two imports; null for none."),
    "include": said({"type": "array", "items": TEXT}, "Regular expressions on name and group: only these."),
    "exclude": said({"type": "array", "items": TEXT}, "Regular expressions on name and group: not these."),
    "merge": said(maybe(TEXT), "`tvg-id` makes one channel of all entries with the same."),
}
_WISHED: dict[str, Schema] = {
    **_WISHES,
    "max_connections": {**_WISHES["max_connections"], "type": ["integer", "string"], "pattern": "^[0-9]+$"},
    "refresh": {"type": ["number", "string", "null"], "description": "Seconds, or as in `6h`."},
}

_RELAY: dict[str, Schema] = {"name": NAME, "output_path": OUTPUT_PATH, "source_urls": SOURCES}

SCHEMAS: dict[str, Schema] = {
    "Error": answer(error=ERROR),
    "Alive": answer(status={"const": "alive"}),
    "Ready": answer(status={"const": "ready"}),
    "Event": answer(at=TIME, event=TEXT, detail=TEXT),
    "Stream": answer(
        id=said(TEXT, "A relay's output path, `channel:{id}`, or `channel:{id}/hls` for one that is passed through."),
        active={"type": "boolean"},
        clients=COUNT,
        source_url=said(TEXT, "The source in use, without its credentials unless the admin token is given."),
        uptime_seconds=NUMBER,
        bytes_streamed=said(COUNT, "What viewers have taken."),
        last_activity=maybe(TIME),
        state={"enum": ["idle", "starting", "active", "stopping"]},
        kind={"enum": ["relay", "channel", "passthrough"]},
        bytes_received=COUNT,
        bitrate=said(COUNT, "Bits per second of media time."),
        source_index=COUNT,
        switches=COUNT,
        clients_ts=COUNT,
        clients_hls=COUNT,
        dropped_slow=said(COUNT, "Viewers that were too slow."),
        ring_bytes=COUNT,
        hls_bytes=said(COUNT, "Segments in memory."),
        continuity_errors=COUNT,
        packets_lost=COUNT,
        events=said(listed("Event"), "The last 50 decisions, the newest at the end."),
    ),
    "Streams": answer(total_streams=COUNT, streams=listed("Stream")),
    "Client": answer(
        id=COUNT,
        kind={"enum": ["ts", "hls"]},
        address=TEXT,
        user_agent=TEXT,
        since=TIME,
        seconds=NUMBER,
        bytes=COUNT,
        lag_bytes=COUNT,
        lag_seconds=NUMBER,
    ),
    "Clients": answer(total=COUNT, clients=listed("Client")),
    "Relay": answer(id=COUNT, name=NAME, output_path=OUTPUT_PATH, source_urls={"type": "array", "items": TEXT}),
    "Relays": answer(total=COUNT, relays=listed("Relay")),
    "NewRelay": answer(**_RELAY),
    "ChangedRelay": body(*_RELAY, id=said(COUNT, "The one of the path, which it may repeat."), **_RELAY),
    "Channel": answer(
        id=COUNT,
        name=TEXT,
        group=TEXT,
        logo=maybe(TEXT),
        attributes={"type": "object", "additionalProperties": TEXT},
        source_urls={"type": "array", "items": TEXT},
        playlist=TEXT,
    ),
    "Channels": answer(total=COUNT, channels=listed("Channel")),
    "Group": answer(name=TEXT, channels=COUNT),
    "Groups": answer(total=COUNT, groups=listed("Group")),
    "NewRelayOfChannel": body(name=NAME, output_path=OUTPUT_PATH),
    "Rejection": answer(line=COUNT, reason=TEXT),
    "Playlist": answer(
        id=COUNT,
        name=TEXT,
        url=maybe(TEXT),
        origin={"enum": ["config", "api"]},
        channels=COUNT,
        imported_at=maybe(TIME),
        failure=said(maybe(TEXT), "Why the last import failed; the channels stayed as they were."),
        **_WISHES,
        added=COUNT,
        updated=COUNT,
        unchanged=COUNT,
        removed=COUNT,
        rejected=COUNT,
        rejections=listed("Rejection"),
    ),
    "Playlists": answer(total=COUNT, playlists=listed("Playlist")),
    "NewPlaylist": {
        **body("name", name=NAME, url=TEXT, content=said(TEXT, "The list itself."), **_WISHED),
        "oneOf": [{"required": ["url"]}, {"required": ["content"]}],
        "example": {"name": "provider", "url": "http://provider.example/get.php?type=m3u_plus", "refresh": "6h"},
    },
}
