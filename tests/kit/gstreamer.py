"""GStreamer without a screen or a loudspeaker, where it is installed: the player of set-top boxes and phones."""

import re
import subprocess

from tests.kit.player import Player, installed

PACKAGES = "gstreamer1.0-tools gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-libav"
_SINK = "fpsdisplaysink text-overlay=false video-sink=fakesink signal-fps-measurements=true fps-update-interval=200"


class Gstreamer(Player):
    """Plays a URL. `complaints` are its errors and warnings."""

    def __init__(self, url: str) -> None:
        self.complaints: list[str] = []
        launch = installed("gst-launch-1.0", PACKAGES)
        sinks = (f"video-sink={_SINK}", "audio-sink=fakesink sync=true")
        super().__init__(launch, "-v", "playbin", f"uri={url}", *sinks, stderr=subprocess.STDOUT)

    def __str__(self) -> str:
        return f"GStreamer, with {self.complaints},"

    def hear(self, line: str) -> None:
        """See Player."""
        if found := re.search(r"rendered: (\d+)", line):
            self.shown = int(found[1])
        elif line.startswith(("ERROR", "WARNING")):
            self.complaints.append(line.strip())
