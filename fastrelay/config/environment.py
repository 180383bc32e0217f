"""Settings from the environment: `FASTRELAY_STREAMS__RING_SIZE` is `streams.ring_size`."""

from collections.abc import Mapping
from typing import Any

from fastrelay.config.settings import LISTS, SETTINGS, suggest
from fastrelay.config.tree import Tree, parse_yaml
from fastrelay.errors import ConfigError

PREFIX = "FASTRELAY_"


def variable(key: str) -> str:
    """The name of the variable that sets `key`."""
    return PREFIX + key.replace(".", "__").upper()


VARIABLES = {variable(key): key for key in SETTINGS}


def read_environment(environ: Mapping[str, str], options: Mapping[str, str]) -> dict[str, Any]:
    """The values of the settings that the environment sets, by key. `options`: which variables are command line
    options in truth, and what they are called there.

    Raises ConfigError, also for a name with our prefix and two underscores that is no setting. Names without them
    belong to others: Kubernetes alone adds FASTRELAY_SERVICE_HOST to a pod beside a service of this name.
    """
    unknown = next(
        (name for name in environ if name.startswith(PREFIX) and "__" in name and name not in VARIABLES), None
    )
    if unknown is not None:
        raise ConfigError(unknown, f"is not a setting{suggest(unknown, list(VARIABLES))}")
    told = {name: options.get(name, f"the environment variable {name}") for name in VARIABLES}
    return {key: _read(told[name], key, environ[name]) for name, key in VARIABLES.items() if name in environ}


def _read(told: str, key: str, text: str) -> Any:
    try:
        tree: Tree = parse_yaml(text) if key in LISTS else text
        return SETTINGS[key](key, tree)
    except ConfigError as error:
        raise ConfigError(error.path or key, f"{error.expected} (in {told})") from None
