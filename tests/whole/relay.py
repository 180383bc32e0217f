"""A server with one relay, `a`, the way nearly every test here wants it."""

from typing import Any

from tests.kit.server import Server


def relay(*source_urls: str, **config: dict[str, Any]) -> Server:
    """A server with the relay `a` of these sources, and a short idle timeout unless `config` says otherwise."""
    streams = {"idle_timeout": "1s", **config.pop("streams", {})}
    entry = {"name": "A", "output_path": "a", "source_urls": list(source_urls)}
    return Server({"relays": [entry], "streams": streams, **config})


PATH = "/stream/a"
