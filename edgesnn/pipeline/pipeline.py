"""`edgesnn.Pipeline`: from a recording, or from pushed packets, to predictions, in the caller's process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

import numpy as np

from edgesnn import _native
from edgesnn.encode.adapt import Adapt
from edgesnn.errors import ModelError, UsageError
from edgesnn.events.decoder import check_options
from edgesnn.events.filters import FilterLike
from edgesnn.events.formats.base import printable
from edgesnn.events.recording import Recording
from edgesnn.events.sources.live import LiveSource
from edgesnn.pipeline.arguments import integer
from edgesnn.pipeline.by_count import SECTION, ByCount, by_count, check_saved
from edgesnn.pipeline.records import Records
from edgesnn.pipeline.session_model import chain_model
from edgesnn.pipeline.source import check_native, is_native, make_source, open_source
from edgesnn.pipeline.tap import EventTap, Frozen
from edgesnn.pipeline.threads import Ring, Threads, ring_of
from edgesnn.prediction import Prediction
from edgesnn.runtime import Model, load, snapshot
from edgesnn.runtime.decide import Readout
from edgesnn.runtime.windows import (
    Encoding,
    adapted,
    encoding_of,
    filters_of,
    goes_on,
    readout_of,
    sensor_before,
)
from edgesnn.units import parse_speed

_CURSOR = "source/cursor"
_WAIT_MS = 100
_LONGEST_MS = 1 << 31
TIME_LIMIT_US = 1 << 60
"""Times are below this in absolute value (docs/pipeline.md, "Windows")."""


class Pipeline:
    """Predictions of one stream. An iterator where it has a source; else `push` and `poll`.

    One thread at a time uses it (another is refused); the native chain works without the GIL. With `threaded` another
    thread reads and decodes, one may push while another polls, and the predictions are the same where nothing is
    dropped. Use it as a context manager, or `close` it. In a forked child it raises.

    Args:
        source: a path, the address of a live source (docs/sources.md), a `Recording`, a `LiveSource`, an iterable of
            event arrays, or None: packets are pushed. A live source is closed with the pipeline.
        model: a path, a name in the zoo, or a `Model`.
        sensor: (width, height), where the source does not say it; else the model's.
        backend: as `edgesnn.load`; only where `model` is not a `Model` yet.
        stream: the stream's name in the predictions.
        node: kept for sinks as `node`.
        speed: "max", or a factor of the recording's own pace such as "1x".
        on_corrupt: "strict" (the default for recordings) or "skip" (the default for pushed packets).
        format: of the recording, where its content does not tell it; of pushed bytes.
        variant: of the format of pushed bytes, as `edgesnn.Decoder`: "legacy" of EVT2.1, the columns of CSV.
        columns: of a path to a table, as `edgesnn.open`.
        window_events: windows of this many events instead of the model file's windows by time.
        hop_events: events from the start of one such window to the next; default `window_events`.
        adapt: how another sensor's events come onto the model's, instead of what the model file says: "letterbox",
            "crop" or "downsample" (docs/model-file.md). A model of points takes any sensor and needs none.
        threaded: True, or a `Ring` that says how much may wait and what is dropped then (docs/pipeline.md, "Threads").
        filters: before the windows, in this order (docs/filters.md), such as "refractory:period=1ms"; those of the
            model file work after them. The model sees the sensor that they all leave.

    Raises:
        RecordingError, ModelError, UsageError, BackendError: what cannot be opened or does not fit.

    Example:
        for prediction in edgesnn.Pipeline("gate.raw", "gestures"):
            print(prediction.label, prediction.confidence)
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | Recording | Iterable[Any] | None,
        model: str | os.PathLike[str] | Model,
        *,
        sensor: tuple[int, int] | None = None,
        backend: str = "auto",
        stream: str = "main",
        node: str | None = None,
        speed: str = "max",
        on_corrupt: str | None = None,
        format: str | None = None,
        variant: str = "",
        columns: str | None = None,
        window_events: int | None = None,
        hop_events: int | None = None,
        adapt: Adapt | None = None,
        threaded: bool | Ring = False,
        filters: Iterable[FilterLike] = (),
    ) -> None:
        check_options(sensor, on_corrupt or "skip")
        pace = parse_speed(speed)
        self.model = model if isinstance(model, Model) else load(model, backend=backend)
        encoding, readout = adapted(encoding_of(self.model), adapt), readout_of(self.model)
        self._by_count = by_count(window_events, hop_events, encoding)
        opened = open_source(source, sensor=sensor, on_corrupt=on_corrupt, format=format, columns=columns)
        ring = ring_of(threaded, opened)
        recording = opened if isinstance(opened, Recording) else None
        if variant and (opened is not None or format is None):
            raise UsageError("only pushed bytes have a variant", where="variant", found=repr(variant))
        live = opened if isinstance(opened, LiveSource) else None
        self.sensor = sensor_of(recording or live, sensor, self.model)
        format = None if live else format  # it decodes by itself
        self.stream = stream
        self.node = node
        self._source = make_source(opened, pace, self.sensor)
        self._records = Records(self.model, readout, stream, None if self._by_count else encoding.grid.hop_us)
        self._filters = filters_of(self.model, filters)
        self._chain = _make_chain(
            self, encoding, readout, recording, on_corrupt, (format or "", variant), self._by_count
        )
        self._threads = None if ring is None else Threads(self._chain, ring, self._source)
        if self._threads is not None:
            self._chain = self._threads.chain
        self._decodes = is_native(recording) if recording is not None else format is not None
        self._concluded = False
        self._finished = self._closed = False
        self._process = os.getpid()

    def __iter__(self) -> Iterator[Prediction]:
        return self

    def __next__(self) -> Prediction:
        """Return the next prediction of the source.

        Raises:
            RecordingError: strict, at the first damage, after all predictions before it; or a file without any event.
            UsageError: the pipeline has no source, or is closed.
        """
        if self._source is None:
            raise UsageError("the pipeline has no source", hint="push packets and poll, or give it a source")
        if self._threads is not None:
            return self._next_read(self._threads)
        while True:
            prediction = self.poll()
            if prediction is not None:
                return prediction
            if not self._finished and not self._source.feed(self._chain):
                self.flush()
            elif self._finished:
                self._conclude()
                raise StopIteration

    def push(self, packet: Any, stamp_ns: int | None = None, *, t_end_us: int | None = None, lost: int = 0) -> None:
        """Give the next packet; it is copied, and worked on when `poll` asks.

        Args:
            packet: an array of dtype `edgesnn.EVENT`, or bytes of the format named at the start.
            stamp_ns: a host time of yours; the predictions of the windows that this packet closes carry it.
            t_end_us: sensor time reached at the end of an event array, where that is later than its last event.
            lost: without threads: events that you had to drop before it; `sensor.dropped` of the next prediction.

        Raises:
            UsageError: the pipeline has a source, has been flushed or is closed; bytes without a format; a stamp or
                time that is no integer or out of range; more than 64 MiB wait.
            RecordingError: strict, and an event is outside the sensor.
        """
        self._check_open()
        stamp_ns = integer(stamp_ns, "stamp_ns", (1 << 63) - 1)
        t_end_us = integer(t_end_us, "t_end_us", TIME_LIMIT_US - 1)
        if self._source is not None:
            raise UsageError("packets are pushed into a pipeline that has a source", where="push")
        if lost:
            self._lose(lost)
        if isinstance(packet, np.ndarray) and packet.dtype != np.uint8:
            self._chain.push_events(packet, t_end_us, stamp_ns)
        elif isinstance(packet, (bytes, bytearray, memoryview, np.ndarray)):
            self._chain.push_bytes(packet, stamp_ns)
        else:
            found = type(packet).__name__
            raise UsageError("not a packet", where="push", found=found, expected="an array of edgesnn.EVENT, or bytes")

    def _lose(self, lost: Any) -> None:
        number = integer(lost, "lost", 1 << 52)
        if self._threads is not None or number is None or number < 0:
            raise UsageError("events cannot be lost so", where="lost", found=repr(lost), expected="a count, no threads")
        self._chain.lose(number)

    def poll(self, wait_ms: int = 0) -> Prediction | None:
        """Return the next prediction that the packets so far give, or None. Call it until it returns None.

        Args:
            wait_ms: threaded only: wait so long for one.

        Raises:
            RecordingError: strict, at the first damage, after all predictions before it, and again at every call.
            UsageError: the pipeline is closed; a wait without threads.
            What the source raised in its thread, after all predictions before it, and again at every call.
        """
        self._check_open()
        if self._threads is not None:
            self._threads.start()
            result = self._chain.poll(integer(wait_ms, "wait_ms", _LONGEST_MS))
            if result is None and self._chain.ended:
                self._threads.raise_error()
        elif wait_ms:
            raise UsageError("nothing comes while the caller waits", where="wait_ms", hint="make it with threaded=True")
        else:
            result = self._chain.poll()
        return None if result is None else self._records.make(result)

    @property
    def ended(self) -> bool:
        """Threaded only: whether nothing will follow; the next prediction asked for by iteration says why."""
        return self._threads is not None and bool(self._chain.ended)

    def _next_read(self, threads: Threads) -> Prediction:
        while not self._chain.ended:
            prediction = self.poll(_WAIT_MS)
            if prediction is not None:
                return prediction
        threads.raise_error()
        self._conclude()
        raise StopIteration

    def flush(self) -> None:
        """Say that no packet follows: after the predictions that are still to be polled, an unfinished window is
        dropped and counted. Twice is once."""
        self._check_open()
        self._chain.finish()
        self._finished = True

    @property
    def counters(self) -> dict[str, int]:
        """Counters by name (docs/pipeline.md): events_in = processed + all of dropped.* + pending, at every moment."""
        self._check_process()
        counters: dict[str, int] = self._chain.counters()
        return counters

    def snapshot(self) -> bytes:
        """Return the whole state between two predictions: a pipeline restored from it gives the same ones after it.

        Raises:
            RecordingError: the stream has failed.
            UsageError: the pipeline is closed.
        """
        return self.freeze().encode()

    def freeze(self) -> Frozen:
        """Return a snapshot whose bytes another thread may make later; raises as `snapshot`."""
        self._check_open()
        arrays = self._chain.save()
        if self._source is not None:
            arrays[_CURSOR] = np.array(self._cursor(arrays), dtype=np.int64)
        return self._frozen(arrays, self._sections())

    def _frozen(self, arrays: dict[str, Any], sections: list[str]) -> Frozen:
        if self._by_count is not None:
            arrays[SECTION] = self._by_count.save()
        return Frozen(arrays, self.model.identity, tuple(sections))

    def tap(self, most_bytes: int) -> EventTap:
        """Threaded only: keep what is taken in from now on; while `most_bytes` of it wait `poll` returns None at once.

        Its snapshots are those of a pipeline without a source and a format, into which the packets are pushed.
        """
        self._check_open()
        if self._threads is None:
            raise UsageError("only a pipeline with threads is tapped", where="tap", hint="make it with threaded=True")
        sections = [name for name in self._sections() if name not in ("decoder", "source")]
        return EventTap(self._chain, lambda arrays: self._frozen(arrays, sections), most_bytes)

    def _cursor(self, arrays: dict[str, Any]) -> int:
        """Return the place in the source that belongs to a saved chain: a thread may be further by now."""
        assert self._source is not None
        if self._threads is None or self._source.counted is None:
            return self._source.cursor
        return int(arrays["counters/input"][("events_in", "bytes_in", "packets_in").index(self._source.counted)])

    def restore(self, blob: bytes) -> None:
        """Go on from a snapshot; the pipeline must be made with the same source, model, sensor, format,
        windows and filters.

        Raises:
            ModelError: damaged bytes, another model's, a newer version, other sections; nothing changes then.
            UsageError: the pipeline is closed, or a thread reads its source already.
        """
        self._check_open()
        if self._threads is not None and self._threads.started:
            hint = "restore it before its first prediction"
            raise UsageError("a thread reads the source already", where="restore", hint=hint)
        arrays = snapshot.decode(blob, self.model.identity, self._sections())
        check_saved(arrays.pop(SECTION, None), self._by_count)
        cursor = arrays.pop(_CURSOR, None)
        if self._source is not None and (cursor is None or cursor.dtype != np.int64 or cursor.shape != ()):
            raise ModelError("snapshot has no place in the source", where=_CURSOR)
        before = self._chain.save() if self._source is not None else None
        self._chain.load(arrays)
        if self._source is not None and cursor is not None:
            try:
                self._source.seek(int(cursor))
            except ModelError:
                self._chain.load(before)
                raise
        self._finished = self._concluded = False

    def reset(self) -> None:
        """Set the model's states and the decision as at the start, between two windows; what comes in and the windows
        and their numbers go on. Windows that are decided already, and wait to be polled, are not decided again.

        Raises:
            UsageError: the pipeline is closed.
        """
        self._check_open()
        self._chain.reset()

    def close(self) -> None:
        """Let go of the source; twice is once. What was not polled is lost; only `counters` can be asked for now."""
        self._closed = True
        if self._threads is not None:
            if os.getpid() == self._process:
                self._threads.close()
        elif self._source is not None:
            self._source.close()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _conclude(self) -> None:
        if not self._concluded and self._source is not None:
            self._concluded = True
            self._source.conclude(self._chain.counters())

    def _sections(self) -> list[str]:
        sections = ["input", "counters", "window", "decide", "session"]
        encoder = ["encode"] * (self.model.input["kind"] != "points")
        more = {"decoder": self._decodes, "filters": bool(self._filters), "source": self._source is not None}
        return [*sections, *encoder, *(name for name, held in more.items() if held)]

    def _check_open(self) -> None:
        self._check_process()
        if self._closed:
            raise UsageError("the pipeline is closed", hint="make a new one")

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise UsageError("a pipeline was carried into a forked process", hint="make it in the process that uses it")


