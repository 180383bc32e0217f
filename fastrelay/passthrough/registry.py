"""All channels that are passed through at the moment."""

import asyncio

from fastrelay.metrics.books import OTHER, Entry
from fastrelay.passthrough.channel import ID_SUFFIX, Channel, Settings


class Passthroughs:
    """By the id of the channel's stream. Of what has stopped nothing is left."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._channels: dict[str, Channel] = {}
        self._books = settings.tally.books
        self._entries: dict[str, Entry] = {}

    def get(self, stream_id: str) -> Channel | None:
        """The channel, if it is passed through now."""
        return self._channels.get(stream_id)

    def open(self, stream_id: str, source_urls: tuple[str, ...]) -> Channel:
        """The channel, made if need be; it runs from the first request on."""
        channel = self._channels.get(stream_id)
        if channel is None:
            channel = self._channels[stream_id] = self.look_at(stream_id, source_urls)
            self._entries[stream_id] = self._books.open(channel.id, channel.sums)
        channel.take(source_urls)
        return channel

    def look_at(self, stream_id: str, source_urls: tuple[str, ...]) -> Channel:
        """The channel, or what it would be if somebody asked for it."""
        return self._channels.get(stream_id) or Channel(stream_id, source_urls, self._settings, self._stopped)

    def label(self, channel: Channel) -> str:
        """The series of metrics that it is counted under."""
        entry = self._entries.get(channel.id.removesuffix(ID_SUFFIX))
        return OTHER if entry is None else entry.label

    def all(self) -> dict[str, Channel]:
        return dict(self._channels)

    def running(self) -> list[Channel]:
        """Those that hold connections to a provider."""
        return [channel for channel in self._channels.values() if channel.active]

    async def stop_all(self, reason: str) -> None:
        """Returns when all connections are closed."""
        await asyncio.gather(*(channel.stop(reason) for channel in list(self._channels.values())))

    def _stopped(self, channel: Channel) -> None:
        stream_id = channel.id.removesuffix(ID_SUFFIX)
        if self._channels.get(stream_id) is channel:
            del self._channels[stream_id]
            self._books.close(self._entries.pop(stream_id))
