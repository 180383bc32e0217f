"""`fastrelay import`: a list from a file or URL into a database, or into a running server, with a progress bar."""

import asyncio
import http.client
import json
import re
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from fastrelay.catalog.playlists import Playlists
from fastrelay.catalog.stage import Order, Staged, stage
from fastrelay.catalog.store import Store
from fastrelay.config import Failover
from fastrelay.errors import FastrelayError
from fastrelay.probe import EVERYWHERE
from fastrelay.sources.addresses import AddressPolicy
from fastrelay.sources.download import Downloader

Progress = Callable[[int], None]
"""Told how many bytes of the list have been read or sent."""

_PIECE = 256 * 1024
_URL = re.compile(r"https?://", re.IGNORECASE)
_COUNTS = ("added", "updated", "unchanged", "removed", "rejected")


class ImportFailedError(FastrelayError):
    """The list was not imported; the message says why."""


def is_url(text: str) -> bool:
    """Whether this is a URL, and not a file's name."""
    return _URL.match(text) is not None


def name_of(source: str) -> str:
    """What an imported list is called: the host of a URL, the name of a file without its ending."""
    if is_url(source):
        return urlsplit(source).hostname or "list"
    name = Path(source).name
    return re.sub(r"\.(m3u8?|gz|txt)", "", name) or name


async def import_into_database(source: str, data: Path, progress: Progress) -> dict[str, Any]:
    """Import into the database of that folder, whether or not a server uses it. Raises FastrelayError."""

    async def stage_here(order: Order) -> Staged:
        return await asyncio.to_thread(stage, order, progress)

    # Who types the URL may fetch from any of his own addresses.
    downloader = Downloader(Failover(), AddressPolicy(EVERYWHERE), None)
    store = await Store.open(data / "fastrelay.db")
    playlists = Playlists(store, data / "incoming", downloader.fetch, _nothing, stage_here)
    try:
        if is_url(source):
            return (await playlists.import_url(name_of(source), source)).result
        return (await playlists.import_file(name_of(source), Path(source))).result
    finally:
        await playlists.stop()
        await store.close()


async def _nothing() -> None:
    """Nobody watches here."""


def import_into_server(source: str, server: str, token: str | None, progress: Progress) -> dict[str, Any]:
    """Send a file to a running server, or have it fetch a URL. Raises ImportFailedError, OSError."""
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ImportFailedError("expected the server as http://HOST:PORT or https://HOST:PORT")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connection = (
        http.client.HTTPSConnection(parts.netloc, context=ssl.create_default_context())
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.netloc)
    )
    path = f"{parts.path.rstrip('/')}/api/playlists"
    try:
        if is_url(source):
            body = json.dumps({"name": name_of(source), "url": source})
            connection.request("POST", path, body, {**headers, "Content-Type": "application/json"})
        else:
            headers |= {"Content-Type": "application/octet-stream", "Content-Length": str(Path(source).stat().st_size)}
            connection.request("POST", f"{path}?name={quote(name_of(source))}", _pieces(source, progress), headers)
        return _answer(connection.getresponse())
    except http.client.HTTPException as error:
        raise ImportFailedError(f"the server's answer is not understood: {error or type(error).__name__}") from None
    finally:
        connection.close()


def _pieces(source: str, progress: Progress) -> Iterator[bytes]:
    sent = 0
    with Path(source).open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
            sent += len(piece)
            progress(sent)


def _answer(response: http.client.HTTPResponse) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(response.read())
        if response.status in (200, 201):
            return answer
        raise ImportFailedError(f"the server refused ({response.status}): {answer['error']['message']}")
    except (ValueError, KeyError, TypeError):
        raise ImportFailedError(f"the server answered with status {response.status}, and not as fastrelay") from None


def report(result: dict[str, Any]) -> str:
    """The counts, and the lines that were rejected."""
    lines = [", ".join(f"{result[key]} {key}" for key in _COUNTS)]
    lines += [f"  line {each['line']}: {each['reason']}" for each in result["rejections"]]
    if result["rejected"] > len(result["rejections"]):
        lines.append(f"  … and {result['rejected'] - len(result['rejections'])} more")
    return "\n".join(lines)
