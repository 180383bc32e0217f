"""`python -m fastrelay.hls`: the cutter on files, so that its work can be looked at with other tools."""

from pathlib import Path

import click

from fastrelay.errors import FormatError
from fastrelay.hls.cut import Cutter
from fastrelay.hls.playlist import master_playlist

CHUNK = 1 << 20


@click.group()
def main() -> None:
    """HLS from transport streams."""


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("folder", metavar="OUTDIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--segment-duration", type=click.FloatRange(min=0.1), default=4.0, show_default=True, help="Seconds.")
def cut(file: Path, folder: Path, segment_duration: float) -> None:
    """Write master.m3u8, playlist.m3u8 and the segments of FILE into OUTDIR."""
    cutter = Cutter(segment_duration)
    with file.open("rb") as source:
        while chunk := source.read(CHUNK):
            cutter.feed(chunk)
    try:
        cutter.finish()
    except FormatError as error:
        raise click.ClickException(f"{file}: {error}") from None
    folder.mkdir(parents=True, exist_ok=True)
    store = cutter.store
    for entry in store.listed:
        (folder / f"segment_{entry.name}.ts").write_bytes(entry.segment.data)
    (folder / "playlist.m3u8").write_bytes(store.playlist)
    master = master_playlist(cutter.packager.opening, store.bandwidth, "playlist.m3u8")
    (folder / "master.m3u8").write_bytes(master)
    click.echo(f"{len(store.listed)} segments, {sum(entry.segment.duration for entry in store.listed):.3f} s")


if __name__ == "__main__":
    main(prog_name="python -m fastrelay.hls")
