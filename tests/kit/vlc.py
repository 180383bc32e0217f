"""VLC without a screen, where it is installed: what a real player makes of a stream."""

import os
import re
import subprocess
from dataclasses import dataclass

from tests.kit.player import Player, as_nobody, installed

PACKAGES = "vlc-bin vlc-plugin-base"
BAD_WORDS = ("main error", "discontinuity received", "cannot", "unable to open", "late picture")

_ENVIRONMENT = {**os.environ, "HOME": "/tmp"}


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


def play(url: str, seconds: float, within: float = 40) -> Played:
    """Play a URL for some seconds, without showing or sounding anything; skips the test where VLC is missing."""
    cvlc = installed("cvlc", PACKAGES)
    command = [cvlc, "-vv", "--no-color", "--ignore-config", "--vout", "dummy", "--aout", "dummy"]
    command += [f"--run-time={seconds}", "--play-and-exit", url, "vlc://quit"]
    result = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        timeout=seconds + within, user=as_nobody(), env=_ENVIRONMENT,
    )  # fmt: skip
    return Played(result.stderr)


class Vlc(Player):
    """Plays a URL, and is asked through its command line how many pictures it has shown."""

    def __init__(self, url: str) -> None:
        command = [installed("cvlc", PACKAGES), "--ignore-config", "-I", "oldrc", "--rc-fake-tty"]
        command += ["--vout", "dummy", "--aout", "dummy", url]
        super().__init__(*command, stderr=subprocess.DEVNULL, user=as_nobody(), env=_ENVIRONMENT)

    def __str__(self) -> str:
        return "VLC"

    def ask(self) -> None:
        """See Player. Before it plays there is no answer."""
        self.say("stats\n")

    def hear(self, line: str) -> None:
        """See Player."""
        if found := re.search(r"frames displayed : *(\d+)", line):
            self.shown = int(found[1])
