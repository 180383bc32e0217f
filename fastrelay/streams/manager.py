"""All streams of this server by id: made when first asked for, remembered for their status."""

import asyncio
from collections.abc import Iterable

from fastrelay.catalog.relays import Relay
from fastrelay.streams.run import Settings
from fastrelay.streams.stream import Stream

STOPPED_KEPT = 1000
"""Stopped streams remembered for their last status; their rings are gone, so this is small."""


class Manager:
    """The registry. A stream's id is unique over all kinds: an output path, or `channel:{id}`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._streams: dict[str, Stream] = {}

    def open(self, stream_id: str, kind: str, source_urls: tuple[str, ...], *, trusted: bool) -> Stream:
        """The stream of that id, made if need be; a running one takes `source_urls` at its next switch.

        `trusted`: the sources come from the operator's own config and may be files and commands.
        """
        stream = self._streams.get(stream_id)
        if stream is None:
            self._forget_oldest()
            stream = self._streams[stream_id] = Stream(stream_id, kind, source_urls, trusted, self.settings)
        stream.source_urls, stream.trusted = source_urls, trusted
        return stream

    def look_at(self, stream_id: str, kind: str, source_urls: tuple[str, ...], *, trusted: bool) -> Stream:
        """The stream of that id, or what it would be if somebody watched: what is only looked at is not remembered, or
        looking at thousands of channels were to forget those that ran."""
        if stream_id in self._streams:
            return self.open(stream_id, kind, source_urls, trusted=trusted)
        return Stream(stream_id, kind, source_urls, trusted, self.settings)

    def get(self, stream_id: str) -> Stream | None:
        """The stream of that id, if it was asked for lately; its sources may be those of then."""
        return self._streams.get(stream_id)

    def running(self) -> list[Stream]:
        """Those that are starting, active or stopping, the oldest first."""
        return [stream for stream in self._streams.values() if stream.running]

    def relays_ts(self, url: str) -> bool:
        """Whether a source of this URL is being read now, and sends a transport stream, not HLS."""
        return any(stream.source_url == url and stream.reads_ts for stream in self._streams.values())

    def sources_changed(self, relay: Relay) -> None:
        """A running stream takes the new sources at its next switch."""
        stream = self._streams.get(relay.output_path)
        if stream is not None:
            stream.source_urls, stream.trusted = relay.source_urls, relay.origin == "config"

    async def end(self, stream_id: str, reason: str) -> None:
        """Stop a stream and forget it; harmless where there is none."""
        stream = self._streams.pop(stream_id, None)
        if stream is not None:
            await stream.stop(reason)

    async def stop_all(self, reason: str) -> None:
        """Stop every stream at once; returns when all upstreams are closed and all viewers gone."""
        streams: Iterable[Stream] = self._streams.values()
        await asyncio.gather(*(stream.stop(reason) for stream in streams))

    def _forget_oldest(self) -> None:
        if len(self._streams) > STOPPED_KEPT:
            for stream_id, stream in list(self._streams.items()):
                if not stream.running:
                    del self._streams[stream_id]
                    return
