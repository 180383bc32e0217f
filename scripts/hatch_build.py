"""Puts the players and plots that the pages use into `fastrelay/web/vendor`, from the npm packages that
`fastrelay/web/package-lock.json` pins: the repository holds none of their code. Run by hatchling before a wheel is
built or the package is installed; without npm the package is made without them, and the pages say what is missing."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FILES = {
    "hls.js": "hls.js/dist/hls.min.mjs",
    "hls.worker.js": "hls.js/dist/hls.worker.js",
    "mpegts.js": "mpegts.js/dist/mpegts.js",
    "qr.js": "uqr/dist/index.mjs",
    "uplot.css": "uplot/dist/uPlot.min.css",
    "uplot.js": "uplot/dist/uPlot.esm.js",
}
"""What is taken, by its name in `vendor`."""
BUNDLED = ("es6-promise", "events")
"""Within mpegts.js."""


class VendorHook(BuildHookInterface[Any]):
    """Hatchling's custom hook of the wheel target."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        web = Path(self.root, "fastrelay/web")
        vendor = web / "vendor"
        wanted: dict[str, str] = json.loads((web / "package.json").read_text())["dependencies"]
        if not _installed(web, wanted) and not self._install(web):
            return
        shutil.rmtree(vendor, ignore_errors=True)
        (vendor / "licences").mkdir(parents=True)
        for name, source in FILES.items():
            shutil.copyfile(web / "node_modules" / source, vendor / name)
        for package in (*wanted, *BUNDLED):
            shutil.copyfile(web / "node_modules" / package / "LICENSE", vendor / "licences" / f"{package}.txt")

    def _install(self, web: Path) -> bool:
        """Fetch the packages; False where that is impossible."""
        npm = shutil.which("npm")
        command = [npm or "npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
        if npm and subprocess.run(command, cwd=web, stdout=subprocess.DEVNULL).returncode == 0:
            return True
        why = "it could not fetch the packages" if npm else "it is not installed"
        self.app.display_warning(f"npm: {why}. fastrelay is installed without the players of its web pages.")
        return False


def _installed(web: Path, wanted: dict[str, str]) -> bool:
    """Whether node_modules has exactly these versions, whoever put them there."""
    for package, version in wanted.items():
        description = web / "node_modules" / package / "package.json"
        if not description.exists() or json.loads(description.read_text())["version"] != version:
            return False
    return True
