"""The command line. Each command imports what it needs itself, so that `check` and `--version` answer at once."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from fastrelay import __version__
from fastrelay.config import Config, RelayEntry, load
from fastrelay.errors import ConfigError, FastrelayError
from fastrelay.wire.redact import redact

OPTIONS = {
    "FASTRELAY_SERVER__LISTEN": "--listen",
    "FASTRELAY_DATA_DIR": "--data",
    "FASTRELAY_LOG__LEVEL": "--log-level",
}
"""What a setting is called where it comes from an option."""


@click.group()
@click.version_option(__version__, prog_name="fastrelay")
def main() -> None:
    """Relay live streams: one upstream connection, any number of viewers."""


@main.command()
@click.option("--config", "file", type=click.Path(path_type=Path), help="YAML file; without one, the defaults.")
@click.option("--listen", metavar="HOST:PORT", help="Overrides server.listen.")
@click.option("--data", metavar="DIR", help="Overrides data_dir.")
@click.option("--log-level", metavar="LEVEL", help="Overrides log.level.")
def serve(file: Path | None, listen: str | None, data: str | None, log_level: str | None) -> None:
    """The server."""
    given = {
        "FASTRELAY_SERVER__LISTEN": listen,
        "FASTRELAY_DATA_DIR": data,
        "FASTRELAY_LOG__LEVEL": log_level.lower() if log_level else log_level,
    }
    # What is given here beats the environment, which beats the file: one mechanism for both.
    options = {key: value for key, value in given.items() if value is not None}
    environ = {**os.environ, **options}

    def read() -> Config:
        return load(_text(file) if file else "", environ, {name: OPTIONS[name] for name in options})

    _run(_or_exit(read, file), read, lambda url: None)


@main.command()
@click.option("--listen", metavar="HOST:PORT", default="127.0.0.1:8080", show_default=True)
def demo(listen: str) -> None:
    """Relay an embedded looping test channel: no config, no network, no ffmpeg needed."""
    from fastrelay.demo import clip_path

    channel = RelayEntry(name="Demo", output_path="demo", source_urls=(f"file://{clip_path()}",))
    config = _or_exit(lambda: load("", {"FASTRELAY_SERVER__LISTEN": listen}, OPTIONS), None)
    with tempfile.TemporaryDirectory(prefix="fastrelay-demo-") as data:
        _run(msgspec.structs.replace(config, data_dir=data, relays=(channel,)), None, _print_demo_urls)


def _print_demo_urls(base: str) -> None:
    click.echo(
        f"fastrelay {__version__} relays its test channel. Open with VLC, ffplay or any IPTV player:\n"
        f"  dashboard  {base}/\n"
        f"  MPEG-TS    {base}/stream/demo\n"
        f"  HLS        {base}/stream/demo/hls\n"
        f"  status     {base}/api/streams/status\n"
        "Ctrl+C stops it."
    )


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Validate a config: exit 0, or 1 with the exact key and what was expected."""
    _or_exit(lambda: load(_text(file), os.environ), file)
    click.echo(f"{file}: ok")


@main.command()
@click.argument("url")
@click.option("--seconds", default=10.0, show_default=True, help="How long to listen at most.")
def probe(url: str, seconds: float) -> None:
    """What a source is: container, programs, PIDs, codecs, bitrate, key frames, errors."""
    import uvloop

    from fastrelay.probe import probe_source

    try:
        click.echo(uvloop.run(probe_source(url, seconds)))
    except (FastrelayError, ValueError) as error:
        _fail(str(error))


@main.command(name="import")
@click.argument("source", metavar="FILE|URL")
@click.option("--data", metavar="DIR", type=click.Path(path_type=Path), help="Folder of the database; else ./var.")
@click.option("--server", metavar="URL", help="A running server; its token comes from FASTRELAY_AUTH__ADMIN_TOKEN.")
def import_list(source: str, data: Path | None, server: str | None) -> None:
    """Import an IPTV M3U list, into a database or a running server."""
    import uvloop
    from rich.console import Console
    from rich.progress import Progress

    from fastrelay.importer import import_into_database, import_into_server, is_url, report

    if data is not None and server is not None:
        raise click.UsageError("--data and --server exclude each other")
    try:
        total = None if is_url(source) else Path(source).stat().st_size
        with Progress(console=Console(stderr=True)) as bar:
            task = bar.add_task("import", total=total)

            def progress(size: int) -> None:
                bar.update(task, completed=size)

            if server is not None:
                token = os.environ.get("FASTRELAY_AUTH__ADMIN_TOKEN")
                result = import_into_server(source, server, token, progress)
            else:
                result = uvloop.run(import_into_database(source, data or Path("var"), progress))
    except OSError as error:
        # Errors of files name them, those of connections do not.
        _fail(redact(f"{error.filename or server or source}: {error.strerror or error}"))
    except FastrelayError as error:
        _fail(redact(str(error)))
    click.echo(report(result))


@main.command()
@click.argument("path")
@click.option("--expires", metavar="DURATION", required=True, help="How long it is valid, as in 30m, 6h.")
@click.option("--config", "file", type=click.Path(path_type=Path), help="YAML file with auth.signing_key.")
def sign(path: str, expires: str, file: Path | None) -> None:
    """A signed URL for a path and everything below it."""
    import time
    from urllib.parse import quote

    from fastrelay.config.units import parse_duration
    from fastrelay.wire.signing import signed_query

    config = _or_exit(lambda: load(_text(file) if file else "", os.environ), file)
    if config.auth.signing_key is None:
        _fail("auth.signing_key: expected, in the file of --config or as FASTRELAY_AUTH__SIGNING_KEY")
    if not path.startswith("/") or "?" in path:
        _fail(f"expected a path that begins with a slash, without a query, got {path}")
    try:
        until = int(time.time() + parse_duration(expires))
    except ValueError as error:
        _fail(f"--expires: {error}")
    query = signed_query(config.auth.signing_key, path, until)
    click.echo(f"{config.server.public_url or ''}{quote(path)}?{query}")


def _run(config: Config, reread: Callable[[], Config] | None, started: Callable[[str], None]) -> None:
    import uvloop

    from fastrelay.app import run
    from fastrelay.logs import logging_to

    try:
        with logging_to(config.log), contextlib.suppress(KeyboardInterrupt):
            uvloop.run(run(config, reread, started))
    except (FastrelayError, OSError) as error:
        _fail(str(error))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError("", f"expected text in UTF-8, but byte {error.start} is none") from None


def _or_exit(read: Callable[[], Config], file: Path | None) -> Config:
    try:
        return read()
    except ConfigError as error:
        _fail(f"{file}: {error}" if file else str(error))
    except OSError as error:
        _fail(f"{file}: {error.strerror}")


def _fail(message: str) -> NoReturn:
    click.echo(f"fastrelay: {message}", err=True)
    sys.exit(1)
