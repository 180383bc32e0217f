"""The files an operator installs: what can be tried of them without the machines that they are for."""

import asyncio
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fastrelay.config.environment import VARIABLES
from tests.kit.server import ROOT, Server

CONFIG = ROOT / "config"
UNIT = (CONFIG / "fastrelay.service").read_text()
DOCKERFILE = (CONFIG / "Dockerfile").read_text()


def analyze(*arguments: str, unit: Path) -> str:
    """What systemd-analyze says; it must be content."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run(["systemd-analyze", *arguments, str(unit)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with this environment's program in the place of the installed one."""
    text, count = re.subn(r"/opt/fastrelay/bin/fastrelay", str(Path(sys.executable).with_name("fastrelay")), UNIT)
    assert count == 2
    path = tmp_path / "fastrelay.service"
    path.write_text(text)
    return path


def test_systemd_understands_the_unit(unit: Path) -> None:
    assert analyze("verify", "--man=no", unit=unit) == ""


def test_the_unit_gives_the_server_little_to_break(unit: Path) -> None:
    """The score goes from 0 to 10; 2.0 is what systemd calls OK."""
    analyze("security", "--offline=true", "--threshold=20", unit=unit)


def test_what_the_unit_names_is_there(tmp_path: Path) -> None:
    lines = dict(line.split("=", 1) for line in UNIT.splitlines() if line.startswith(("Exec", "Environment=")))
    (tmp_path / "fastrelay").mkdir()
    shutil.copy(CONFIG / "fastrelay.yaml", tmp_path / "fastrelay")
    _, *check = shlex.split(lines["ExecStartPre"].replace("%E", str(tmp_path)))
    assert subprocess.run([sys.executable, "-m", "fastrelay", *check], check=False).returncode == 0
    _, *serve = shlex.split(lines["ExecStart"])
    assert serve == ["serve", "--config", check[1].replace(str(tmp_path), "%E")]
    assert lines["Environment"].partition("=")[0] in VARIABLES


async def test_the_image_asks_a_server_for_its_health() -> None:
    found = re.search(r"^HEALTHCHECK.*?CMD (\[.*?\])$", DOCKERFILE, re.MULTILINE | re.DOTALL)
    assert found is not None
    command = json.loads(found[1])
    async with Server() as server:
        assert command[0] == "python"
        here = [part.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}") for part in command[1:]]
        process = await asyncio.create_subprocess_exec(sys.executable, *here)
        assert await process.wait() == 0
        await server.stop()
        process = await asyncio.create_subprocess_exec(sys.executable, *here, stderr=asyncio.subprocess.DEVNULL)
        assert await process.wait() != 0


def test_the_container_has_no_more_than_it_needs() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 8080:8080$", last, re.MULTILINE) and "npm" not in last
    service = yaml.safe_load((CONFIG / "compose.yaml").read_text())["services"]["fastrelay"]
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert "data:/var/lib/fastrelay" in service["volumes"] and "VOLUME /var/lib/fastrelay" in last
    mounted = {volume.split(":")[1] for volume in service["volumes"]}
    assert set(service["command"]) & mounted, "the configuration it names is mounted"
    assert Path(CONFIG / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
