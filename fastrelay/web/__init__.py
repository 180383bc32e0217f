"""The pages: HTML, styles and modules of our own, and in `vendor` what scripts/hatch_build.py has put there."""

from importlib.resources import files

VENDOR = ("hls.js", "hls.worker.js", "mpegts.js", "qr.js", "uplot.css", "uplot.js")
"""What `vendor` holds where npm was there when fastrelay was installed."""
SERVED = ("html", "js", "css", "svg")


def read(name: str) -> bytes | None:
    """A file that the pages are made of, by its name, or `vendor/` and its name; None for anything else."""
    folder, _, file = name.rpartition("/")
    if folder not in ("", "vendor") or file.startswith(".") or file.rpartition(".")[2] not in SERVED:
        return None
    found = files(__name__).joinpath(folder, file) if folder else files(__name__).joinpath(file)
    return found.read_bytes() if found.is_file() else None
