"""One recording into another: a part of its time, a rectangle, filtered, another format. In bounded memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import UsageError
from edgesnn.events import registry
from edgesnn.events.filters import Chain, FilterLike, parse_filters
from edgesnn.events.formats.base import Sensor, keeps_triggers
from edgesnn.events.recording import Recording
from edgesnn.events.writing import Writer

_log = logging.getLogger("edgesnn.events")

Events = npt.NDArray[Any]


@dataclass(frozen=True)
class Region:
    """A rectangle of the sensor; events inside it keep their place relative to its corner."""

    x: int
    y: int
    width: int
    height: int

    def __call__(self, events: Events) -> Events:
        """Return the events inside, as they are on a sensor of this size."""
        x, y = events["x"].astype(np.int32) - self.x, events["y"].astype(np.int32) - self.y
        inside = (x >= 0) & (x < self.width) & (y >= 0) & (y < self.height)
        kept = events[inside]
        kept["x"], kept["y"] = x[inside], y[inside]
        return kept


def parse_region(text: str, *, where: str = "--roi") -> Region:
    """Return the rectangle of a text such as "100,50,640,480": its corner, its width and height."""
    words = text.split(",")
    if len(words) != 4 or not all(word.strip().isascii() and word.strip().isdecimal() for word in words):
        raise UsageError("not a rectangle", where=where, found=repr(text), expected="X,Y,WIDTH,HEIGHT")
    x, y, width, height = (int(word) for word in words)
    if width < 1 or height < 1 or x + width > 65536 or y + height > 65536:
        raise UsageError("no rectangle of a sensor", where=where, found=repr(text), expected="inside 65536x65536")
    return Region(x, y, width, height)


def convert(
    source: Recording,
    target: str | os.PathLike[str],
    *,
    format: str | None = None,
    compression: str | None = None,
    variant: str = "",
    start_us: int | None = None,
    stop_us: int | None = None,
    region: Region | None = None,
    filters: Iterable[FilterLike] = (),
    rebase: bool = False,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Write a recording, or a part of it, as another file, which appears when it is whole.

    Args:
        source: what is read; its `sensor` and `on_corrupt` count.
        target: file to write; its suffix tells the format, where `format` does not.
        format, compression, variant, rebase: as `Writer`.
        start_us, stop_us: sensor times of the part, as `Recording.packets`.
        region: the rectangle to keep.
        filters: after it, in this order (docs/filters.md); the sensor size must be known.
        progress: told the share of the file that was read.

    Returns:
        input, output, format, sensor, events_in, events, triggers (of the part), size_bytes, counters (the reader's
        and the filters'), warnings: JSON values.

    Raises:
        RecordingError: damage under "strict", events that the format cannot hold, or a disk that takes no more.
        UsageError: the same file, a format that is not written, a rectangle outside the sensor.
    """
    if os.path.exists(target) and os.path.samefile(source.path, target):
        raise UsageError("a recording cannot be converted into itself", where=str(target))
    sensor = _cropped(source.sensor, region)
    chain = _chain(filters, sensor)
    sensor = chain.sensor if chain is not None else sensor
    events_in = 0
    with Writer(
        target, sensor=sensor, format=format, compression=compression, variant=variant, rebase=rebase
    ) as writer:
        for events, triggers in source.steps(start_us, stop_us):
            events_in += len(events)
            events = region(events) if region is not None else events
            events = chain.push(events) if chain is not None else events
            writer.write(events, triggers, _reached_us(source.t_end_us, stop_us))
            if progress is not None:
                progress(source.read_bytes / max(source.size_bytes, 1))
    if progress is not None:
        progress(1.0)
    lost = _lost(writer.format, source.trigger_count)
    if events_in == 0:
        lost += _no_event(start_us, stop_us, source.t_end_us)
    for warning in lost:
        _log.warning("%s: %s", target, warning)
    return {
        "input": str(source.path),
        "output": str(target),
        "format": writer.format,
        "sensor": list(sensor) if sensor else None,
        "events_in": events_in,
        "events": writer.events,
        "triggers": source.trigger_count,
        "size_bytes": writer.size_bytes,
        "counters": {**source.counters, **(chain.counters if chain is not None else {})},
        "warnings": [*source.warnings, *lost],
    }


def _lost(format: str, triggers: int) -> list[str]:
    """Return a warning where the format does not keep what the source had."""
    if not triggers or keeps_triggers(registry.get(format)):
        return []
    return [f"{triggers} triggers were not written: {format} has no place for them"]


def _reached_us(t_end_us: int | None, stop_us: int | None) -> int | None:
    """Return the time that a part reaches: that of the source, at most its own end."""
    return t_end_us if t_end_us is None or stop_us is None else min(t_end_us, stop_us)


def _no_event(start_us: int | None, stop_us: int | None, t_end_us: int | None) -> list[str]:
    """Return the warning of a part of the time in which nothing happened; none where it is the whole."""
    if start_us is None and stop_us is None:
        return []
    part = " ".join(f"{word} {t_us} us" for word, t_us in (("from", start_us), ("to", stop_us)) if t_us is not None)
    reached = "" if t_end_us is None else f"; the recording reaches {t_end_us} us"
    return [f"no event {part}{reached}"]


def _cropped(sensor: Sensor | None, region: Region | None) -> Sensor | None:
    """Return the sensor that the events are on once the rectangle is cut out."""
    if region is None:
        return sensor
    if sensor is not None and (region.x + region.width > sensor[0] or region.y + region.height > sensor[1]):
        raise UsageError(
            "the rectangle is not inside the sensor",
            where="--roi",
            found=f"{region.x},{region.y},{region.width},{region.height}",
            expected=f"inside {sensor[0]}x{sensor[1]}",
        )
    return region.width, region.height


def _chain(filters: Iterable[FilterLike], sensor: Sensor | None) -> Chain | None:
    """Return the filters as a chain, or None without any."""
    chosen = parse_filters(filters)
    if not chosen:
        return None
    if sensor is None:
        raise UsageError("filters need the sensor size", where="--filter", hint="pass --sensor WxH or sensor=(w, h)")
    return Chain(chosen, sensor=sensor)
