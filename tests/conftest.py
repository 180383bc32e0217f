"""The suite runs on uvloop only: the stdlib loop copies what it is given to write and would hide faults.

What waits for media in real time comes first: where several workers share the files, none has a long one left over.
"""

from collections.abc import Callable
from typing import Any

import pytest
import uvloop

REAL_TIME = ("whole", "browser")
"""Rooms whose tests start servers and players."""


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], Any]]:
    return {"uvloop": uvloop.new_event_loop}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.parent.name not in REAL_TIME)
