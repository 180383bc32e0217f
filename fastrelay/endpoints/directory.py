"""From what a URL names to the stream it means."""

import asyncio

from fastrelay.catalog.channels import STREAM_PREFIX, Channel, Channels
from fastrelay.catalog.relays import Relays
from fastrelay.errors import RequestError
from fastrelay.passthrough.channel import ID_SUFFIX
from fastrelay.passthrough.channel import Channel as PassedThrough
from fastrelay.passthrough.registry import Passthroughs
from fastrelay.streams.manager import Manager
from fastrelay.streams.stream import Stream


class Directory:
    """Knows which streams there may be; a stream that nobody asked for yet exists only here."""

    def __init__(self, relays: Relays, channels: Channels, manager: Manager, passthroughs: Passthroughs) -> None:
        self._relays = relays
        self._channels = channels
        self._manager = manager
        self._passthroughs = passthroughs

    def open(self, output_path: str) -> Stream:
        """The stream of the relay there. Raises RequestError 404 where nothing of that name is declared."""
        relay = self._relays.by_path(output_path)
        if relay is None:
            raise RequestError(404, "relay_not_found", f"There is no relay at '{output_path}'.")
        return self._manager.open(relay.output_path, "relay", relay.source_urls, trusted=relay.origin == "config")

    async def open_channel(self, channel_id: str) -> Stream:
        """The stream of the channel with this id. Raises RequestError 404."""
        channel = await self.channel(channel_id)
        return self._manager.open(channel.stream_id, "channel", channel.source_urls, trusted=False)

    async def look_at_channel(self, channel_id: str) -> Stream:
        """The same for who does not watch: it is not opened for him."""
        channel = await self.channel(channel_id)
        return self._manager.look_at(channel.stream_id, "channel", channel.source_urls, trusted=False)

    def at(self, path: str) -> Stream | None:
        """The stream at `/stream/{path}` where that needs no look into the database: a relay's, or that of a channel
        which runs or has just been played to its end. None for other channels. Raises RequestError 404."""
        if not path.startswith(STREAM_PREFIX):
            return self.open(path)
        stream = self._manager.get(path)
        return stream if stream is not None and (stream.running or stream.finished is not None) else None

    async def channel_at(self, path: str, *, watched: bool) -> Stream:
        """The stream at `/stream/{path}` where `at` has none. Raises RequestError 404."""
        find = self.open_channel if watched else self.look_at_channel
        return await find(path.removeprefix(STREAM_PREFIX))

    async def passthrough(self, channel_id: str) -> PassedThrough:
        """The channel with this id as its HLS is passed through. Raises RequestError 404."""
        running = self.passed_through(channel_id)
        if running is not None:
            return running
        channel = await self.channel(channel_id)
        return self._passthroughs.open(channel.stream_id, channel.source_urls)

    def passed_through(self, channel_id: str) -> PassedThrough | None:
        """The same, if it is passed through now."""
        return self._passthroughs.get(f"{STREAM_PREFIX}{parse_id(channel_id)}")

    async def find(self, stream_id: str) -> Stream | PassedThrough:
        """The stream of that id, of any kind. Raises RequestError 404."""
        if not stream_id.startswith(STREAM_PREFIX):
            return self.open(stream_id)
        channel_id = stream_id.removeprefix(STREAM_PREFIX)
        if not channel_id.endswith(ID_SUFFIX):
            return await self.look_at_channel(channel_id)
        channel = await self.channel(channel_id.removesuffix(ID_SUFFIX))
        return self._passthroughs.look_at(channel.stream_id, channel.source_urls)

    async def channel(self, channel_id: str) -> Channel:
        """The channel with this id. Raises RequestError 404."""
        channel = await self._channels.get(parse_id(channel_id))
        if channel is None:
            raise RequestError(404, "channel_not_found", f"There is no channel {channel_id[:20]}.")
        return channel

    async def renew(self) -> None:
        """After an import: running streams of channels take their new sources at their next switch; what is passed
        through of a channel that is gone ends, because its players never ask for the channel itself again."""
        for stream in self._manager.running():
            if stream.id.startswith(STREAM_PREFIX):
                channel = await self._channels.get(parse_id(stream.id.removeprefix(STREAM_PREFIX)))
                if channel is not None:
                    stream.source_urls = channel.source_urls
        for stream_id, passed in self._passthroughs.all().items():
            channel = await self._channels.get(parse_id(stream_id.removeprefix(STREAM_PREFIX)))
            if channel is not None:
                passed.take(channel.source_urls)
            else:
                await passed.stop("the channel is gone")

    async def end_gone(self, reason: str) -> None:
        """After lists went, deleted or out of the configuration: end the viewers of channels that went with them.

        A channel that was only missing when its list was refreshed plays on until its source fails: providers lose
        entries for an hour, and nobody decided that it should end.
        """
        watched = {stream.id for stream in self._manager.running() if stream.id.startswith(STREAM_PREFIX)}
        passed = self._passthroughs.all()
        ids = [parse_id(stream_id.removeprefix(STREAM_PREFIX)) for stream_id in watched | passed.keys()]
        gone = [f"{STREAM_PREFIX}{each}" for each in await self._channels.gone(ids)]
        await asyncio.gather(
            *(self._manager.end(stream_id, reason) for stream_id in gone),
            *(passed[stream_id].stop(reason) for stream_id in gone if stream_id in passed),
        )


def parse_id(text: str) -> int:
    """The number that this is the only spelling of, up to the 19 digits of SQLite's; 0, which is no id, for others."""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0
    return number if str(number) == text and number < 1 << 63 else 0
