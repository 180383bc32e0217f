"""`/api/channels`: the channels of all lists, searched, shown, and made relays. Management only."""

import re
import unicodedata
from typing import Any

from fastrelay.catalog.channels import Channel, Channels
from fastrelay.catalog.relays import PathTakenError, Relay, Relays
from fastrelay.config.relay_fields import MAX_NAME, MAX_OUTPUT_PATH, MAX_SOURCES, check_name, check_output_path
from fastrelay.endpoints.auth import Access
from fastrelay.endpoints.directory import parse_id
from fastrelay.endpoints.management import answer, answer_invalid
from fastrelay.endpoints.relay_body import CheckAddress, InvalidFieldError, check_source_url, json_body, kind_of
from fastrelay.endpoints.relays import refusals, shown_relay
from fastrelay.errors import RequestError
from fastrelay.wire.request import Request
from fastrelay.wire.response import Response
from fastrelay.wire.router import Router

PAGE, PAGE_MAX = 100, 500
"""Channels of one answer: without `limit`, and at most."""
GROUPS_MAX = 2000
"""Groups of one answer: a menu of more helps nobody."""
_TRIES = 100

_OTHERS = re.compile(r"[^A-Za-z0-9_]+")


class ChannelEndpoints:
    """`check_address` is asked about IP addresses in source URLs when a channel becomes a relay."""

    def __init__(self, channels: Channels, relays: Relays, access: Access, check_address: CheckAddress) -> None:
        self._channels = channels
        self._relays = relays
        self._access = access
        self._check_address = check_address

    def register(self, router: Router) -> None:
        router.add("GET", "/api/channels", self.find)
        router.add("GET", "/api/channels/groups", self.groups)
        router.add("GET", "/api/channels/{id}", self.one)
        router.add("POST", "/api/channels/{id}/relay", self.make_relay)

    async def find(self, request: Request) -> Response:
        """`search` is a part of the name, in any case and without accents, `group` a whole group; or those of `ids`."""
        self._access.require_admin(request)
        query = request.query
        if "ids" in query:
            return await self._named(query["ids"])
        try:
            offset = _number(query, "offset", 0, 0, 1 << 53)
            limit = _number(query, "limit", PAGE, 1, PAGE_MAX)
        except InvalidFieldError as error:
            return answer_invalid(error)
        with refusals():
            total, channels = await self._channels.find(query.get("search", ""), query.get("group"), offset, limit)
        return answer({"total": total, "channels": [_shown(channel) for channel in channels]})

    async def _named(self, ids: str) -> Response:
        """The channels with these ids, in their order, in one answer; those that are not there are left out."""
        parsed = [parse_id(each) for each in ids.split(",", PAGE_MAX)]
        if len(parsed) > PAGE_MAX or not all(parsed):
            return answer_invalid(InvalidFieldError("ids", f"expected up to {PAGE_MAX} ids with commas between"))
        with refusals():
            channels = await self._channels.some(parsed)
        return answer({"total": len(channels), "channels": [_shown(channel) for channel in channels]})

    async def groups(self, request: Request) -> Response:
        """Names of groups and their numbers of channels; the channels without a group are in the group ""."""
        self._access.require_admin(request)
        with refusals():
            groups = await self._channels.groups(GROUPS_MAX)
        return answer({"total": len(groups), "groups": [{"name": name, "channels": count} for name, count in groups]})

    async def one(self, request: Request) -> Response:
        self._access.require_admin(request)
        return answer(_shown(await self._asked(request)))

    async def make_relay(self, request: Request) -> Response:
        """201 with Location. The body may give `name` and `output_path`; else they come from the channel's name."""
        self._access.require_admin(request)
        channel = await self._asked(request)
        try:
            name, path = _wishes(request)
            sources = self._usable(channel)
        except InvalidFieldError as error:
            return answer_invalid(error)
        with refusals():
            relay = await self._make(name or channel.entry.name[:MAX_NAME], path, sources)
        return answer(shown_relay(relay), 201, (("Location", f"/api/relays/{relay.id}"),))

    async def _asked(self, request: Request) -> Channel:
        with refusals():
            channel = await self._channels.get(parse_id(request.params["id"]))
        if channel is None:
            raise RequestError(404, "channel_not_found", "there is no channel with this id")
        return channel

    async def _make(self, name: str, path: str | None, sources: tuple[str, ...]) -> Relay:
        if path is not None:
            return await self._relays.create(name, path, sources)
        slug = output_path_of(name)
        for number in range(1, _TRIES):
            try:
                return await self._relays.create(name, slug if number == 1 else f"{slug}-{number}", sources)
            except PathTakenError:
                continue
        raise PathTakenError(slug)

    def _usable(self, channel: Channel) -> tuple[str, ...]:
        """The sources that a relay may have; a list may name others, such as rtmp://."""
        usable, problem = [], "there is none"
        for url in channel.source_urls:
            try:
                check_source_url(url, self._check_address)
                usable.append(url)
            except ValueError as error:
                problem = str(error)
        if not usable:
            raise InvalidFieldError("source_urls", f"the channel has no source that can be relayed: {problem}")
        return tuple(usable[:MAX_SOURCES])


def output_path_of(name: str) -> str:
    """The name in letters that a path may have: accents go, everything else becomes a hyphen."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return _OTHERS.sub("-", plain).strip("-").lower()[: MAX_OUTPUT_PATH - 4] or "channel"


def _wishes(request: Request) -> tuple[str | None, str | None]:
    """Name and output path that the body asks for."""
    body = json_body(request) if request.body else {}
    if not isinstance(body, dict):
        raise InvalidFieldError("", f"expected an object with name and output_path, got {kind_of(body)}")
    checks = {"name": check_name, "output_path": check_output_path}
    for field, value in body.items():
        if field not in checks:
            raise InvalidFieldError(field[:100], "there is no such field, expected name and output_path")
        if not isinstance(value, str):
            raise InvalidFieldError(field, f"expected text, got {kind_of(value)}")
        try:
            checks[field](value)
        except ValueError as error:
            raise InvalidFieldError(field, str(error)) from None
    return body.get("name"), body.get("output_path")


def _number(query: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and least <= int(text) <= most):
        raise InvalidFieldError(name, f"expected a number from {least} to {most}")
    return int(text)


def _shown(channel: Channel) -> dict[str, Any]:
    entry = channel.entry
    attributes: dict[str, str] = {}
    for key, value in entry.attributes:
        attributes.setdefault(key, value)
    return {
        "id": channel.id,
        "name": entry.name,
        "group": entry.group,
        "logo": entry.attribute("tvg-logo") or None,
        "attributes": attributes,
        "source_urls": channel.source_urls,
        "playlist": channel.playlist,
    }
