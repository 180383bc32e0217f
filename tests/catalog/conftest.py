"""What the tests of the catalogue stand on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.catalog.kit import Catalogue, opened


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[Catalogue]:
    async with opened(tmp_path) as catalogue:
        yield catalogue
