"""GStreamer without a screen or a loudspeaker, where it is installed: the player of set-top boxes and phones."""

import asyncio
import re
import shutil
import subprocess
import threading
from types import TracebackType
from typing import Self

import pytest

PACKAGES = "gstreamer1.0-tools gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-libav"
_SINK = "fpsdisplaysink text-overlay=false video-sink=fakesink signal-fps-measurements=true fps-update-interval=200"


class Gstreamer:
    """Plays a URL while the body of the `with` runs. `complaints` are its errors and warnings."""

    def __init__(self, url: str) -> None:
        launch = shutil.which("gst-launch-1.0")
        if launch is None:
            pytest.skip(f"GStreamer is not installed: apt-get install {PACKAGES}")
        command = [launch, "-v", "playbin", f"uri={url}", f"video-sink={_SINK}", "audio-sink=fakesink sync=true"]
        self.complaints: list[str] = []
        self._shown = 0
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._listener = threading.Thread(target=self._listen, name="gstreamer", daemon=True)

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._listener.join()
        assert self._process.stdout
        self._process.stdout.close()

    async def shows(self, more: int, within: float = 30) -> None:
        """Until it has shown `more` pictures from now on."""
        before, end = self._shown, asyncio.get_running_loop().time() + within
        while self._shown < before + more:
            assert self._process.poll() is None, f"GStreamer has ended: {self.complaints}"
            assert asyncio.get_running_loop().time() < end, f"{self._shown - before} of {more} pictures in {within} s"
            await asyncio.sleep(0.1)

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            if found := re.search(r"rendered: (\d+)", line):
                self._shown = int(found[1])
            elif line.startswith(("ERROR", "WARNING")):
                self.complaints.append(line.strip())
