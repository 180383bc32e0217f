"""Every route of this server, as `/openapi.json` and `/docs` show it. Data only: a new route is a line here.

A test holds this table against the router. HEAD is answered wherever GET is, so it is not named.
"""

from typing import NamedTuple

from fastrelay.endpoints.api_schemas import COUNT, TEXT, Schema, said

JSON = "application/json"
TS = "video/mp2t"
HLS = "application/vnd.apple.mpegurl"
M3U = "audio/x-mpegurl"
PLAIN = "text/plain"
HTML = "text/html"
ANY = "application/octet-stream"
NOTHING = ""

OPEN, VIEWER, ADMIN = "open", "viewer", "admin"
"""Who may ask: all; whoever may watch (`auth.stream_token`, `auth.signing_key`); whoever may manage
(`auth.admin_token`)."""


class Operation(NamedTuple):
    """A method on a path. Errors that every request can have (400, 408, 503 at a limit) are not named; 400 is
    shown where there is a body or a parameter."""

    method: str
    path: str
    tag: str
    access: str
    summary: str
    answers: dict[int, str]
    """By status: the name of a schema, or a media type."""
    errors: tuple[int, ...] = ()
    body: tuple[str, ...] = ()
    """Of what is sent: the name of a schema, and media types."""
    query: tuple[tuple[str, Schema], ...] = ()


