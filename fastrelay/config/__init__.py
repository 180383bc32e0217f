"""The configuration: `load` makes a checked `Config` of a YAML text and the environment.

YAML scalars are taken as the text that was written, never as what YAML would guess (`on`, `0123`, `12:30`), and each
setting's own reader makes a value of it. So a file and an environment variable are read by the same rules.
"""

from collections.abc import Mapping

from fastrelay.config.environment import read_environment
from fastrelay.config.settings import assemble, flatten, read
from fastrelay.config.shape import (
    Auth,
    Config,
    Failover,
    Hls,
    Log,
    Passthrough,
    PlaylistEntry,
    RelayEntry,
    Server,
    Sources,
    Streams,
)
from fastrelay.config.tree import parse_yaml

__all__ = [
    "Auth",
    "Config",
    "Failover",
    "Hls",
    "Log",
    "Passthrough",
    "PlaylistEntry",
    "RelayEntry",
    "Server",
    "Sources",
    "Streams",
    "load",
]


def load(text: str, environ: Mapping[str, str], options: Mapping[str, str] | None = None) -> Config:
    """The configuration of a YAML text, each setting overridden by `FASTRELAY_<SECTION>__<KEY>` where that is set.
    `options` are the variables that a command line option stands behind, with its name.

    Raises ConfigError with the exact key path (`relays[0].source_urls[1]`) and what was expected; the text never
    holds a credential.
    """
    values = read(flatten(parse_yaml(text)))
    return assemble(values | read_environment(environ, options or {}))
