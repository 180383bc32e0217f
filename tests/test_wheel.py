"""The wheel has the pages and what they take from npm, with the licences, and runs without the repository."""

import asyncio
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fastrelay import web
from tests.kit.viewer import fetch

ROOT = Path(__file__).parents[1]
PAGES = ("dashboard.html", "watch.html", "style.css", "favicon.svg", "dashboard.js", "player.js")
LICENCES = ("es6-promise", "events", "hls.js", "mpegts.js", "uplot", "uqr")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if web.read("vendor/hls.js") is None:
        pytest.skip("npm could not fetch the players: nothing to look for")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


def test_it_holds_the_pages_and_what_they_need(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"fastrelay/web/{name}" for name in PAGES} <= names
    assert {f"fastrelay/web/vendor/{name}" for name in web.VENDOR} <= names
    assert {f"fastrelay/web/vendor/licences/{name}.txt" for name in LICENCES} <= names
    assert not [
        name for name in names if "node_modules" in name or name.endswith(("package.json", "package-lock.json"))
    ]


def test_every_file_that_a_page_asks_for_is_there() -> None:
    """Modules ask for each other by name, so a forgotten one would be seen in a browser only."""
    for file in (ROOT / "fastrelay/web").glob("*.*"):
        if file.suffix in (".html", ".js"):
            text = file.read_text()
            asked = re.findall(r"""["'](?:/web|\.)/((?:vendor/)?[\w.-]+\.(?:js|css|svg))["']""", text)
            for name in asked:
                assert (ROOT / "fastrelay/web" / name).exists() or name.startswith("vendor/"), f"{file.name}: {name}"
                assert not name.startswith("vendor/") or name.removeprefix("vendor/") in web.VENDOR, (
                    f"{file.name}: {name}"
                )


@pytest.mark.parametrize(("page", "first"), [("dashboard.html", "dashboard.js"), ("watch.html", "watch.js")])
def test_a_page_names_all_its_modules_at_once(page: str, first: str) -> None:
    """Else a browser learns of them one after the other, with a way to the server and back for each. What is imported
    later does not stand in the way of what is needed first."""
    folder, needed = ROOT / "fastrelay/web", set[str]()
    waiting = [first]
    while waiting:
        name = waiting.pop()
        needed.add(name)
        waiting += set(re.findall(r"from '\./([\w.]+)'", (folder / name).read_text())) - needed
    later = set(re.findall(r"import\('\./([\w.]+)'\)", (folder / first).read_text()))
    text = (folder / page).read_text()
    named = set(re.findall(r'rel="modulepreload" href="/web/([\w.]+)">', text))
    named_later = set(re.findall(r'rel="modulepreload" href="/web/([\w.]+)" fetchpriority="low">', text))
    assert (named, named_later) == (needed - {first}, later)


async def test_the_demo_runs_with_its_pages_out_of_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    # Isolated from the repository: its own package is found first, the dependencies in the environment.
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from fastrelay.cli import main; main()"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", program, "demo", "--listen", "127.0.0.1:0",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, cwd=tmp_path,
    )  # fmt: skip
    try:
        assert process.stdout
        async with asyncio.timeout(40):
            while not (found := re.search(rb"http://127\.0\.0\.1:\d+", await process.stdout.readline())):
                pass
        base = found[0].decode()
        for path in ("/", "/watch/demo", "/web/dashboard.js", "/web/vendor/hls.js", "/web/vendor/mpegts.js"):
            assert (await fetch(base + path)).status == 200, path
        assert (await fetch(base + "/api/streams/status")).json() == {"total_streams": 0, "streams": []}
    finally:
        process.terminate()
        await process.wait()
