"""The metrics, read from where they are counted when somebody asks for them.

Names follow Prometheus' rules: base units, `_total` for counters, no type in a name. Labels are words out of a fixed
set and ids of streams, never a URL. Series per stream are bounded (see `metrics.books`).

Imports prometheus-client, which takes longer than the loop may be held: import this in a thread.
"""

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from fastrelay import __version__
from fastrelay.endpoints.metered import Metered
from fastrelay.metrics.books import OTHER
from fastrelay.metrics.histogram import Histogram
from fastrelay.passthrough.channel import Channel as PassedThrough
from fastrelay.passthrough.status import channel_state
from fastrelay.streams.state import PUBLIC_NAMES
from fastrelay.streams.stream import Stream

SUMS = (
    ("received_bytes", "received", "Bytes read from sources."),
    ("delivered_bytes", "delivered", "Bytes that viewers have taken."),
    ("drops", "drops", "Viewers dropped because they were too slow."),
    ("switches", "switches", "Switches to another source."),
    ("lost_packets", "lost", "Packets, datagrams and segments known to be lost on the way in."),
    ("continuity_errors", "continuity_errors", "Continuity counter errors in what sources sent."),
)
"""Name, attribute of Sums, help: by stream, and of the whole server, where drops and switches are by reason instead."""


@dataclass(slots=True)
class _Now:
    """What running streams of one label hold at this moment."""

    ts: int = 0
    hls: int = 0
    ring: int = 0
    segments: int = 0
    bitrate: float = 0.0

    def add(self, stream: Stream | PassedThrough) -> None:
        if isinstance(stream, PassedThrough):
            self.hls += len(stream.sessions)
            self.segments += stream.cached_bytes
            return
        run = stream.run
        if run is None:
            return
        self.ts += len(run.viewers)
        self.hls += run.sessions
        self.ring += run.ring.size
        self.segments += run.hls.store.bytes if run.hls is not None else 0
        self.bitrate += run.bitrate()


_EOF = b"# EOF\n"
"""What OpenMetrics ends with."""

GAUGES: tuple[tuple[str, str, Callable[[_Now], float]], ...] = (
    ("ring_bytes", "Memory of ring buffers.", lambda now: now.ring),
    ("segment_bytes", "HLS segments held in memory, cut here or passed through.", lambda now: now.segments),
    ("bitrate_bytes", "Bytes per second of media time in what sources send.", lambda now: now.bitrate / 8),
)


