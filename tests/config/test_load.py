"""Loading: defaults to the letter, units, every kind of mistake with its exact key path."""

import contextlib
import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrelay.config import Config, PlaylistEntry, RelayEntry, load, tree
from fastrelay.errors import ConfigError

MIB = 1 << 20

DEFAULTS: list[tuple[str, Any]] = [
    ("server.listen", "127.0.0.1:8080"),
    ("server.max_connections", None),
    ("server.max_connections_per_ip", 0),
    ("server.send_buffer", 512 * 1024),
    ("server.write_timeout", 30),
    ("server.public_url", None),
    ("server.tls_cert", None),
    ("server.tls_key", None),
    ("log.level", "info"),
    ("log.format", "text"),
    ("log.file", None),
    ("data_dir", "./var"),
    ("streams.idle_timeout", 30),
    ("streams.start_timeout", 30),
    ("streams.ring_size", 2 * MIB),
    ("streams.ring_seconds", 8),
    ("streams.ring_max", 64 * MIB),
    ("streams.join_behind", 2),
    ("streams.flush_delay", 0.13),
    ("streams.flush_bytes", 64 * 1024),
    ("streams.slow_lag", 0.75),
    ("streams.slow_time", 5),
    ("hls.segment_duration", 4),
    ("hls.window", 6),
    ("hls.session_timeout", 30),
    ("hls.memory_max", 512 * MIB),
    ("passthrough.cache_max", 256 * MIB),
    ("passthrough.channel_max", 64 * MIB),
    ("failover.connect_timeout", 5),
    ("failover.first_byte_timeout", 5),
    ("failover.stall_timeout", 4),
    ("failover.ready_timeout", 10),
    ("failover.give_up", 60),
    ("failover.retry_backoff", (0.5, 15)),
    ("auth.admin_token", None),
    ("auth.stream_token", None),
    ("auth.signing_key", None),
    ("sources.allow_networks", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")),
    ("sources.user_agent", None),
    ("relays", ()),
    ("playlists", ()),
]


def value_of(config: Config, key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part)
    return value


@pytest.mark.parametrize(("key", "default"), DEFAULTS)
def test_default(key: str, default: Any) -> None:
    assert value_of(load("", {}), key) == default


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "streams:\n  # all commented out\n", "relays:\n", "{}", "---\n", "﻿{}"]
)
def test_empty_is_the_defaults(text: str) -> None:
    assert load(text, {}) == Config()


def yaml_of(key: str, written: str) -> str:
    section, _, name = key.rpartition(".")
    return f"{section}:\n  {name}: {written}\n" if section else f"{name}: {written}\n"


