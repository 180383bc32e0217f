"""Who is compared: how each is started, with the same source and for the same viewers."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.side.process import Pinned, free_port

ROOT = Path(__file__).resolve().parents[2]
LADDER = (100, 200, 300, 400, 500, 600, 800, 1000, 1500, 2000, 3000, 4000, 6000, 8000)
"""Numbers of viewers tried, one after the other, with a server whose limit is looked for."""


@dataclass(frozen=True)
class Stage:
    """What a contestant is started with."""

    folder: Path
    core: int
    origin_port: int
    origin_path: str
    flush_ms: int
    """For the floor: how long it gathers before it writes."""


@dataclass(frozen=True)
class Serving:
    """A started contestant."""

    url: str
    process: Pinned


@dataclass(frozen=True)
class Contestant:
    name: str
    start: Callable[[Stage], Serving]
    program: str
    packages: tuple[str, ...] = ()
    """Debian's, where the program is missing."""
    ladder: tuple[int, ...] = field(default=LADDER)
    version: tuple[str, ...] = ()
    """Command that prints it."""
    refuses_root: bool = False

    def missing(self) -> str:
        """Why it cannot take part, for people; empty when it can. Installs it when that is possible."""
        if shutil.which(self.program):
            return ""
        if not self.packages or os.geteuid() or not shutil.which("apt-get"):
            return f"{self.program} is not installed"
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *self.packages]
        for command in (["apt-get", "update", "-qq"], install):
            if subprocess.run(command, env=environment, capture_output=True).returncode:
                return f"apt-get could not install {' '.join(self.packages)}"
        return "" if shutil.which(self.program) else f"{self.program} is not installed"

    def version_line(self) -> str:
        """The first line of what the program says about itself."""
        if not self.version:
            return ""
        told = subprocess.run(self.version, capture_output=True, text=True, user=_somebody(self.refuses_root))
        return (told.stdout or told.stderr).strip().partition("\n")[0]


_FASTRELAY = """\
data_dir: {folder}/data
server: {{listen: "127.0.0.1:{port}"}}
streams: {{idle_timeout: 1s}}
sources: {{allow_networks: [127.0.0.0/8]}}
relays:
  - {{name: Bench, output_path: bench, source_urls: ["http://127.0.0.1:{origin_port}{origin_path}"]}}
"""


def start_fastrelay(stage: Stage) -> Serving:
    port = free_port()
    config = stage.folder / "fastrelay.yaml"
    config.write_text(
        _FASTRELAY.format(folder=stage.folder, port=port, origin_port=stage.origin_port, origin_path=stage.origin_path)
    )
    return started(
        stage, [sys.executable, "-P", "-m", "fastrelay", "serve", "--config", str(config)], port, "/stream/bench"
    )


_ICECAST = """\
<icecast>
  <limits><clients>20000</clients><sources>4</sources><queue-size>8388608</queue-size><burst-size>65535</burst-size></limits>
  <authentication><source-password>bench</source-password><admin-password>bench</admin-password></authentication>
  <hostname>127.0.0.1</hostname>
  <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
  <relay>
    <server>127.0.0.1</server><port>{origin_port}</port><mount>{origin_path}</mount>
    <local-mount>/live.ts</local-mount><on-demand>1</on-demand>
  </relay>
  <paths><logdir>{folder}</logdir><webroot>/usr/share/icecast2/web</webroot>
    <adminroot>/usr/share/icecast2/admin</adminroot></paths>
  <logging><accesslog>-</accesslog><errorlog>error.log</errorlog><loglevel>1</loglevel></logging>
  <security><chroot>0</chroot>
    <changeowner><user>nobody</user><group>nogroup</group></changeowner></security>
</icecast>
"""


def start_icecast(stage: Stage) -> Serving:
    port = free_port()
    config = stage.folder / "icecast.xml"
    config.write_text(
        _ICECAST.format(port=port, origin_port=stage.origin_port, origin_path=stage.origin_path, folder=stage.folder)
    )
    stage.folder.chmod(0o777)
    return started(stage, ["icecast2", "-c", str(config)], port, "/live.ts")


def start_vlc(stage: Stage) -> Serving:
    port = free_port()
    out = f"#standard{{access=http{{mime=video/mp2t}},mux=ts,dst=127.0.0.1:{port}/live.ts}}"
    source = f"http://127.0.0.1:{stage.origin_port}{stage.origin_path}"
    command = ["vlc", "-I", "dummy", "-q", "--ignore-config", source, "--sout", out, "--sout-keep"]
    return started(stage, command, port, "/live.ts", user=_somebody(True))


def start_floor(stage: Stage) -> Serving:
    """Compiles it, too. Raises RuntimeError."""
    port, program = free_port(), stage.folder / "floor"
    compiled = subprocess.run(
        ["cc", "-O2", "-D_GNU_SOURCE", "-o", str(program), str(ROOT / "bench/side/floor.c")],
        capture_output=True, text=True,
    )  # fmt: skip
    if compiled.returncode:
        raise RuntimeError(f"cc: {compiled.stderr[-600:]}")
    command = [str(program), str(port), str(stage.origin_port), stage.origin_path, str(stage.flush_ms)]
    return started(stage, command, port, "/live.ts")


def _somebody(refuses_root: bool) -> str | None:
    """The user to run a program as; None: as we are."""
    return "nobody" if refuses_root and os.geteuid() == 0 else None


def started(stage: Stage, command: list[str], port: int, path: str = "", user: str | None = None) -> Serving:
    """The command on its core, listening. Raises RuntimeError."""
    process = Pinned(command, stage.core, stage.folder / f"{Path(command[0]).name}.log", user)
    try:
        process.wait_for_port(port)
    except RuntimeError:
        process.stop()
        raise
    return Serving(f"http://127.0.0.1:{port}{path}", process)


FASTRELAY = Contestant(
    "fastrelay", start_fastrelay, sys.executable, version=(sys.executable, "-P", "-m", "fastrelay", "--version")
)
FLOOR = Contestant("floor", start_floor, "cc", ("gcc", "libc6-dev"), version=("cc", "--version"))
ICECAST = Contestant("Icecast", start_icecast, "icecast2", ("icecast2",), LADDER[1:], ("icecast2", "-v"))
VLC = Contestant(
    "VLC", start_vlc, "vlc", ("vlc-bin", "vlc-plugin-base"), LADDER[7:], ("vlc", "--version"), refuses_root=True
)
