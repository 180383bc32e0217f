"""The commands as an operator types them: what they print, what they exit with, and how they stop."""

import asyncio
import os
import re
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from fastrelay import __version__
from tests.kit.behaviours import html, live, silent
from tests.kit.checker import Checker
from tests.kit.clips import clip, ffprobe
from tests.kit.origin import Origin, closed_port
from tests.kit.position_coded import PositionCoded
from tests.kit.server import ROOT, Server
from tests.kit.viewer import connect, fetch, stalled

SOURCE = PositionCoded(gop=0.2)
COMMAND = (sys.executable, "-m", "fastrelay")
LOCAL_URL = re.compile(r"http://127\.0\.0\.1:\d+\S*")


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    def expect_error(self, text: str) -> None:
        """Exit status 1 and one line for people, which names what is wrong."""
        assert (self.code, self.out) == (1, ""), self
        assert self.err.startswith("fastrelay: ") and self.err.count("\n") == 1, self.err
        assert text in self.err, self.err


@asynccontextmanager
async def started(
    *arguments: str | Path, environment: dict[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command with its output to read; ended by force if the test has not ended it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FASTRELAY_")}
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *map(str, arguments), cwd=tempfile.gettempdir(),
        env=inherited | {"PYTHONPATH": str(ROOT)} | (environment or {}),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def run(*arguments: str | Path, environment: dict[str, str] | None = None) -> Outcome:
    async with started(*arguments, environment=environment) as process, asyncio.timeout(20):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Outcome(process.returncode, out.decode(), err.decode())


def config(folder: Path, text: str) -> Path:
    file = folder / "fastrelay.yaml"
    file.write_text(f"data_dir: {folder / 'data'}\n{text}")
    return file


async def test_version() -> None:
    assert await run("--version") == Outcome(0, f"fastrelay, version {__version__}\n", "")


# --- check -----------------------------------------------------------------------------------------------------------


async def test_check_accepts_a_good_file(tmp_path: Path) -> None:
    sample = ROOT / "config" / "fastrelay.yaml"
    for file in (sample, config(tmp_path, "streams: {idle_timeout: 5s}\n")):
        assert await run("check", file) == Outcome(0, f"{file}: ok\n", "")
    assert not (tmp_path / "data").exists()


RELAY = "relays: [{{name: A, output_path: a, source_urls: ['http://h/a.ts']}}, {}]\n"

BROKEN = [
    ("streams: {ring_sise: 4MiB}\n", "streams.ring_sise: is not a setting; did you mean ring_size?"),
    ("streems: {}\n", "streems: is not a setting; did you mean streams?"),
    ("streams: {ring_size: 4MB!}\n", "streams.ring_size: expected a size"),
    ("streams: {idle_timeout: -1}\n", "streams.idle_timeout: expected"),
    ("server: {listen: '8080'}\n", "server.listen: expected HOST:PORT"),
    ("server: {tls_cert: /a.pem}\n", "server.tls_key: expected"),
    ("sources: {allow_networks: [10.0.0.1/8]}\n", "sources.allow_networks[0]: expected a network"),
    (RELAY.format("{name: B, output_path: a, source_urls: ['http://h/']}"), "relays[1].output_path: expected one of"),
    (RELAY.format("{name: B, output_path: b.ts, source_urls: ['http://h/']}"), "relays[1].output_path: expected"),
    (RELAY.format("{name: B, output_path: b, source_urls: ['ftp://h/']}"), "relays[1].source_urls[0]: the scheme"),
    (RELAY.format("{name: B, output_path: b}"), "relays[1].source_urls: expected, but it is not there"),
    ("relays: [\n", "line 3, column 1: expected YAML"),
]


async def test_check_and_serve_name_the_key_that_is_wrong(tmp_path: Path) -> None:
    for text, message in BROKEN:
        file = config(tmp_path, text)
        outcome = await run("check", file)
        outcome.expect_error(f"{file}: {message}")
    assert await run("serve", "--config", file, "--listen", "127.0.0.1:0") == outcome
    assert not (tmp_path / "data").exists()


async def test_check_of_what_is_no_file(tmp_path: Path) -> None:
    (await run("check", tmp_path / "none.yaml")).expect_error("No such file")
    (await run("check", tmp_path)).expect_error("Is a directory")
    (tmp_path / "latin1.yaml").write_bytes(b"data_dir: caf\xe9\n")
    (await run("check", tmp_path / "latin1.yaml")).expect_error("latin1.yaml")


# --- settings --------------------------------------------------------------------------------------------------------


async def test_the_environment_overrides_the_file_and_options_override_both(tmp_path: Path) -> None:
    async with Origin() as origin:
        relays = f"[{{name: E, output_path: env, source_urls: ['{origin.route('/a', live(SOURCE))}']}}]"
        environment = {
            "FASTRELAY_AUTH__ADMIN_TOKEN": "from-environment",
            "FASTRELAY_RELAYS": relays,
            "FASTRELAY_SOURCES__ALLOW_NETWORKS": "127.0.0.1/32,10.0.0.0/8",
            "FASTRELAY_SERVER__LISTEN": "127.0.0.1:1",
            "FASTRELAY_DATA_DIR": str(tmp_path / "from-environment"),
        }
        other = {"name": "F", "output_path": "file", "source_urls": ["http://tv.example.com/a.ts"]}
        given = {"relays": [other], "auth": {"admin_token": "from-file"}, "sources": {"allow_networks": []}}
        async with Server(given, environment=environment) as server:
            listed = await server.get("/api/relays", Authorization="Bearer from-environment")
            assert [relay["output_path"] for relay in listed.json()["relays"]] == ["env"]
            viewer = await connect(server.url("/stream/env"), Checker(SOURCE))
            await viewer.received(50_000)
            viewer.verify()
            assert (tmp_path / "from-environment" / "fastrelay.db").exists()
            assert list(server.data.iterdir()) == []
            option = await run("serve", "--data", "/dev/null/x", "--listen", "127.0.0.1:0", environment=environment)
            option.expect_error("the database /dev/null/x/fastrelay.db")
    for name, value, message in (
        ("FASTRELAY_STREAMS__RING_SIZE", "x", "streams.ring_size: expected a size"),
        ("FASTRELAY_STREAMS__RING", "1MiB", "FASTRELAY_STREAMS__RING: is not a setting"),
    ):
        (await run("check", config(tmp_path, ""), environment={name: value})).expect_error(message)


async def test_what_cannot_be_served_is_said_in_one_line(tmp_path: Path) -> None:
    (await run("serve", "--listen", "8080")).expect_error("server.listen: expected HOST:PORT")
    (await run("serve", "--listen", "8080")).expect_error("got '8080' (in --listen)")
    (await run("demo", "--listen", "8080")).expect_error("got '8080' (in --listen)")
    (await run("serve", "--log-level", "loud")).expect_error("log.level: expected debug or info")
    (await run("serve", "--config", tmp_path / "none.yaml")).expect_error("none.yaml: No such file")
    local = ("--listen", "127.0.0.1:0")
    (tmp_path / "file").touch()
    (await run("serve", "--data", tmp_path / "file", *local)).expect_error("the database")
    (await run("serve", "--log-level", "DEBUG", "--data", tmp_path / "file", *local)).expect_error("the database")
    file = config(tmp_path, f"server: {{tls_cert: {tmp_path}/none.pem, tls_key: {tmp_path}/none.key}}\n")
    (await run("serve", "--config", file, *local)).expect_error("server.tls_cert: expected a PEM certificate")
    file = config(tmp_path, f"log: {{file: {tmp_path}/none/server.log}}\n")
    (await run("serve", "--config", file, *local)).expect_error("none/server.log")


async def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        for command in (("serve", "--data", tmp_path), ("demo",)):
            outcome = await run(*command, "--listen", listen)
            outcome.expect_error(f"server.listen: cannot listen on {listen}: Address already in use")


# --- probe -----------------------------------------------------------------------------------------------------------


async def test_probe_says_what_a_source_is() -> None:
    async with Origin() as origin:
        outcome = await run("probe", origin.route("/a", live(SOURCE, burst=2)), "--seconds", "2")
    assert (outcome.code, outcome.err) == (0, "")
    facts = ("MPEG-TS over HTTP, ", "continuity errors  0", "program 1: PMT 4096, PCR 256", "every 0.20 to 0.20 s")
    assert all(fact in outcome.out for fact in facts), outcome.out
    assert re.search(r"bitrate +(3\.9|4\.)\d* Mbit/s", outcome.out), outcome.out
    assert re.search(r"pid 256 +video +h264", outcome.out) and re.search(r"pid 257 +audio +aac", outcome.out)


async def test_probe_of_a_file(tmp_path: Path) -> None:
    whole = tmp_path / "a clip.ts"
    whole.write_bytes(SOURCE.take(2.0))
    outcome = await run("probe", whole.as_uri(), "--seconds", "1")
    assert outcome.code == 0 and "MPEG-TS in a file, " in outcome.out and "continuity errors  0" in outcome.out
    holed = tmp_path / "holed.ts"
    holed.write_bytes(SOURCE.take(1.0) + SOURCE.take(1.0, start=1.1))
    outcome = await run("probe", holed.as_uri(), "--seconds", "1.5")
    assert outcome.code == 0 and re.search(r"continuity errors  [1-9]", outcome.out)


async def test_probe_of_rubbish(tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.ts"
    rubbish.write_bytes(b"no transport stream " * 5000)
    (await run("probe", rubbish.as_uri())).expect_error("is not an MPEG transport stream")
    (await run("probe", (tmp_path / "none.ts").as_uri())).expect_error("No such file")
    (await run("probe", "nonsense")).expect_error("expected a URL beginning with one of http://")
    async with Origin() as origin:
        (await run("probe", origin.route("/page", html()))).expect_error("answered with a web page")
        (await run("probe", origin.url("/none"))).expect_error("status 404")
    with closed_port() as port:
        outcome = await run("probe", f"http://wer:geheim1@127.0.0.1:{port}/a.ts?token=geheim2")
        outcome.expect_error("Connection refused")
        assert "geheim" not in outcome.err


# --- demo ------------------------------------------------------------------------------------------------------------


async def test_demo_prints_its_urls_and_plays() -> None:
    clip("h264_gop1")  # skips without ffmpeg
    async with started("demo", "--listen", "127.0.0.1:0") as process:
        urls = await asyncio.wait_for(printed_urls(process), 30)
        stream = next(url for url in urls if "/stream/" in url)
        assert stream.endswith("/stream/demo") and any(url.endswith("/api/streams/status") for url in urls)
        found = await asyncio.to_thread(ffprobe, stream, "-analyzeduration", "1000000", "-show_streams")
        assert [one["codec_name"] for one in found["streams"]] == ["h264", "aac"]
        one = (await fetch(stream.replace("/stream/demo", "/api/streams/demo/status"))).json()
        assert one["bytes_streamed"] > 0 and one["source_url"].startswith("file:")
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(30):
            _, err = await process.communicate()
        assert process.returncode == 0 and b"Traceback" not in err, err.decode()


async def printed_urls(process: asyncio.subprocess.Process) -> list[str]:
    """All that is printed before the line that says how to stop."""
    assert process.stdout
    found: list[str] = []
    while "Ctrl+C" not in (line := (await process.stdout.readline()).decode()):
        assert line, "it ended"
        found += LOCAL_URL.findall(line)
    return found


# --- the end ---------------------------------------------------------------------------------------------------------


def entry(output_path: str, url: str) -> dict[str, Any]:
    return {"name": output_path, "output_path": output_path, "source_urls": [url]}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_server_with_all_kinds_of_peers(number: signal.Signals, tmp_path: Path) -> None:
    async with Origin() as origin:
        relays = [entry("a", origin.route("/a", live(SOURCE))), entry("mute", origin.route("/mute", silent()))]
        file = config(tmp_path, yaml.safe_dump({"relays": relays, "sources": {"allow_networks": ["127.0.0.1/32"]}}))
        async with started("serve", "--config", file, "--listen", "127.0.0.1:0") as process:
            base = await listening(process)
            watching = await connect(f"{base}/stream/a", Checker(SOURCE))
            waiting = await connect(f"{base}/stream/mute")
            idle = await connect(f"{base}/livez")
            await watching.received(50_000)
            await origin.wait_for(lambda origin: origin.open_now("/mute") == 1)
            await idle.head()
            process.send_signal(number)
            async with asyncio.timeout(20):
                _, log = await process.communicate()
            assert process.returncode == 0 and b"Traceback" not in log, log.decode()
            assert await watching.ended() == "eof"
            watching.verify()
            assert await waiting.head() == 503
            assert await idle.ended() == "eof"
            await origin.wait_for(lambda origin: origin.open_now() == 0)
            assert {path.name for path in (tmp_path / "data").iterdir()} == {"discontinuity", "fastrelay.db"}


async def listening(process: asyncio.subprocess.Process) -> str:
    """The base URL, as soon as the log says it."""
    assert process.stderr
    async with asyncio.timeout(30):
        while (found := LOCAL_URL.search((line := await process.stderr.readline()).decode())) is None:
            assert line, "it ended"
    return found[0]


async def test_a_viewer_that_does_not_read_cannot_keep_the_server() -> None:
    fast = PositionCoded(gop=0.2, byte_rate=4_000_000)
    async with Origin() as origin, Server({"relays": [entry("a", origin.route("/a", live(fast)))]}) as server:
        viewer = await stalled(server.url("/stream/a"))
        await server.wait_status("a", lambda status: status["bytes_received"] > 3_000_000)
        # Viewers have 5 s to fetch what is left for them.
        await server.stop(within=20)
        viewer.set_rate(None)
        assert await viewer.ended() == "reset"


# --- import ----------------------------------------------------------------------------------------------------------


async def test_what_cannot_be_imported_is_named(tmp_path: Path) -> None:
    none, lst = tmp_path / "none.m3u", tmp_path / "list.m3u"
    lst.write_text("#EXTM3U\n#EXTINF:-1,A\nhttp://a/\n")
    nobody = ("--server", "http://127.0.0.1:1")
    for arguments, message in (
        ((none,), f"{none}: No such file or directory"),
        ((none, *nobody), f"{none}: No such file or directory"),
        ((lst, *nobody), "http://127.0.0.1:1: Connection refused"),
    ):
        outcome = await run("import", *arguments)
        assert outcome.code == 1
        assert outcome.err.splitlines()[-1] == f"fastrelay: {message}"
