"""`/api/relays`: the relays, listed, made, changed and removed. Management only: sources are shown whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from fastrelay.catalog.relays import (
    ConfiguredRelayError,
    PathTakenError,
    Relay,
    Relays,
    UnknownRelayError,
)
from fastrelay.catalog.store import to_the_end
from fastrelay.endpoints.auth import Access
from fastrelay.endpoints.directory import parse_id
from fastrelay.endpoints.management import GONE, answer, answer_invalid
from fastrelay.endpoints.relay_body import CheckAddress, InvalidFieldError, RelayBody, parse_relay
from fastrelay.errors import RequestError, StorageError
from fastrelay.wire.request import Request
from fastrelay.wire.response import Response
from fastrelay.wire.router import Router


class Streams(Protocol):
    """What running streams have to be told."""

    def sources_changed(self, relay: Relay) -> None:
        """The relay has other sources now: a running stream of it takes them at its next switch."""

    async def end(self, stream_id: str, reason: str) -> None:
        """End the stream and its viewers, if it runs."""


class RelayEndpoints:
    """`check_address` is asked at once about IP addresses that stand in source URLs."""

    def __init__(self, relays: Relays, streams: Streams, access: Access, check_address: CheckAddress) -> None:
        self._relays = relays
        self._streams = streams
        self._access = access
        self._check_address = check_address

    def register(self, router: Router) -> None:
        router.add("GET", "/api/relays", self.all)
        router.add("POST", "/api/relays", self.create)
        router.add("GET", "/api/relays/{id}", self.one)
        router.add("PUT", "/api/relays/{id}", self.replace)
        router.add("DELETE", "/api/relays/{id}", self.delete)

    def all(self, request: Request) -> Response:
        self._access.require_admin(request)
        relays = [shown_relay(relay) for relay in self._relays.all()]
        return answer({"total": len(relays), "relays": relays})

    def one(self, request: Request) -> Response:
        self._access.require_admin(request)
        return answer(shown_relay(self._asked(request)))

    async def create(self, request: Request) -> Response:
        """201 with Location, when the relay is on the disk."""
        self._access.require_admin(request)
        try:
            body = parse_relay(request, self._check_address)
        except InvalidFieldError as error:
            return answer_invalid(error)
        with refusals():
            relay = await self._relays.create(body.name, body.output_path, body.source_urls)
        return answer(shown_relay(relay), 201, (("Location", f"/api/relays/{relay.id}"),))

    async def replace(self, request: Request) -> Response:
        """200; new sources reach a running stream at its next switch, a new output path ends the stream of the old."""
        self._access.require_admin(request)
        relay_id = self._asked(request).id
        try:
            body = parse_relay(request, self._check_address, relay_id)
        except InvalidFieldError as error:
            return answer_invalid(error)
        with refusals():
            relay = await to_the_end(self._replace(relay_id, body))
        return answer(shown_relay(relay))

    async def delete(self, request: Request) -> Response:
        """204, when the relay is gone and its viewers are ended."""
        self._access.require_admin(request)
        relay_id = self._asked(request).id
        with refusals():
            await to_the_end(self._delete(relay_id))
        return GONE

    async def _replace(self, relay_id: int, body: RelayBody) -> Relay:
        before, after = await self._relays.update(relay_id, body.name, body.output_path, body.source_urls)
        if before.output_path != after.output_path:
            await self._streams.end(before.output_path, f"the relay moved to '{after.output_path}'")
        elif before.source_urls != after.source_urls:
            self._streams.sources_changed(after)
        return after

    async def _delete(self, relay_id: int) -> None:
        relay = await self._relays.delete(relay_id)
        await self._streams.end(relay.output_path, "the relay was deleted")

    def _asked(self, request: Request) -> Relay:
        relay = self._relays.by_id(parse_id(request.params["id"]))
        if relay is None:
            raise RequestError(404, "relay_not_found", "there is no relay with this id")
        return relay


@contextmanager
def refusals() -> Iterator[None]:
    """The catalogue's refusals as answers."""
    try:
        yield
    except PathTakenError as error:
        raise RequestError(409, "path_taken", str(error)) from None
    except ConfiguredRelayError as error:
        raise RequestError(409, "relay_configured", str(error)) from None
    except UnknownRelayError as error:
        raise RequestError(404, "relay_not_found", str(error)) from None
    except StorageError as error:
        raise RequestError(503, "storage_unavailable", f"nothing was changed: {error}") from error


def shown_relay(relay: Relay) -> dict[str, Any]:
    """A relay as the API shows it."""
    return {
        "id": relay.id,
        "name": relay.name,
        "output_path": relay.output_path,
        "source_urls": relay.source_urls,
    }
