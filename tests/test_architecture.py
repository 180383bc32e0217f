"""The rooms keep their walls: imports go down only, and pure rooms have no IO and no clock."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastrelay

ROOT = Path(fastrelay.__file__).parent

ROWS = (
    {"__main__"},
    {"cli"},
    {"importer"},
    {"app", "probe"},
    {"logs", "memory", "notify"},
    {"server", "endpoints"},
    {"passthrough"},
    {"streams"},
    {"sources", "catalog"},
    {"ring", "hls"},
    {"mpegts", "wire"},
    {"config", "demo", "metrics", "web"},
    {"errors", ""},
)
"""From the top down; a room may import from rows below its own only."""

# The configuration and the logs speak of source URLs in the words of the wire: its pure URL parser and redaction.
ALLOWED_UP = {("config", "wire"), ("logs", "wire")}

PURE = {"mpegts", "wire", "ring", "hls", "config", "metrics", "errors"}
IO_MODULES = {
    "aiohttp",
    "asyncio",
    "io",
    "logging",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "select",
    "selectors",
    "signal",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "uvloop",
}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, also within functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module is not None
            yield node.module


def row_of(room: str) -> int:
    rows = [number for number, row in enumerate(ROWS) if room in row]
    assert rows, f"{room} stands on no row"
    return rows[0]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    room = room_of(path)
    for name in imports(path):
        package, _, rest = name.partition(".")
        if package != "fastrelay":
            continue
        other = rest.partition(".")[0]
        assert other == room or (room, other) in ALLOWED_UP or row_of(other) > row_of(room), f"{room} imports {name}"


def says_it_is_pure(path: Path) -> bool:
    """Whether its first docstring does, in a word: the cores among the files that do IO."""
    return re.search(r"\bPure[.:]", ast.get_docstring(ast.parse(path.read_text())) or "") is not None


def pure_modules() -> list[Path]:
    """All of the pure rooms but what `python -m` runs: a command line around them reads and writes files. And, in the
    other rooms, what says that it is pure."""
    pure = [path for path in modules() if room_of(path) in PURE or says_it_is_pure(path)]
    return [path for path in pure if path.name != "__main__.py"]


@pytest.mark.parametrize("path", pure_modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_pure_has_no_io_and_no_clock(path: Path) -> None:
    assert not {name.partition(".")[0] for name in imports(path)} & IO_MODULES
    opened = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"open", "print", "input"}
    ]
    assert not opened


def test_nothing_imports_a_command_line() -> None:
    assert not [path for path in modules() for name in imports(path) if name.endswith(".__main__")]