class Exposition:
    """Collects on the loop, where nothing changes meanwhile; the text can be made later."""

    def __init__(self, metered: Metered) -> None:
        self._metered = metered
        self._process: Collector = ProcessCollector(registry=None)

    def collect(self) -> list[Metric]:
        """Everything as it is now."""
        return [*self._server(), *self._histograms(), *self._streams(), *self._process.collect()]

    def _server(self) -> Iterator[Metric]:
        metered, tally = self._metered, self._metered.tally
        yield InfoMetricFamily(
            "fastrelay_build",
            "Version of fastrelay and of Python.",
            value={"version": __version__, "python": platform.python_version()},
        )
        yield _gauge("fastrelay_connections", "Open connections, live viewers included.", metered.connections())
        yield _gauge(
            "fastrelay_segment_limit_bytes", "hls.memory_max: bound on all HLS segments.", metered.memory.limit
        )
        yield _gauge("fastrelay_segment_bytes", "HLS segments that are cut here and held.", metered.memory.used)
        yield _gauge("fastrelay_passthrough_bytes", "Cache of what is passed through.", metered.cache.size)
        yield _counters("fastrelay_http_answers", "Whole HTTP answers, by status.", "code", tally.answers)
        yield _counters("fastrelay_viewers_joined", "Viewers who came, by kind.", "kind", tally.viewers)
        yield _counters("fastrelay_viewer_drops", "Viewers dropped, by reason.", "reason", tally.drops)
        yield _counters("fastrelay_source_switches", "Sources left, by reason.", "reason", tally.switches)
        yield _counters("fastrelay_source_failures", "Sources failed, by reason.", "reason", tally.failures)
        yield CounterMetricFamily(
            "fastrelay_segments_shortened",
            "HLS segments given up before their time, because hls.memory_max was reached.",
            value=metered.memory.shortened,
        )
        sums = tally.books.total()
        for name, attribute, text in SUMS:
            if name not in ("drops", "switches"):
                yield CounterMetricFamily(f"fastrelay_{name}", text, value=getattr(sums, attribute))

    def _histograms(self) -> Iterator[Metric]:
        tally = self._metered.tally
        yield _histogram(
            "fastrelay_outage_seconds", "From the last bytes of a source to the first of the next.", tally.outage
        )
        first = HistogramMetricFamily(
            "fastrelay_first_byte_seconds",
            "From a viewer's request to the first bytes of media or, with HLS, the first playlist.",
            labels=["kind"],
        )
        for kind, histogram in tally.first_byte.items():
            first.add_metric([kind], histogram.buckets(), histogram.total)
        yield first
        yield _histogram("fastrelay_join_lag_seconds", "How far behind the newest a viewer joins.", tally.join_lag)
        yield _histogram("fastrelay_loop_lag_seconds", "How late the event loop was.", tally.loop_lag)

    def _streams(self) -> Iterator[Metric]:
        manager, passthroughs = self._metered.manager, self._metered.passthroughs
        running, passed = manager.running(), passthroughs.running()
        states = Counter({name: 0 for name in PUBLIC_NAMES.values() if name != "idle"})
        states.update(PUBLIC_NAMES[stream.state] for stream in running)
        states.update(channel_state(channel) for channel in passed)
        yield _gauges("fastrelay_streams", "Running streams, by state.", "state", states.items())
        whole = _Now()
        by_label: dict[str, _Now] = {}
        labelled: list[tuple[str, Stream | PassedThrough]] = [
            *((stream.run.entry.label if stream.run is not None else OTHER, stream) for stream in running),
            *((passthroughs.label(channel), channel) for channel in passed),
        ]
        for label, stream in labelled:
            whole.add(stream)
            by_label.setdefault(label, _Now()).add(stream)
        kinds = (("ts", whole.ts), ("hls", whole.hls))
        yield _gauges("fastrelay_viewers", "Viewers now, by kind.", "kind", kinds)
        yield _gauge("fastrelay_ring_bytes", "Memory of ring buffers.", whole.ring)
        yield from self._by_stream(by_label)

    def _by_stream(self, by_label: dict[str, _Now]) -> Iterator[Metric]:
        viewers = GaugeMetricFamily(
            "fastrelay_stream_viewers", "Viewers now, by stream and kind.", labels=["stream", "kind"]
        )
        for label, now in by_label.items():
            viewers.add_metric([label, "ts"], now.ts)
            viewers.add_metric([label, "hls"], now.hls)
        yield viewers
        for name, text, value in GAUGES:
            shown = ((label, value(now)) for label, now in by_label.items())
            yield _gauges(f"fastrelay_stream_{name}", text, "stream", shown)
        sums = self._metered.tally.books.by_stream()
        for name, attribute, text in SUMS:
            family = CounterMetricFamily(f"fastrelay_stream_{name}", text, labels=["stream"])
            for label, done in sums.items():
                family.add_metric([label], getattr(done, attribute))
            yield family


def rendered(families: Iterable[Metric], accept: str) -> tuple[Iterator[bytes], str]:
    """The text, piece by piece, and its content type, of the format that `accept` prefers."""
    encode, content_type = choose_encoder(accept)
    return _pieces(families, encode), content_type


def _pieces(families: Iterable[Metric], encode: Callable[[Collector], bytes]) -> Iterator[bytes]:
    """The encoders close the text behind each family; it is wanted behind the last one only."""
    end = b""
    for family in families:
        piece = encode(_Collected([family]))
        if piece.endswith(_EOF):
            piece, end = piece.removesuffix(_EOF), _EOF
        yield piece
    yield end


class _Collected:
    """What the encoders take for a registry."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _gauges(name: str, text: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for word, value in values:
        family.add_metric([word], value)
    return family


def _counters(name: str, text: str, label: str, values: Mapping[str, int] | Mapping[int, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for word, value in values.items():
        family.add_metric([str(word).replace(" ", "_")], value)
    return family


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    return HistogramMetricFamily(name, text, buckets=histogram.buckets(), sum_value=histogram.total)
