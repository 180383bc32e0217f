"""Every setting with its reader and its range, and how they become a `Config`."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import msgspec

from fastrelay.config.readers import (
    Reader,
    backoff,
    choice,
    count,
    duration,
    line,
    listen,
    name,
    networks,
    optional,
    part,
    pattern,
    public_url,
    scalar,
    secret,
    several,
    size,
    url,
)
from fastrelay.config.relay_fields import MAX_SOURCES, check_output_path
from fastrelay.config.shape import Config, PlaylistEntry, RelayEntry
from fastrelay.config.tree import Tree, child
from fastrelay.config.units import show_size
from fastrelay.errors import ConfigError

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
MS, DAY = 0.001, 86400.0


def _output_path(text: str) -> str:
    check_output_path(text)
    return text


RELAY: Mapping[str, Reader[Any]] = {
    "name": name,
    "output_path": scalar(_output_path, "an output path"),
    "source_urls": several(url(), least=1, most=MAX_SOURCES),
}

PLAYLIST: Mapping[str, Reader[Any]] = {
    "name": name,
    "url": url("http", "https", "file"),
    "refresh": optional(duration(1.0, 30 * DAY)),
    "include": several(pattern),
    "exclude": several(pattern),
    "max_connections": count(0, 1_000_000),
    "merge": optional(choice("tvg-id")),
}


def _entries(readers: Mapping[str, Reader[Any]], kind: type[Any], unique: str) -> Reader[tuple[Any, ...]]:
    """A list of mappings, no two of them with the same value of `unique`."""

    def entry(path: str, tree: Tree) -> Any:
        values = {key: readers[key](child(path, key), value) for key, value in _known(path, tree, readers).items()}
        for field in msgspec.structs.fields(kind):
            if field.required and field.name not in values:
                raise ConfigError(child(path, field.name), "expected, but it is not there")
        return kind(**values)

    def read(path: str, tree: Tree) -> tuple[Any, ...]:
        entries = several(entry)(path, tree)
        first: dict[str, int] = {}
        for index, value in enumerate(getattr(item, unique) for item in entries):
            if first.setdefault(value, index) != index:
                where = f"{path}[{index}].{unique}"
                raise ConfigError(where, f"expected one of its own, {value!r} is already {path}[{first[value]}]'s")
        return entries

    return read


SETTINGS: Mapping[str, Reader[Any]] = {
    "server.listen": listen,
    "server.max_connections": optional(count(1, 10_000_000)),
    "server.max_connections_per_ip": count(0, 10_000_000),
    "server.send_buffer": size(4 * KIB, 256 * MIB),
    "server.write_timeout": duration(MS, DAY),
    "server.public_url": optional(public_url),
    "server.tls_cert": optional(line),
    "server.tls_key": optional(line),
    "log.level": choice("debug", "info", "warning", "error"),
    "log.format": choice("text", "json"),
    "log.file": optional(line),
    "data_dir": line,
    "streams.idle_timeout": duration(MS, DAY),
    "streams.start_timeout": duration(MS, DAY),
    # Less than this and one key-frame interval of a low bitrate does not fit.
    "streams.ring_size": size(256 * KIB, 4 * GIB),
    "streams.ring_seconds": duration(MS, 600.0),
    "streams.ring_max": size(256 * KIB, 16 * GIB),
    "streams.join_behind": duration(0.0, 60.0),
    "streams.flush_delay": duration(MS, 1.0),
    "streams.flush_bytes": size(188, 16 * MIB),
    # At 100% the viewer would be out of the ring before it is dropped.
    "streams.slow_lag": part(0.05, 0.95),
    "streams.slow_time": duration(MS, DAY),
    # Names of segments count up from the Unix time: they stay unique while a segment is a second or longer.
    "hls.segment_duration": duration(1.0, 60.0),
    # Players start three segments from the end (RFC 8216 §6.3.3).
    "hls.window": count(3, 1000),
    "hls.session_timeout": duration(MS, DAY),
    "hls.memory_max": size(MIB, 1024 * GIB),
    "passthrough.cache_max": size(MIB, 1024 * GIB),
    "passthrough.channel_max": size(MIB, 1024 * GIB),
    "failover.connect_timeout": duration(MS, DAY),
    "failover.first_byte_timeout": duration(MS, DAY),
    "failover.stall_timeout": duration(MS, DAY),
    "failover.ready_timeout": duration(MS, DAY),
    "failover.give_up": duration(MS, DAY),
    "failover.retry_backoff": backoff,
    "auth.admin_token": optional(secret),
    "auth.stream_token": optional(secret),
    "auth.signing_key": optional(secret),
    "sources.allow_networks": networks,
    "sources.user_agent": optional(line),
    "relays": _entries(RELAY, RelayEntry, unique="output_path"),
    "playlists": _entries(PLAYLIST, PlaylistEntry, unique="name"),
}

# Their value is a tree of its own, also in an environment variable.
LISTS = frozenset({"sources.allow_networks", "relays", "playlists"})

_SECTIONS = tuple(dict.fromkeys(key.partition(".")[0] for key in SETTINGS if "." in key))
_TOP = (*_SECTIONS, *(key for key in SETTINGS if "." not in key))


def flatten(tree: Tree) -> dict[str, Tree]:
    """The tree of each setting that is there, by its key as in `streams.ring_size`. Raises ConfigError."""
    flat: dict[str, Tree] = {}
    for key, value in _known("", tree, _TOP).items():
        if key not in _SECTIONS:
            flat[key] = value
            continue
        names = [setting.removeprefix(f"{key}.") for setting in SETTINGS if setting.startswith(f"{key}.")]
        flat |= {child(key, inner): below for inner, below in _known(key, value, names).items()}
    return flat


def _known(path: str, tree: Tree, names: Mapping[str, Any] | tuple[str, ...] | list[str]) -> dict[str, Tree]:
    """A mapping with these keys only. Nothing at all is the empty mapping: a section with all lines commented out."""
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        kind = "a list" if isinstance(tree, list) else "text"
        raise ConfigError(path, f"expected a mapping (key: value), got {kind}")
    for key in tree:
        if key not in names:
            raise ConfigError(child(path, key), f"is not a setting{suggest(key, list(names))}")
    return tree


def suggest(word: str, words: list[str]) -> str:
    """A question that names the nearest of `words`, or else all there are."""
    near = get_close_matches(word, words, 1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(words)}"


def read(flat: Mapping[str, Tree]) -> dict[str, Any]:
    """The value of each setting. Raises ConfigError."""
    return {key: SETTINGS[key](key, tree) for key, tree in flat.items()}


def assemble(values: Mapping[str, Any]) -> Config:
    """The configuration of these values and the defaults. Raises ConfigError for values that do not go together."""
    tree: dict[str, Any] = {}
    for key, value in values.items():
        section, dot, inner = key.partition(".")
        if dot:
            tree.setdefault(section, {})[inner] = value
        else:
            tree[key] = value
    config = msgspec.convert(tree, Config)
    _check_together(config)
    return config


def _check_together(config: Config) -> None:
    server, streams, passthrough = config.server, config.streams, config.passthrough
    if (server.tls_cert is None) != (server.tls_key is None):
        missing, there = ("tls_cert", "tls_key") if server.tls_cert is None else ("tls_key", "tls_cert")
        raise ConfigError(f"server.{missing}", f"expected, because server.{there} is set: HTTPS needs both")
    for small, large, key, bound in (
        (streams.ring_size, streams.ring_max, "streams.ring_size", "streams.ring_max"),
        (streams.flush_bytes, streams.ring_size, "streams.flush_bytes", "streams.ring_size"),
        (passthrough.channel_max, passthrough.cache_max, "passthrough.channel_max", "passthrough.cache_max"),
    ):
        if small > large:
            raise ConfigError(key, f"expected no more than {bound} ({show_size(large)}), got {show_size(small)}")
