"""Where the real media lie, and the clear word when they do not."""

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("FASTRELAY_MEDIA") or Path(__file__).parents[2] / "shared" / "media")


def media(name: str) -> Path:
    """A file or folder of the real media; skips the test where they are not laid out."""
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"no {path}: real media are outside the repository, set FASTRELAY_MEDIA")
    return path
