"""Write recordings. EVT3: Prophesee's 16-bit words, as `native/events/decode` reads them back.

Words (type in the top four bits, little-endian): 0x0 ADDR_Y, 0x2 ADDR_X (bit 11: polarity), 0x3 VECT_BASE_X, 0x4
VECT_12 (a mask of the next twelve columns), 0x6 TIME_LOW, 0x8 TIME_HIGH. The time of an event is TIME_HIGH << 12 |
TIME_LOW in microseconds; 24 bits, so a decoder counts the wraps and the writer never leaves one out.

Source: Prophesee, "EVT 3.0 format", https://docs.prophesee.ai/stable/data/encoding_formats/evt3.html
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import RecordingError

_Y, _X, _BASE_X, _VECT_12, _LOW, _HIGH = 0x0000, 0x2000, 0x3000, 0x4000, 0x6000, 0x8000
_EPOCH_US = 1 << 24
_COORDINATE_LIMIT = 2048

Words = npt.NDArray[np.uint16]
Ints = npt.NDArray[np.int64]


def write_evt3(
    path: str | os.PathLike[str],
    events: npt.NDArray[Any],
    sensor: tuple[int, int],
    *,
    t_end_us: int | None = None,
    header: Mapping[str, str] | None = None,
) -> None:
    """Write an EVT3 file that decodes to exactly these events, in this order.

    Args:
        path: file to write; replaced by rename, so a reader never sees half of it.
        events: structured array of dtype `edgesnn.EVENT`, `t` never falling, first `t` in [0, 2**24).
        sensor: (width, height).
        t_end_us: sensor time that the file reaches (TIME_HIGH words go on without events); default the last event's.
        header: more `% key value` lines.

    Raises:
        RecordingError: times fall, start outside [0, 2**24), or a coordinate is outside the sensor.
    """
    target = Path(path)
    temporary = target.with_name(target.name + ".part")
    temporary.write_bytes(evt3_header(sensor, header) + encode_evt3(events, sensor, t_end_us=t_end_us).tobytes())
    os.replace(temporary, target)


def evt3_header(sensor: tuple[int, int], extra: Mapping[str, str] | None = None) -> bytes:
    """Return the ASCII header, its `% end` line included."""
    width, height = sensor
    fields = {"evt": "3.0", "format": f"EVT3;height={height};width={width}", "geometry": f"{width}x{height}"}
    lines = [f"% {key} {value}" for key, value in {**fields, **(extra or {})}.items()]
    return ("\n".join([*lines, "% end"]) + "\n").encode("ascii")


def encode_evt3(events: npt.NDArray[Any], sensor: tuple[int, int], *, t_end_us: int | None = None) -> Words:
    """Return the words of these events: little-endian uint16 [n]. Arguments and errors as `write_evt3`."""
    _check(events, sensor)
    t = events["t"].astype(np.int64)
    last = max(int(t[-1]) if len(t) else 0, t_end_us or 0)
    chunk, base = _chunks(events, t)
    starts = np.flatnonzero(np.diff(chunk, prepend=-1))
    word_t, word_value = _event_words(events, t, starts, base)
    high_t, high_words = _time_high_words(int(t[0]) if len(t) else 0, last)
    order = np.argsort(np.concatenate([high_t, word_t]), kind="stable")
    return np.concatenate([high_words, word_value])[order].astype("<u2")


def _check(events: npt.NDArray[Any], sensor: tuple[int, int]) -> None:
    if not len(events):
        return
    t = events["t"]
    if t[0] < 0 or t[0] >= _EPOCH_US:
        raise RecordingError(
            "EVT3 holds 24 bits of time",
            found=f"first event at {t[0]} us",
            expected="0 to 16777215 us",
            hint="subtract an offset from the times",
        )
    if (np.diff(t) < 0).any():
        raise RecordingError(
            "times fall",
            found=f"event {int(np.argmax(np.diff(t) < 0)) + 1} is earlier than the one before it",
            expected="times that never fall",
            hint="sort the events by time",
        )
    width, height = min(sensor[0], _COORDINATE_LIMIT), min(sensor[1], _COORDINATE_LIMIT)
    outside = (events["x"] >= width) | (events["y"] >= height)
    if outside.any():
        bad = events[int(np.argmax(outside))]
        raise RecordingError(
            "an event is outside the sensor",
            found=f"x={bad['x']} y={bad['y']}",
            expected=f"inside {width}x{height}",
        )


def _chunks(events: npt.NDArray[Any], t: Ints) -> tuple[Ints, Ints]:
    """Return each event's chunk number and its chunk's base column.

    A chunk is what one ADDR_X or one VECT_BASE_X + VECT_12 pair holds: events of one time, row and polarity whose
    columns rise inside twelve columns.
    """
    x, y, p = (events[name].astype(np.int64) for name in "xyp")
    run_starts = np.ones(len(t), dtype=bool)
    run_starts[1:] = (np.diff(t) != 0) | (np.diff(y) != 0) | (np.diff(p) != 0) | (np.diff(x) <= 0)
    run = np.cumsum(run_starts) - 1
    first = x[np.flatnonzero(run_starts)][run] if len(x) else x
    block = (x - first) // 12
    chunk_starts = run_starts.copy()
    chunk_starts[1:] |= np.diff(block) != 0
    return np.cumsum(chunk_starts) - 1, first + 12 * block


def _event_words(events: npt.NDArray[Any], t: Ints, starts: Ints, base: Ints) -> tuple[Ints, Ints]:
    """Return (time of each word, word) without TIME_HIGH: per chunk TIME_LOW and ADDR_Y where needed, then columns."""
    if not len(starts):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    x, y, p = (events[name].astype(np.int64) for name in "xyp")
    count = np.diff(np.append(starts, len(t)))
    mask = np.bitwise_or.reduceat(np.left_shift(1, x - base), starts)
    ct, cy, polarity = t[starts], y[starts], p[starts] << 11
    single = count == 1
    column = np.where(single, _X | x[starts], _BASE_X | base[starts]) | polarity
    words = np.stack([_LOW | (ct & 0xFFF), _Y | cy, column, _VECT_12 | mask], axis=1)
    present = np.ones(words.shape, dtype=bool)
    present[1:, 0] = np.diff(ct) != 0
    present[1:, 1] = np.diff(cy) != 0
    present[:, 3] = ~single
    return np.broadcast_to(ct[:, None], words.shape)[present], words[present]


def _time_high_words(first_us: int, last_us: int) -> tuple[Ints, Ints]:
    """Return (time, word) of every TIME_HIGH from the first event's to the last: none left out, so no wrap is lost."""
    high = np.arange(first_us >> 12, (last_us >> 12) + 1, dtype=np.int64)
    return high << 12, _HIGH | (high & 0xFFF)
