"""What a stream's thread drives: a threaded pipeline of events, or a stream of lines, with one face."""

from __future__ import annotations

import time
from typing import Any

from edgesnn.daemon.schema import Stream
from edgesnn.events import opening
from edgesnn.events.filters.specification import Filter, parse_filters
from edgesnn.events.sources.live import LiveSource
from edgesnn.events.sources.registry import is_source
from edgesnn.pipeline import Pipeline, Ring, TokenStream
from edgesnn.pipeline.alerts import threshold_by_log
from edgesnn.pipeline.tap import Frozen, Tap
from edgesnn.prediction import Prediction
from edgesnn.runtime import Model

_LIVE_S = 1.0
_WAIT_MS = 250
NOW = ("pending", "sessions")
"""Counters that say how it is, not what came."""
_STATES = {"quiet": "idle", "closed": "stopped"}


class Feed:
    """Predictions of one source, until it ends. One thread uses it; `state` and `counters` any.

    Args:
        stream: what the configuration says.
        model: its model.
        threshold: of lines, where it came of a normal log.

    Raises:
        EdgeSnnError: the source cannot be had, or does not fit.
    """

    def __init__(self, stream: Stream, model: Model, threshold: float | None) -> None:
        self._live: LiveSource | None = None
        self._heard_s = time.monotonic()
        self._stream, self._threshold = stream, threshold
        self._before: dict[str, int] = {}  # counters that a snapshot brought
        self._fault: Exception | None = None
        self._state = "waiting"
        self._told: dict[str, int] = {}
        if model.input["kind"] == "tokens":
            self._from: Pipeline | TokenStream = _lines(stream, model, threshold)
        else:
            self._filters = parse_filters(stream.filters)
            source = _opened(stream)
            self._live = source if isinstance(source, LiveSource) else None
            self._from = _pipeline(stream, model, source, self._filters)
        self._lasts = self._live is None and model.input["kind"] != "tokens"  # a file is never idle

    def next(self) -> Prediction | None:
        """Return the next prediction; None where none came for a quarter of a second, or the source has ended.

        Raises:
            EdgeSnnError: it failed.
        """
        if self._fault is not None:
            raise self._fault
        prediction = self._from.poll(_WAIT_MS)
        if prediction is None and self.ended:
            next(self._from, None)  # raises what ended it
        if prediction is not None:
            self._heard_s = time.monotonic()
        return prediction

    @property
    def ended(self) -> bool:
        """Whether nothing will follow."""
        return self._from.ended

    @property
    def state(self) -> str:
        """waiting, live, idle, dead or ended (docs/daemon.md)."""
        if self._live is not None:
            return self._live_state(self._live)
        if self.ended:
            return "ended"
        return "live" if self._lasts or time.monotonic() - self._heard_s <= _LIVE_S else "idle"

    @property
    def counters(self) -> dict[str, int]:
        """The counters of the pipeline or stream since this feed began, and of a live source as `source.NAME`."""
        counted = {name: count - self._before.get(name, 0) for name, count in self._from.counters.items()}
        return {**counted, **self._source_counters()}

    def _source_counters(self) -> dict[str, int]:
        """Return what the live source counted; one of another package that cannot tell fails in the stream's thread."""
        try:
            if self._live is not None:
                self._told = {f"source.{name}": count for name, count in self._live.counters.items()}
        except Exception as error:
            self._fault = error
        return self._told

    def _live_state(self, source: LiveSource) -> str:
        """Return its state; as `_source_counters`."""
        try:
            self._state = _STATES.get(source.state, source.state)
        except Exception as error:
            self._fault = error
        return self._state

    def restore(self, blob: bytes) -> None:
        """Go on from a snapshot; nothing was asked for yet. What waits in it comes in anew, for the counters.

        Raises:
            EdgeSnnError: it is of another model or stream; nothing changes then.
        """
        self._from.restore(blob)
        before = {name: count for name, count in self._from.counters.items() if name not in NOW}
        if "events_in" in before:
            before["events_in"] -= self._from.counters["pending"]
        self._before = before

    @property
    def config(self) -> dict[str, Any]:
        """What a bundle must say of it, so that it can be made again."""
        stream = self._stream
        if isinstance(self._from, TokenStream):
            return {**_line_options(stream), "threshold": self._threshold, "publish_text": stream.publish_text}
        names = ("window_events", "hop_events", "adapt")
        filters = [one.json for one in self._filters]  # in which the picture of a file stands itself
        return {
            "sensor": list(self._from.sensor),
            "filters": filters,
            **{name: getattr(stream, name) for name in names},
        }

    @property
    def next_window(self) -> int:
        """The number of the window, or line, that is decided next."""
        counters = self._from.counters
        return counters["windows"] if "windows" in counters else counters["lines"]

    def reset(self) -> None:
        """Set the model's states as at the start; what comes in goes on."""
        self._from.reset()

    def freeze(self) -> Frozen:
        """Return the state between two predictions; raises EdgeSnnError where it has failed."""
        return self._from.freeze()

    def tap(self, most_bytes: int) -> Tap:
        """Keep what comes in from now on (`Pipeline.tap`, `TokenStream.tap`)."""
        return self._from.tap(most_bytes)

    def close(self) -> None:
        """Let go of the source."""
        self._from.close()


def lasting(stream: Stream, model: Model) -> bool:
    """Say whether a stream's source goes on: one that ends or fails is not begun again."""
    if model.input["kind"] != "tokens":
        return is_source(stream.source)
    return stream.follow or stream.source.startswith(("udp://", "mqtt://", "mqtts://"))


def threshold_of(stream: Stream, model: Model) -> float | None:
    """Return the threshold of lines that the configuration says; a normal log is scored for it."""
    if stream.alerts_per_day is None or stream.normal is None or stream.normal_time is None:
        return stream.threshold
    days = stream.normal_time / 86_400e6
    return threshold_by_log(model, stream.normal, days, stream.alerts_per_day, **_line_options(stream))[0]


def _opened(stream: Stream) -> Any:
    return opening.open(
        stream.source,
        format=stream.format,
        sensor=stream.sensor,
        on_corrupt=stream.on_corrupt,
        columns=stream.columns,
    )


def _pipeline(stream: Stream, model: Model, source: Any, filters: tuple[Filter, ...]) -> Pipeline:
    try:
        return Pipeline(
            source,
            model,
            sensor=stream.sensor,
            stream=stream.name,
            speed=stream.speed,
            window_events=stream.window_events,
            hop_events=stream.hop_events,
            adapt=stream.adapt,
            filters=filters,
            threaded=Ring(stream.when_full, stream.ring_events, stream.keep_every),
        )
    except BaseException:
        if isinstance(source, LiveSource):
            source.close()
        raise


def _lines(stream: Stream, model: Model, threshold: float | None) -> TokenStream:
    return TokenStream(
        stream.source,
        model,
        stream=stream.name,
        follow=stream.follow,
        threshold=threshold,
        publish_text=stream.publish_text,
        **_line_options(stream),
    )


def _line_options(stream: Stream) -> dict[str, Any]:
    policy: dict[str, Any] | None = None
    if stream.reset is not None:
        policy = {"policy": stream.reset.policy}
        if stream.reset.tokens is not None:
            policy["tokens"] = stream.reset.tokens
        if stream.reset.idle is not None:
            policy["idle_ms"] = max(1, stream.reset.idle // 1000)
    return {"reset": policy, "key": stream.key, "sessions": stream.sessions}
