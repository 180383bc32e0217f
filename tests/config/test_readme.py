"""The table of settings in the README: complete, in order, and its defaults are the defaults."""

import re
from pathlib import Path

from fastrelay.config import Config
from fastrelay.config.changes import setting
from fastrelay.config.settings import SETTINGS

README = Path(__file__).parents[2] / "README.md"
ROW = re.compile(r"^\| `([a-z_.]+)` \| (.+?) \| (.+) \|$", re.MULTILINE)


def rows() -> list[tuple[str, str, str]]:
    table = README.read_text(encoding="utf-8").partition("| key | default | meaning |")[2].partition("\n\n")[0]
    return ROW.findall(table)


def test_every_setting_is_in_the_table() -> None:
    assert [key for key, _, _ in rows()] == list(SETTINGS)


def test_the_defaults_are_the_defaults() -> None:
    """In code: as it may be written in a file. Where there is none, words say what happens."""
    for key, shown, _ in rows():
        default = setting(Config(), key)
        assert (shown[0] == "`") == (default not in (None, ())), key
        if shown[0] == "`":
            assert SETTINGS[key](key, shown.strip("`")) == default, key


def test_files_it_links_to_exist() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert len(links) > 5
    assert [link for link in links if "://" not in link and not (README.parent / link).exists()] == []