_TOKEN = (
    ("token", said(TEXT, "auth.stream_token, where it is set.")),
    ("expires", said(COUNT, "Of a signed URL: Unix time until which it is valid.")),
    ("signature", said(TEXT, "Of a signed URL.")),
)
_SESSION = (("session", said(TEXT, "Who watches, as the master playlist named him.")), *_TOKEN)
_FIND = (
    ("search", said(TEXT, "A part of the name, in any case and without accents.")),
    ("group", said(TEXT, "A whole group.")),
    (
        "ids",
        said(
            {"type": "string", "pattern": "^[1-9][0-9]*(,[1-9][0-9]*)*$"},
            "Instead of all that: ids, up to 500, with commas between.",
        ),
    ),
    ("offset", said(COUNT, "How many are passed over.")),
    ("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 100}),
)
_EXPORT = (
    ("type", {"enum": ["ts", "hls"], "default": "ts"}),
    ("group", said(TEXT, "Only channels of this group.")),
    *_TOKEN,
)
_UPLOAD = (
    ("name", said(TEXT, "Of a list that is uploaded as a file.")),
    ("max_connections", said(COUNT, "The same.")),
    ("merge", {"enum": ["tvg-id"]}),
)
_LISTS = ("NewPlaylist", M3U, HLS, "audio/mpegurl", "application/gzip", ANY)
_HLS = "/stream/{path}/hls"
_PASSED = "/api/proxy/channel/{id}/hls"

OPERATIONS = (
    Operation("GET", "/stream/{path}", "watch", VIEWER, "A relay as live MPEG-TS, or a channel by its stream id; "
              "also with `.ts` behind the path. "
              "It begins with PAT, PMT and a random-access point, and lasts until somebody hangs up.",
              {200: TS}, (404, 502, 503, 504), query=_TOKEN),
    Operation("GET", "/stream/{path}/hls", "watch", VIEWER, "Its HLS, cut here: the master playlist, with a new "
              "session.",
              {200: HLS}, (404, 502, 503, 504), query=_TOKEN),
    Operation("GET", "/stream/{path}/hls/master.m3u8", "watch", VIEWER, "The same under another name.",
              {200: HLS}, (404, 502, 503, 504), query=_TOKEN),
    Operation("GET", "/stream/{path}/hls/playlist.m3u8", "watch", VIEWER, "Its media playlist; on a cold stream when "
              "there is a first segment.", {200: HLS, 304: NOTHING}, (404, 502, 503, 504), query=_SESSION),
    Operation("GET", "/stream/{path}/hls/segment_{n}.ts", "watch", VIEWER, "A segment; ranges are served. A name never "
              "names other bytes.", {200: TS, 206: TS, 304: NOTHING}, (404, 416), query=_TOKEN),
    Operation("GET", "/api/proxy/channel/{id}", "watch", VIEWER, "A channel of a list as live MPEG-TS, one upstream "
              "for all its viewers.", {200: TS}, (404, 502, 503, 504), query=_TOKEN),
    Operation("GET", _PASSED, "watch", VIEWER, "A channel's own HLS, passed through: all variants, audio and "
              "subtitles, everything fetched once for all viewers.", {200: HLS}, (404, 409, 502, 503, 504),
              query=_TOKEN),
    Operation("GET", _PASSED + "/{name}", "watch", VIEWER, "What a passed-through playlist named.",
              {200: ANY, 206: ANY}, (404, 416, 502, 503, 504), query=_SESSION),
    *(Operation("OPTIONS", path, "watch", OPEN, "Tells a page of another site that it may ask.", {204: NOTHING})
      for path in (_HLS, f"{_HLS}/master.m3u8", f"{_HLS}/playlist.m3u8", f"{_HLS}/segment_{{n}}.ts",
                   _PASSED, f"{_PASSED}/{{name}}")),
    Operation("GET", "/playlist.m3u", "watch", VIEWER, "All relays and channels as a list for IPTV players.",
              {200: M3U}, (422,), query=_EXPORT),

    Operation("GET", "/api/streams/status", "streams", OPEN, "What runs.", {200: "Streams"}),
    *(Operation(method, f"/api/streams/{stream}/{what}", "streams", access, f"{summary}{behind}", {200: schema}, errors)
      for stream, behind in (("{id}", "."), ("{id}/hls", ", of a channel that is passed through."))
      for method, what, access, summary, schema, errors in (
          ("GET", "status", OPEN, "One stream, running or not", "Stream", (404,)),
          ("GET", "clients", ADMIN, "Who watches", "Clients", (404,)),
          ("POST", "stop", ADMIN, "Stop now: answered when the upstream is closed", "Stream", (404,)),
          ("POST", "switch", ADMIN, "Go to the next source now", "Stream", (404, 409)))),
    Operation("GET", "/api/events", "streams", OPEN, "What runs, once a second, as server-sent events.",
              {200: "text/event-stream"}, (503,)),

    Operation("GET", "/api/relays", "relays", ADMIN, "All relays.", {200: "Relays"}),
    Operation("POST", "/api/relays", "relays", ADMIN, "Make a relay.", {201: "Relay"}, (409, 415, 422, 503),
              ("NewRelay",)),
    Operation("GET", "/api/relays/{id}", "relays", ADMIN, "One relay.", {200: "Relay"}, (404,)),
    Operation("PUT", "/api/relays/{id}", "relays", ADMIN, "Change a relay. New sources reach a running stream at its "
              "next switch.", {200: "Relay"}, (404, 409, 415, 422, 503), ("ChangedRelay",)),
    Operation("DELETE", "/api/relays/{id}", "relays", ADMIN, "Remove a relay; its viewers are ended.",
              {204: NOTHING}, (404, 409, 503)),

    Operation("GET", "/api/channels", "channels", ADMIN, "The channels of all lists.", {200: "Channels"}, (422, 503),
              query=_FIND),
    Operation("GET", "/api/channels/groups", "channels", ADMIN, "Their groups. Channels without one are in `\"\"`.",
              {200: "Groups"}, (503,)),
    Operation("GET", "/api/channels/{id}", "channels", ADMIN, "One channel.", {200: "Channel"}, (404, 503)),
    Operation("POST", "/api/channels/{id}/relay", "channels", ADMIN, "Make a relay of a channel. Name and path are "
              "made of the channel's name where they are not given.", {201: "Relay"}, (404, 409, 415, 422, 503),
              ("NewRelayOfChannel",)),

    Operation("GET", "/api/playlists", "playlists", ADMIN, "All lists.", {200: "Playlists"}, (503,)),
    Operation("POST", "/api/playlists", "playlists", ADMIN, "Import an M3U list, from a URL, as text, or as the body "
              "itself (plain or gzip). The same name again refreshes that list.",
              {200: "Playlist", 201: "Playlist"}, (409, 413, 415, 422, 502, 503), _LISTS, _UPLOAD),
    Operation("GET", "/api/playlists/{id}", "playlists", ADMIN, "One list.", {200: "Playlist"}, (404, 503)),
    Operation("DELETE", "/api/playlists/{id}", "playlists", ADMIN, "Remove a list and its channels; their viewers "
              "are ended.", {204: NOTHING}, (404, 409, 503)),
    Operation("POST", "/api/playlists/{id}/refresh", "playlists", ADMIN, "Import it anew.", {200: "Playlist"},
              (404, 409, 422, 502, 503)),

    Operation("GET", "/livez", "server", OPEN, "Whether the process lives.", {200: "Alive"}),
    Operation("GET", "/readyz", "server", OPEN, "Whether it wants requests; 503 while it starts or stops.",
              {200: "Ready"}, (503,)),
    Operation("GET", "/metrics", "server", OPEN, "For Prometheus.", {200: PLAIN}),
    Operation("GET", "/openapi.json", "server", OPEN, "This description.", {200: JSON, 304: NOTHING}),
    Operation("GET", "/docs", "server", OPEN, "This description, as a page.", {200: HTML, 304: NOTHING}),
    Operation("GET", "/", "pages", OPEN, "The dashboard.", {200: HTML, 304: NOTHING}),
    Operation("GET", "/watch/{id}", "pages", OPEN, "A player. `?embed` is for an iframe.", {200: HTML, 304: NOTHING}),
    Operation("GET", "/web/{name}", "pages", OPEN, "What the pages are made of.", {200: ANY, 304: NOTHING}, (404,)),
    Operation("GET", "/web/vendor/{name}", "pages", OPEN, "The same, of others.", {200: ANY, 304: NOTHING}, (404,)),
    Operation("GET", "/favicon.ico", "pages", OPEN, "The icon.", {200: "image/svg+xml", 304: NOTHING}),
)  # fmt: skip
"""In the order in which they are shown."""

TAGS = {
    "watch": "For players.",
    "streams": "What runs, and who watches. The status is readable by all, with credentials hidden.",
    "relays": "Streams with a name and an ordered list of sources.",
    "channels": "What M3U lists brought.",
    "playlists": "M3U lists.",
    "server": "Health, metrics, this description.",
    "pages": "For people.",
}