@pytest.mark.parametrize(
    ("key", "written", "value"),
    [
        ("server.listen", "0.0.0.0:0", "0.0.0.0:0"),
        ("server.listen", '"[::1]:8080"', "[::1]:8080"),
        ("server.listen", "tv.example.org:80", "tv.example.org:80"),
        ("server.max_connections", "5000", 5000),
        ("server.max_connections", "null", None),
        ("server.public_url", "https://tv.example.org/base/", "https://tv.example.org/base"),
        ("server.send_buffer", "65536", 65536),
        ("streams.ring_size", "1.5MiB", 3 * MIB // 2),
        ("streams.ring_size", "512 KiB", 512 * 1024),
        ("streams.ring_max", "1GiB", 1 << 30),
        ("streams.idle_timeout", "90", 90),
        ("streams.idle_timeout", "0.25", 0.25),
        ("streams.idle_timeout", "250ms", 0.25),
        ("streams.idle_timeout", "2m", 120),
        ("streams.idle_timeout", "6h", 21600),
        ("streams.slow_lag", "60%", 0.6),
        ("streams.slow_lag", "0.6", 0.6),
        ("failover.retry_backoff", "1s to 1m", (1, 60)),
        ("auth.admin_token", "0123", "0123"),
        ("auth.admin_token", "on", "on"),
        ("sources.allow_networks", "[127.0.0.0/8, 10.1.2.3]", ("127.0.0.0/8", "10.1.2.3/32")),
        ("sources.allow_networks", "[]", ()),
        ("data_dir", "/var/lib/fastrelay", "/var/lib/fastrelay"),
    ],
)
def test_value(key: str, written: str, value: Any) -> None:
    assert value_of(load(yaml_of(key, written), {}), key) == value


RELAYS = """
relays:
  - name: 24
    output_path: 12_30
    source_urls: ["http://a.example/1.ts|User-Agent=Foo&Referer=http://b/", "exec:cat /dev/zero"]
  - {name: On, output_path: "on", source_urls: [file:///srv/a.ts]}
"""


def test_relays_keep_their_words() -> None:
    """YAML's own reading would make numbers and truth values of these."""
    first, second = load(RELAYS, {}).relays
    urls = ("http://a.example/1.ts|User-Agent=Foo&Referer=http://b/", "exec:cat /dev/zero")
    assert first == RelayEntry(name="24", output_path="12_30", source_urls=urls)
    assert (second.name, second.output_path) == ("On", "on")


def test_playlists() -> None:
    url = "http://p.example/get.php?username=u"
    text = f"playlists: [{{name: p, url: '{url}', refresh: 6h, include: [^News], merge: tvg-id}}]"
    (entry,) = load(text, {}).playlists
    assert entry == PlaylistEntry(name="p", url=url, refresh=21600.0, include=("^News",), merge="tvg-id")


def relay(**changes: str) -> str:
    fields = {"name": "n", "output_path": "p", "source_urls": "[http://a.example/]"} | changes
    return f"{{{', '.join(f'{key}: {value}' for key, value in fields.items() if value != '-')}}}"


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("sterams: {}", "sterams", "did you mean streams?"),
        ("streams: {ringsize: 1}", "streams.ringsize", "did you mean ring_size?"),
        ("auth: {zzz: 1}", "auth.zzz", "there are admin_token, stream_token, signing_key"),
        ("on: 1", "on", "is not a setting"),
        ("- a", "", "expected a mapping (key: value), got a list"),
        ("streams: 5", "streams", "expected a mapping (key: value), got text"),
        (
            "streams: {ring_size: 2MiB, ring_size: 2MiB}",
            "streams.ring_size",
            "is there twice, the second time in line 1",
        ),
        ("log: {}\nlog: {}", "log", "is there twice, the second time in line 2"),
        (f"relays: [{relay(name='a, name: b')}]", "relays[0].name", "twice"),
        ("? [a]\n: 1", "", "line 1: expected a plain word as key"),
        ("relays: &a [*a]", "relays" + "[0]" * 10, "contains itself"),
        ("streams: {ring_size: 2MB}", "streams.ring_size", "expected a size as in 65536 (bytes), 64KiB"),
        ("streams: {ring_size: 255KiB}", "streams.ring_size", "expected 256KiB to 4GiB, got '255KiB'"),
        ("streams: {ring_size: -1}", "streams.ring_size", "got '-1'"),
        ("streams: {ring_size: 0.5}", "streams.ring_size", "whole bytes"),
        (
            "streams: {ring_size: 8MiB, ring_max: 4MiB}",
            "streams.ring_size",
            "no more than streams.ring_max (4MiB), got 8MiB",
        ),
        ("streams: {flush_bytes: 4MiB}", "streams.flush_bytes", "no more than streams.ring_size (2MiB)"),
        ("passthrough: {channel_max: 1GiB}", "passthrough.channel_max", "no more than passthrough.cache_max"),
        ("streams: {ring_size: }", "streams.ring_size", "got nothing"),
        ("streams: {ring_size: [1]}", "streams.ring_size", "got a list"),
        ("streams: {idle_timeout: 0}", "streams.idle_timeout", "expected 1ms to 24h, got '0'"),
        ("streams: {idle_timeout: .inf}", "streams.idle_timeout", "expected a duration as in 30 (seconds)"),
        ("streams: {idle_timeout: 30 seconds}", "streams.idle_timeout", "got '30 seconds'"),
        ("streams: {idle_timeout: ٣s}", "streams.idle_timeout", "expected a duration"),
        ("streams: {slow_lag: 75}", "streams.slow_lag", "expected 5% to 95%, got '75'"),
        ("streams: {slow_lag: 100%}", "streams.slow_lag", "expected 5% to 95%"),
        ("failover: {retry_backoff: 15s}", "failover.retry_backoff", "as in 500ms to 15s, got '15s'"),
        ("failover: {retry_backoff: 15s to 1s}", "failover.retry_backoff", "from short to long"),
        ("failover: {retry_backoff: 0 to 1s}", "failover.retry_backoff", "above 0"),
        ("hls: {window: 2}", "hls.window", "expected 3 to 1000"),
        ("hls: {window: six}", "hls.window", "expected a whole number, got 'six'"),
        ("hls: {segment_duration: 500ms}", "hls.segment_duration", "expected 1s to 1m"),
        ("server: {listen: 8080}", "server.listen", "expected HOST:PORT"),
        ("server: {listen: '127.0.0.1:65536'}", "server.listen", "expected HOST:PORT"),
        ("server: {listen: '127.0.0.300:80'}", "server.listen", "expected HOST:PORT"),
        ("server: {listen: '::1:80'}", "server.listen", "[::]:8080"),
        ("server: {listen: ':80'}", "server.listen", "0.0.0.0:8080"),
        ("server: {max_connections: 0}", "server.max_connections", "expected 1 to"),
        ("server: {tls_cert: a.pem}", "server.tls_key", "because server.tls_cert is set"),
        ("server: {tls_key: a.pem}", "server.tls_cert", "because server.tls_key is set"),
        ("server: {public_url: tv.example.org}", "server.public_url", "expected http://HOST"),
        ("server: {public_url: 'http://h/?a=b'}", "server.public_url", "without user and query"),
        ("server: {public_url: 'http://h:99999'}", "server.public_url", "expected"),
        ("server: {public_url: 'http://[h'}", "server.public_url", "expected"),
        ("log: {level: verbose}", "log.level", "expected debug or info or warning or error, got 'verbose'"),
        ("log: {format: xml}", "log.format", "expected text or json"),
        ("data_dir: ''", "data_dir", "expected text of one line"),
        ("sources: {allow_networks: [10.0.0.0/8, 10/8]}", "sources.allow_networks[1]", "expected a network as in"),
        ("sources: {allow_networks: [10.0.0.1/8]}", "sources.allow_networks[0]", "bits are set behind the prefix"),
        ("sources: {allow_networks: {a: b}}", "sources.allow_networks", "expected a list, got a mapping"),
        ("relays: {a: b}", "relays", "expected a list, got a mapping"),
        ("relays: [news]", "relays[0]", "expected a mapping (key: value), got text"),
        (f"relays: [{relay(name='-')}]", "relays[0].name", "expected, but it is not there"),
        (f"relays: [{relay(url='x')}]", "relays[0].url", "is not a setting"),
        (f"relays: [{relay(name='')}]", "relays[0].name", "got nothing"),
        (f"relays: [{relay(output_path='a/b')}]", "relays[0].output_path", "letters (a-z, A-Z), digits, '-' or '_'"),
        (f"relays: [{relay()}, {relay()}]", "relays[1].output_path", "'p' is already relays[0]'s"),
        (f"relays: [{relay(source_urls='[]')}]", "relays[0].source_urls", "expected a list of 1 to 16, got 0"),
        (f"relays: [{relay(source_urls='http://a/')}]", "relays[0].source_urls", "expected a list, got text"),
        (
            f"relays: [{relay(source_urls='[http://a/, gopher://b/]')}]",
            "relays[0].source_urls[1]",
            "'gopher' is not supported",
        ),
        (
            "playlists: [{name: a, url: udp://@239.1.1.1:5}]",
            "playlists[0].url",
            "http or https or file, got one with udp",
        ),
        ("playlists: [{name: a, url: http://a/, include: ['(']}]", "playlists[0].include[0]", "a regular expression"),
        ("playlists: [{name: a, url: http://a/, merge: name}]", "playlists[0].merge", "expected tvg-id"),
        ("playlists: [{name: a, url: http://a/}, {name: a, url: http://b/}]", "playlists[1].name", "one of its own"),
        ("playlists: [{name: a, url: http://a/, refresh: 10ms}]", "playlists[0].refresh", "expected 1s to 720h"),
        ("server:\n  listen: [1\n", "", "line 3, column 1: expected YAML: "),
        ("a: b: c", "", "line 1, column 5: expected YAML: "),
        ("a: 1\n---\nb: 2", "", "expected YAML: "),
        ("a: \x00", "", "expected YAML"),
        ("a: \ud800", "", "expected YAML"),
        ("[" * 100, "", "expected at most 10 levels"),
        # libyaml may give up first, in words of its own.
        ("[" * 100_000, "", "expected "),
    ],
)
def test_mistake(text: str, path: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text, {})
    assert caught.value.path == path
    assert expected in caught.value.expected
    assert str(caught.value) == (f"{path}: {caught.value.expected}" if path else caught.value.expected)


SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f"auth: {{admin_token: '{SECRET} '}}",
        f"auth: {{admin_token: [{SECRET}]}}",
        f"auth: {{signing_key: {{{SECRET}: 1}}}}",
        f"auth: {SECRET}",
        f"auth: {{admin_token: *{SECRET}}}",
        f"auth: {{admin_token: !{SECRET}!x y}}",
        f"auth: {{admin_token: &{SECRET} x, stream_token: &{SECRET} '{SECRET} '}}",
        f"server: {{public_url: 'http://u:{SECRET}@h/?'}}",
        f"relays: [{relay(source_urls=f'[http://u:{SECRET}@:1/]')}]",
        f"relays: [{relay(source_urls=f'[u:{SECRET}@host]')}]",
        f"relays: [{relay(source_urls=f'http://u:{SECRET}@host/')}]",
        f"playlists: [{{name: a, url: 'udp://@1.2.3.4:5?token={SECRET}'}}]",
    ],
)
@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
def test_no_mistake_shows_a_secret(text: str, loader: type[yaml.SafeLoader], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without libyaml the messages quote what they stumbled over."""
    monkeypatch.setattr(tree, "_Loader", loader)
    with pytest.raises(ConfigError) as caught:
        load(text, {})
    assert SECRET not in str(caught.value)


def test_a_token_in_the_wrong_shape_tells_its_length_only() -> None:
    with pytest.raises(ConfigError, match=r"auth\.admin_token: expected 1 to 1024 visible ASCII .* got 3"):
        load("auth: {admin_token: 'a b'}", {})


@settings(deadline=None, max_examples=150)
@given(st.recursive(st.none() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3), max_leaves=6))
def test_any_tree_anywhere_is_a_value_or_a_config_error(written: Any) -> None:
    for key, _ in DEFAULTS:
        with contextlib.suppress(ConfigError):
            load(yaml_of(key, json.dumps(written)), {})


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=60))
def test_any_text_is_a_config_or_a_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        load(text, {})
