"""The filters once more, an event at a time in plain Python, from the equations of docs/filters.md."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from edgesnn.events.filters import Filter

Event = tuple[int, int, int, int]
Size = tuple[int, int]
Step = Callable[[Event], "Event | None"]

AROUND = [(-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1)]
BESIDE = [(0, -1), (-1, 0), (1, 0), (0, 1)]


def run(filters: Iterable[Filter], sensor: Size, events: Iterable[Event]) -> tuple[list[Event], Size, dict[str, int]]:
    """Return the events that pass, the sensor that they are on and the counters."""
    steps: list[tuple[str, Step]] = []
    counters: Counter[str] = Counter(time_clamped=0)
    for one in filters:
        step, sensor = globals()[f"_{one.name}"](dict(one.values), sensor)
        steps.append((one.name, step))
        counters[f"dropped.{one.name}"] += 0
    passed, reached = [], None
    for t, x, y, p in events:
        if reached is not None and t < reached:
            counters["time_clamped"] += 1
            t = reached
        reached = t
        event: Event | None = (t, x, y, p)
        for name, step in steps:
            event = step(event)
            if event is None:
                counters[f"dropped.{name}"] += 1
                break
        if event is not None:
            passed.append(event)
    return passed, sensor, dict(counters)


def _kept(keep: Callable[[Event], bool]) -> Step:
    return lambda event: event if keep(event) else None


def _moved(place: Callable[[int, int], tuple[int, int]]) -> Step:
    return lambda event: (event[0], *place(event[1], event[2]), event[3])


def _support(dt: int, needed: int, offsets: list[tuple[int, int]]) -> Step:
    last: dict[tuple[int, int], int] = {}

    def keep(event: Event) -> bool:
        t, x, y, _ = event
        found = sum((x + dx, y + dy) in last and t - last[x + dx, y + dy] < dt for dx, dy in offsets)
        last[x, y] = t
        return found >= needed

    return _kept(keep)


def _background(values: Any, sensor: Size) -> tuple[Step, Size]:
    return _support(values["dt"], 1, AROUND if values["neighbours"] == "8" else BESIDE), sensor


def _stcf(values: Any, sensor: Size) -> tuple[Step, Size]:
    return _support(values["dt"], values["k"], AROUND), sensor


def _refractory(values: Any, sensor: Size) -> tuple[Step, Size]:
    last: dict[tuple[int, int], int] = {}

    def keep(event: Event) -> bool:
        t, *pixel, _ = event
        before = last.get(tuple(pixel))
        passes = before is None or t - before > values["period"]
        if passes or values["after"] == "any":
            last[tuple(pixel)] = t
        return passes

    return _kept(keep), sensor


def _hot_pixels(values: Any, sensor: Size) -> tuple[Step, Size]:
    seen: Counter[tuple[int, int]] = Counter()
    origin: list[int] = []
    most = values["rate"] * values["learn"] // 1_000_000

    def keep(event: Event) -> bool:
        t, x, y, _ = event
        if not origin:
            origin.append(t)
        if t - origin[0] < values["learn"]:
            seen[x, y] += 1
            return True
        return seen[x, y] <= most

    return _kept(keep), sensor


def _inside(values: Any) -> Callable[[Event], bool]:
    def inside(event: Event) -> bool:
        _, x, y, _ = event
        left, top = values["x"], values["y"]
        return left <= x < left + values["width"] and top <= y < top + values["height"]

    return inside


def _roi(values: Any, sensor: Size) -> tuple[Step, Size]:
    inside = _inside(values)

    def step(event: Event) -> Event | None:
        t, x, y, p = event
        return (t, x - values["x"], y - values["y"], p) if inside(event) else None

    return step, (values["width"], values["height"])


def _mask(values: Any, sensor: Size) -> tuple[Step, Size]:
    inside = _inside(values)
    return _kept(lambda event: not inside(event)), sensor


def _bitmap(values: Any, sensor: Size) -> tuple[Step, Size]:
    size, _, text = values["pixels"].partition(":")
    assert size == f"{sensor[0]}x{sensor[1]}"
    bits = "".join(f"{byte:08b}" for byte in base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    dropped = "1" if values["drop"] == "ones" else "0"
    return _kept(lambda event: bits[event[2] * sensor[0] + event[1]] != dropped), sensor


def _flip(values: Any, sensor: Size) -> tuple[Step, Size]:
    width, height = sensor
    if values["axis"] == "x":
        return _moved(lambda x, y: (width - 1 - x, y)), sensor
    return _moved(lambda x, y: (x, height - 1 - y)), sensor


def _transpose(values: Any, sensor: Size) -> tuple[Step, Size]:
    return _moved(lambda x, y: (y, x)), sensor[::-1]


def _rotate(values: Any, sensor: Size) -> tuple[Step, Size]:
    quarters, size = int(values["degrees"]) // 90, sensor if values["degrees"] == "180" else sensor[::-1]

    def place(x: int, y: int) -> tuple[int, int]:
        height, width = sensor[1], sensor[0]
        for _ in range(quarters):
            x, y, width, height = height - 1 - y, x, height, width
        return x, y

    return _moved(place), size


def _downsample(values: Any, sensor: Size) -> tuple[Step, Size]:
    factor = values["factor"]
    size = ((sensor[0] - 1) // factor + 1, (sensor[1] - 1) // factor + 1)
    return _moved(lambda x, y: (x // factor, y // factor)), size


def _polarity(values: Any, sensor: Size) -> tuple[Step, Size]:
    if values["keep"] == "swap":
        return (lambda event: (*event[:3], 1 - event[3])), sensor
    return _kept(lambda event: event[3] == (values["keep"] == "on")), sensor


def _rate(values: Any, sensor: Size) -> tuple[Step, Size]:
    origin: list[int] = []
    seen: Counter[int] = Counter()
    most = values["limit"] * values["period"] // 1_000_000

    def keep(event: Event) -> bool:
        if not origin:
            origin.append(event[0])
        period = (event[0] - origin[0]) // values["period"]
        seen[period] += 1
        return seen[period] <= most

    return _kept(keep), sensor


def _decimate(values: Any, sensor: Size) -> tuple[Step, Size]:
    seen: Counter[Any] = Counter()

    def keep(event: Event) -> bool:
        key = event[1:3] if values["per"] == "pixel" else None
        seen[key] += 1
        return seen[key] % values["factor"] == 0

    return _kept(keep), sensor
