"""The shape of the configuration and its defaults. Durations are seconds (float), sizes bytes (int)."""

from msgspec import Struct


class Server(Struct, frozen=True, forbid_unknown_fields=True):
    listen: str = "127.0.0.1:8080"
    max_connections: int | None = None
    max_connections_per_ip: int = 0
    send_buffer: int = 512 * 1024
    write_timeout: float = 30.0
    public_url: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None


class Log(Struct, frozen=True, forbid_unknown_fields=True):
    level: str = "info"
    format: str = "text"
    file: str | None = None


class Streams(Struct, frozen=True, forbid_unknown_fields=True):
    idle_timeout: float = 30.0
    start_timeout: float = 30.0
    ring_size: int = 2 << 20
    ring_seconds: float = 8.0
    ring_max: int = 64 << 20
    join_behind: float = 2.0
    flush_delay: float = 0.130
    flush_bytes: int = 64 * 1024
    slow_lag: float = 0.75
    slow_time: float = 5.0


class Hls(Struct, frozen=True, forbid_unknown_fields=True):
    segment_duration: float = 4.0
    window: int = 6
    session_timeout: float = 30.0
    memory_max: int = 512 << 20


class Passthrough(Struct, frozen=True, forbid_unknown_fields=True):
    cache_max: int = 256 << 20
    channel_max: int = 64 << 20


class Failover(Struct, frozen=True, forbid_unknown_fields=True):
    connect_timeout: float = 5.0
    first_byte_timeout: float = 5.0
    stall_timeout: float = 4.0
    ready_timeout: float = 10.0
    give_up: float = 60.0
    retry_backoff: tuple[float, float] = (0.5, 15.0)


class Auth(Struct, frozen=True, forbid_unknown_fields=True):
    admin_token: str | None = None
    stream_token: str | None = None
    signing_key: str | None = None


class Sources(Struct, frozen=True, forbid_unknown_fields=True):
    allow_networks: tuple[str, ...] = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
    user_agent: str | None = None


class RelayEntry(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    output_path: str
    source_urls: tuple[str, ...]


class PlaylistEntry(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    url: str
    refresh: float | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_connections: int = 0
    merge: str | None = None


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    server: Server = Server()
    log: Log = Log()
    data_dir: str = "./var"
    streams: Streams = Streams()
    hls: Hls = Hls()
    passthrough: Passthrough = Passthrough()
    failover: Failover = Failover()
    auth: Auth = Auth()
    sources: Sources = Sources()
    relays: tuple[RelayEntry, ...] = ()
    playlists: tuple[PlaylistEntry, ...] = ()
