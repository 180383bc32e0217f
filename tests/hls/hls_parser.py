"""npm's hls-parser in strict mode, installed once beside the other things tests keep between sessions."""

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

PACKAGE = "hls-parser@0.16.1"

_PROGRAM = """
const HLS = require('hls-parser');
HLS.setOptions({strictMode: true, silent: true});
const texts = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const refused = [];
for (const text of texts) {
  try { HLS.parse(text); } catch (error) { refused.push(`${error.message}\\n${text}`); }
}
process.stdout.write(JSON.stringify(refused));
"""


def refused(playlists: list[bytes]) -> list[str]:
    """The playlists that it does not accept, with why. Skips the test where node, npm or the registry is missing."""
    node, folder = shutil.which("node"), _installed()
    if node is None:
        pytest.skip("node is not installed")
    texts = json.dumps([playlist.decode() for playlist in playlists])
    ran = subprocess.run(
        [node, "-e", _PROGRAM], input=texts, capture_output=True, text=True, cwd=folder, check=True, timeout=60
    )
    found: list[str] = json.loads(ran.stdout)
    return found


def _installed() -> Path:
    folder = Path(tempfile.gettempdir()) / f"fastrelay-node-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    assert folder.stat().st_uid == os.getuid(), f"{folder} belongs to somebody else"
    npm = shutil.which("npm")
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / f"{PACKAGE}.done"
        if done.exists():
            return folder
        if npm is None:
            pytest.skip("npm is not installed")
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), PACKAGE]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=60)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            pytest.skip(f"npm cannot install {PACKAGE}: no registry in reach")
        done.touch()
    return folder
