"""config/fastrelay.yaml: true to the defaults, complete, and its examples are valid."""

import re
from pathlib import Path

import msgspec
import pytest

from fastrelay.config import Config, PlaylistEntry, RelayEntry, load
from fastrelay.config.settings import SETTINGS

SAMPLE = Path(__file__).parents[2] / "config" / "fastrelay.yaml"
PROSE = re.compile(r"^( *)#(?! \S|$)", re.MULTILINE)
"""Settings are commented out with a bare `#`; prose has one space behind it."""


@pytest.fixture
def text() -> str:
    return SAMPLE.read_text(encoding="utf-8")


def uncommented(text: str) -> str:
    return PROSE.sub(r"\1", text)


def test_the_sample_is_the_defaults(text: str) -> None:
    assert load(text, {}) == Config()


def test_every_example_in_the_sample_is_valid(text: str) -> None:
    config = load(uncommented(text), {})
    assert [relay.output_path for relay in config.relays] == ["news", "sport"]
    assert config.playlists[0].refresh == 6 * 3600
    assert config.server.tls_key == "/etc/fastrelay/key.pem"


def keys(text: str) -> set[str]:
    """The settings a text names, by key."""
    found: set[str] = set()
    section = ""
    for line in text.splitlines():
        if match := re.match(r"^( *)(?:- )?([a-z_]+):", line):
            section = match[2] if not match[1] else section
            found.add(f"{section}.{match[2]}" if match[1] else section)
    return found


def test_every_setting_is_in_the_sample(text: str) -> None:
    there = keys(uncommented(text))
    entries = {f"relays.{field.name}" for field in msgspec.structs.fields(RelayEntry)}
    entries |= {f"playlists.{field.name}" for field in msgspec.structs.fields(PlaylistEntry)}
    assert (set(SETTINGS) | entries) - there == set()


def test_every_setting_with_a_default_is_live_in_the_sample(text: str) -> None:
    config, live = Config(), keys(text)
    for key in SETTINGS:
        section, _, name = key.rpartition(".")
        default = getattr(getattr(config, section) if section else config, name)
        assert (key in live) == (default not in (None, ())), key


def test_settings_and_structs_name_the_same_keys() -> None:
    named: set[str] = set()
    for field in msgspec.structs.fields(Config):
        is_section = isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
        inner = msgspec.structs.fields(field.type) if is_section else ()
        named |= {f"{field.name}.{part.name}" for part in inner} or {field.name}
    assert named == set(SETTINGS)