def sensor_of(source: Recording | LiveSource | None, sensor: tuple[int, int] | None, model: Model) -> tuple[int, int]:
    """Return the sensor size: the source's, else the one given, else the model's (`sensor_before`)."""
    if source is not None and source.sensor is not None:
        return source.sensor
    width, height = sensor or sensor_before(model)
    return int(width), int(height)


def _make_chain(
    pipeline: Pipeline,
    encoding: Encoding,
    readout: Readout,
    recording: Recording | None,
    on_corrupt: str | None,
    pushed: tuple[str, str],
    windows: ByCount | None,
) -> Any:
    policy = recording.on_corrupt if recording is not None else on_corrupt or "skip"
    if recording is not None:
        name, variant = recording.format if is_native(recording) else "", recording.variant
    else:
        name, variant = pushed
        if name:
            check_native(name)
    return _native.pipeline.Chain(
        encoding,
        pipeline.sensor,
        readout,
        chain_model(pipeline.model, readout),
        strict=policy == "strict",
        format=name,
        where=printable(str(recording.path) if recording is not None else pipeline.stream),
        offset=recording.data_offset if recording is not None else 0,
        variant=variant,
        window_events=windows.events if windows else 0,
        hop_events=windows.hop if windows else 0,
        run_idle=goes_on(pipeline.model),
        filters=[one.native for one in pipeline._filters],
    )
