"""nginx and HAProxy with the files of config/, before nodes of the test's own.

    async with Proxy("nginx", [server.port for server in nodes]) as proxy:
        reader, writer = await proxy.connect()

Only addresses, ports, paths and limits are others than in the files.
"""

import asyncio
import os
import re
import shutil
import socket
import ssl
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.server.certificates import make_certificate

CONFIG = Path(__file__).parents[2] / "config"
NODES = re.compile(r"10\.0\.0\.1([123]):8080")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def _nginx(text: str, folder: Path, port: int, plain: int) -> tuple[str, list[str]]:
    temporary = "".join(
        f"    {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    for found, instead in (
        (r"user www-data;", "" if os.geteuid() else "user root;"),
        (r"pid /run/nginx.pid", f"pid {folder}/pid"),
        (r"/var/log/nginx/", f"{folder}/"),
        (r"/var/lib/nginx/", f"{folder}/"),
        (r"/etc/letsencrypt/live/tv.example.com/fullchain.pem", f"{folder}/cert.pem"),
        (r"/etc/letsencrypt/live/tv.example.com/privkey.pem", f"{folder}/key.pem"),
        (r"listen 80;", f"listen 127.0.0.1:{plain};"),
        (r"listen 443 ", f"listen 127.0.0.1:{port} "),
        (r"http \{\n", "http {\n" + temporary),
    ):
        text, count = re.subn(found, instead, text)
        assert count, found
    return text, ["nginx", "-p", str(folder), "-g", "daemon off;", "-e", f"{folder}/error.log", "-c"]


def _haproxy(text: str, folder: Path, port: int, plain: int) -> tuple[str, list[str]]:
    (folder / "both.pem").write_bytes((folder / "cert.pem").read_bytes() + (folder / "key.pem").read_bytes())
    for found, instead in (
        (r"    (user|group) haproxy\n", ""),
        (r"log /dev/log local0", "log stderr local0"),
        (r"maxconn 50000", "maxconn 1000"),
        # Nodes that share a busy machine with their players are slow to answer, and yet not gone.
        (r"timeout check 2s", "timeout check 30s"),
        (r"/etc/haproxy/tv.example.com.pem", f"{folder}/both.pem"),
        (r"bind :80\n", f"bind 127.0.0.1:{plain}\n"),
        (r"bind :443 ", f"bind 127.0.0.1:{port} "),
    ):
        text, count = re.subn(found, instead, text)
        assert count, found
    return text, ["haproxy", "-db", "-f"]


MADE = {"nginx": ("nginx.conf", _nginx), "haproxy": ("haproxy.cfg", _haproxy)}


class Proxy:
    """Started on entering, ended on leaving. Skips where the program is not installed."""

    def __init__(self, kind: str, nodes: list[int]) -> None:
        if shutil.which(kind) is None:
            pytest.skip(f"{kind} is not installed")
        self.folder = Path(tempfile.mkdtemp(prefix="fastrelay-proxy-"))
        make_certificate(self.folder)
        self.port, self.plain = _free_ports()
        name, make = MADE[kind]
        text, self._command = make((CONFIG / name).read_text(), self.folder, self.port, self.plain)
        text, count = NODES.subn(lambda found: f"127.0.0.1:{nodes[int(found[1]) - 1]}", text)
        assert count == len(nodes)
        (self.folder / name).write_text(text)
        self._command.append(str(self.folder / name))
        self._tls = ssl.create_default_context(cafile=str(self.folder / "cert.pem"))

    async def connect(self) -> Streams:
        """A TLS connection to it."""
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self._tls)

    async def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a whole answer. The path goes out as it is."""
        reader, writer = await self.connect()
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"GET {path} HTTP/1.1\r\nHost: tv.example.com\r\nConnection: close\r\n{fields}\r\n".encode())
        try:
            async with asyncio.timeout(40):
                head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
        finally:
            writer.close()
        first, *lines = head.decode("latin-1").split("\r\n")
        found = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        return int(first.split()[1]), found, body

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdout=asyncio.subprocess.DEVNULL, stderr=(self.folder / "stderr").open("wb")
        )
        for _ in range(400):
            if self._process.returncode is not None:
                break
            try:
                _, writer = await self.connect()
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return self
        said = (self.folder / "stderr").read_text()
        await self.__aexit__(None, None, None)
        raise AssertionError(f"{self._command[0]} did not start:\n{said}")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
        if error is not None:
            error.add_note((self.folder / "stderr").read_text()[-3000:])
        shutil.rmtree(self.folder)


def _free_ports() -> list[int]:
    """Two that nobody has now."""
    with socket.socket() as one, socket.socket() as two:
        for sock in (one, two):
            sock.bind(("127.0.0.1", 0))
        return [one.getsockname()[1], two.getsockname()[1]]
