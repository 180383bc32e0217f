"""What differs between two configurations."""

from typing import Any

from fastrelay.config.settings import SETTINGS
from fastrelay.config.shape import Config


def setting(config: Config, key: str) -> Any:
    """The value of a setting, by its key as in `streams.ring_size`."""
    section, _, name = key.rpartition(".")
    return getattr(getattr(config, section) if section else config, name)


def changed_settings(old: Config, new: Config) -> list[str]:
    """The keys of the settings that differ. Never their values: some are secret."""
    return [key for key in SETTINGS if setting(old, key) != setting(new, key)]
