"""VLC without a screen, where it is installed: what a real player makes of a stream."""

import os
import shutil
import subprocess
from dataclasses import dataclass

import pytest

BAD_WORDS = ("main error", "discontinuity received", "cannot", "unable to open", "late picture")


@dataclass(frozen=True)
class Played:
    """What VLC said while it played."""

    log: str

    @property
    def started(self) -> bool:
        """Did it decode a picture?"""
        return "Received first picture" in self.log

    @property
    def complaints(self) -> list[str]:
        return [line for line in self.log.splitlines() if any(word in line.lower() for word in BAD_WORDS)]


def play(url: str, seconds: float, within: float = 20) -> Played:
    """Play a URL for some seconds, without showing or sounding anything; skips the test where VLC is missing.

    VLC refuses to run as root, so it is run as `nobody` then.
    """
    cvlc = shutil.which("cvlc")
    if cvlc is None:
        pytest.skip("VLC is not installed: apt-get install vlc-bin vlc-plugin-base")
    command = [cvlc, "-vv", "--no-color", "--ignore-config", "--vout", "dummy", "--aout", "dummy"]
    command += [f"--run-time={seconds}", "--play-and-exit", url, "vlc://quit"]
    user = "nobody" if os.geteuid() == 0 else None
    result = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        timeout=seconds + within, user=user, env={**os.environ, "HOME": "/tmp"},
    )  # fmt: skip
    return Played(result.stderr)
