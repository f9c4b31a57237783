"""Windows that no encoder takes: an error each time, and the windows after them are as they would be."""

from __future__ import annotations

import numpy as np
import pytest

import edgesnn
from edgesnn.encode import ArrayStream

SENSOR = (320, 240)


def stream_of(times: list[int]) -> ArrayStream:
    """Windows of two events each of these times."""
    events = np.zeros(len(times), edgesnn.EVENT)
    events["t"] = times
    stream = ArrayStream("points:points=2", SENSOR, window_events=2)
    stream.push(events)
    return stream


def test_a_window_that_is_too_long_for_points_is_refused_each_time() -> None:
    years = 1 << 49  # of microseconds
    stream = stream_of([0, 8, 10, 10 + years, 20 + years, 20 + 2 * years, 3 * years, 3 * years + 8])
    first = stream.poll()
    assert first is not None
    for _ in range(2):  # of one length: the second time the window before it lent its own
        with pytest.raises(edgesnn.ModelError, match="window_us"):
            stream.poll()
    last = stream.poll()
    assert last is not None
    np.testing.assert_array_equal(last.array, first.array)
