"""Settings from the environment."""

import pytest

from fastrelay.config import load
from fastrelay.config.environment import variable
from fastrelay.config.settings import SETTINGS
from fastrelay.errors import ConfigError

EXAMPLES = {
    "server.listen": "0.0.0.0:80",
    "server.public_url": "http://a",
    "log.level": "debug",
    "log.format": "json",
    "streams.slow_lag": "50%",
    "failover.retry_backoff": "1 to 2",
    "sources.allow_networks": "127.0.0.0/8, ::1/128",
    "relays": "[{name: n, output_path: p, source_urls: [http://a/]}]",
    "playlists": "[{name: n, url: http://a/}]",
}


@pytest.mark.parametrize("key", SETTINGS)
def test_every_setting_has_its_variable(key: str) -> None:
    environ = {variable(key): EXAMPLES.get(key, "1MiB" if key.endswith(("_size", "_max", "buffer", "bytes")) else "7")}
    if key.startswith("server.tls"):
        environ |= {"FASTRELAY_SERVER__TLS_CERT": "7", "FASTRELAY_SERVER__TLS_KEY": "7"}
    if key == "passthrough.cache_max":
        environ["FASTRELAY_PASSTHROUGH__CHANNEL_MAX"] = "1MiB"
    if key == "streams.ring_max":
        environ["FASTRELAY_STREAMS__RING_SIZE"] = "1MiB"
    if key == "streams.join_behind":
        environ[variable(key)] = "1"
    if key == "streams.flush_delay":
        environ[variable(key)] = "50ms"
    assert load("", environ) != load("", {})


def test_names() -> None:
    assert variable("server.listen") == "FASTRELAY_SERVER__LISTEN"
    assert variable("data_dir") == "FASTRELAY_DATA_DIR"
    assert variable("relays") == "FASTRELAY_RELAYS"


def test_the_environment_wins_over_the_file() -> None:
    config = load("streams: {idle_timeout: 5, slow_time: 6}", {"FASTRELAY_STREAMS__IDLE_TIMEOUT": "1m"})
    assert (config.streams.idle_timeout, config.streams.slow_time) == (60.0, 6.0)


def test_text_is_taken_as_it_is_not_as_yaml() -> None:
    token = "{a:#b}"
    assert load("", {"FASTRELAY_AUTH__ADMIN_TOKEN": token}).auth.admin_token == token


@pytest.mark.parametrize(
    "name", ["FASTRELAY_MEDIA", "FASTRELAY_SERVICE_HOST", "FASTRELAY", "PATH__X", "XFASTRELAY_A__B"]
)
def test_names_of_others_are_left_alone(name: str) -> None:
    assert load("", {name: "x"}) == load("", {})


@pytest.mark.parametrize(
    ("name", "text", "path", "expected"),
    [
        (
            "FASTRELAY_STREAMS__RINGSIZE",
            "1",
            "FASTRELAY_STREAMS__RINGSIZE",
            "did you mean FASTRELAY_STREAMS__RING_SIZE?",
        ),
        ("FASTRELAY_server__listen", "1", "FASTRELAY_server__listen", "is not a setting"),
        (
            "FASTRELAY_STREAMS__RING_SIZE",
            "1",
            "streams.ring_size",
            "(in the environment variable FASTRELAY_STREAMS__RING_SIZE)",
        ),
        ("FASTRELAY_AUTH__ADMIN_TOKEN", "", "auth.admin_token", "expected 1 to 1024 visible"),
        ("FASTRELAY_RELAYS", "[{name: a}]", "relays[0].output_path", "FASTRELAY_RELAYS"),
        ("FASTRELAY_RELAYS", "[{", "relays", "expected YAML"),
        ("FASTRELAY_SOURCES__ALLOW_NETWORKS", "10.0.0.0/8,x", "sources.allow_networks[1]", "got 'x'"),
    ],
)
def test_mistake(name: str, text: str, path: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load("", {name: text})
    assert caught.value.path == path
    assert expected in caught.value.expected
