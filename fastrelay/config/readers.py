"""Readers: each makes one kind of value of what was written for a setting, or says what was expected and what came."""

import ipaddress
import re
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from fastrelay.config.relay_fields import check_name
from fastrelay.config.tree import Tree
from fastrelay.config.units import (
    parse_duration,
    parse_listen,
    parse_part,
    parse_size,
    show_duration,
    show_size,
)
from fastrelay.errors import ConfigError
from fastrelay.wire.redact import redact
from fastrelay.wire.source_url import parse_source_url

Value = TypeVar("Value")
Number = TypeVar("Number", int, float)
Reader = Callable[[str, Tree], Value]
"""Takes the key path and the tree below it. Raises ConfigError."""

_VISIBLE = re.compile(r"[!-~]{1,1024}")
_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{1,4096}")
_PUBLIC_URL = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+(/[!-~]*)?")
_SHOWN = 100


def unexpected(path: str, expected: str, tree: Tree) -> ConfigError:
    """The error for `tree`, which is shown with the credentials of its URLs hidden."""
    return ConfigError(path, f"{expected}, got {_came(tree)}")


def _came(tree: Tree) -> str:
    if isinstance(tree, str):
        text = redact(tree)
        return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
    return "nothing" if tree is None else _kind(tree)


def _kind(tree: Tree) -> str:
    return "a mapping" if isinstance(tree, dict) else "a list" if isinstance(tree, list) else "text"


# --- one scalar ----------------------------------------------------------------------------------------------------


def scalar(parse: Callable[[str], Value], expected: str) -> Reader[Value]:
    """Reads with `parse`, whose ValueError says what was expected; `expected` is for what is no scalar at all."""

    def read(path: str, tree: Tree) -> Value:
        if not isinstance(tree, str):
            raise unexpected(path, f"expected {expected}", tree)
        try:
            return parse(tree)
        except ValueError as error:
            raise unexpected(path, str(error), tree) from None

    return read


def _within(
    parse: Callable[[str], Number], least: Number, most: Number, show: Callable[[Number], str]
) -> Reader[Number]:
    def check(text: str) -> Number:
        value = parse(text)
        if not least <= value <= most:
            raise ValueError(f"expected {show(least)} to {show(most)}")
        return value

    return scalar(check, f"{show(least)} to {show(most)}")


def duration(least: float, most: float) -> Reader[float]:
    """Seconds."""
    return _within(parse_duration, least, most, show_duration)


def size(least: int, most: int) -> Reader[int]:
    """Bytes."""
    return _within(parse_size, least, most, show_size)


def part(least: float, most: float) -> Reader[float]:
    """A part of 1."""
    return _within(parse_part, least, most, lambda value: f"{value:.0%}")


def count(least: int, most: int) -> Reader[int]:
    """A whole number."""
    return _within(_parse_count, least, most, str)


def _parse_count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,15}", text):
        raise ValueError("expected a whole number")
    return int(text)


def choice(*words: str) -> Reader[str]:
    """One of these words."""

    def check(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected {' or '.join(words)}")
        return text

    return scalar(check, " or ".join(words))


def optional(reader: Reader[Value]) -> Reader[Value | None]:
    """Nothing (an empty YAML value) is None."""
    return lambda path, tree: None if tree is None else reader(path, tree)


def _line(text: str) -> str:
    if not _LINE.fullmatch(text) or not text.strip():
        raise ValueError("expected text of one line")
    return text


def _listen(text: str) -> str:
    parse_listen(text)
    return text


def _public_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = _PUBLIC_URL.fullmatch(text) and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise ValueError("expected http://HOST[:PORT][/PATH] or https://…, without user and query")
    return text.rstrip("/")


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        hint = " (bits are set behind the prefix)" if "host bits" in str(error) else ""
        raise ValueError(f"expected a network as in 10.0.0.0/8 or fc00::/7{hint}") from None


def _name(text: str) -> str:
    check_name(text)
    return text


line = scalar(_line, "text of one line")
listen = scalar(_listen, "HOST:PORT")
public_url = scalar(_public_url, "an http:// or https:// URL")
name = scalar(_name, "a name")
_networks = scalar(_network, "a network as in 10.0.0.0/8")


# --- what may be secret: what came is never shown ------------------------------------------------------------------


def secret(path: str, tree: Tree) -> str:
    """A token or key: visible ASCII, because it travels in headers and query strings."""
    if not isinstance(tree, str):
        raise unexpected(path, "expected text", tree)
    if not _VISIBLE.fullmatch(tree):
        raise ConfigError(path, f"expected 1 to 1024 visible ASCII characters without spaces, got {len(tree)} others")
    return tree


def url(*schemes: str) -> Reader[str]:
    """A source URL of one of these schemes (of any, without)."""

    def read(path: str, tree: Tree) -> str:
        if not isinstance(tree, str):
            raise unexpected(path, "expected a URL", tree)
        try:
            scheme = parse_source_url(tree).scheme
        except ValueError as error:
            raise ConfigError(path, str(error)) from None
        if schemes and scheme not in schemes:
            raise ConfigError(path, f"expected a URL with {' or '.join(schemes)}, got one with {scheme}")
        return tree

    return read


# --- several -------------------------------------------------------------------------------------------------------


def several(reader: Reader[Value], least: int = 0, most: int = 100_000) -> Reader[tuple[Value, ...]]:
    """A list; its parts' paths are `path[0]`, `path[1]`, … Nothing at all is the empty list."""

    def read(path: str, tree: Tree) -> tuple[Value, ...]:
        items = [] if tree is None else tree
        if not isinstance(items, list):
            raise ConfigError(path, f"expected a list, got {_kind(items)}")
        if not least <= len(items) <= most:
            raise ConfigError(path, f"expected a list of {least} to {most}, got {len(items)}")
        return tuple(reader(f"{path}[{index}]", item) for index, item in enumerate(items))

    return read


def networks(path: str, tree: Tree) -> tuple[str, ...]:
    """CIDRs as a list, or with commas between them, as fits an environment variable."""
    parts: Tree = [part.strip() for part in tree.split(",")] if isinstance(tree, str) else tree
    return several(_networks)(path, parts)


def backoff(path: str, tree: Tree) -> tuple[float, float]:
    """`500ms to 15s`: the first pause and the longest, in seconds."""
    expected = "expected two durations from short to long as in 500ms to 15s"
    if not isinstance(tree, str):
        raise unexpected(path, expected, tree)
    first, _, last = tree.partition(" to ")
    try:
        pauses = parse_duration(first.strip()), parse_duration(last.strip())
    except ValueError:
        raise unexpected(path, expected, tree) from None
    if not 0 < pauses[0] <= pauses[1] <= 3600:
        raise unexpected(path, f"{expected}, above 0 and up to 1h", tree)
    return pauses


def pattern(path: str, tree: Tree) -> str:
    """A regular expression."""
    text = line(path, tree)
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise unexpected(path, f"expected a regular expression ({error})", tree) from None
    return text
