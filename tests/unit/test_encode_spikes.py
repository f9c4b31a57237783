"""Events into the steps of spiking networks."""

from __future__ import annotations

import numpy as np
import pytest

from edgesnn.encode.spikes import SpikeEncoding, spike_frames
from edgesnn.events.types import EVENT


def events(*rows: tuple[int, int, int, int]):
    return np.array(list(rows), EVENT)


def plainly(stream, encoding: SpikeEncoding):
    """One event after the other, with Python's own rounding (half to even)."""
    width, height = encoding.sensor
    frames = np.zeros((encoding.steps, 2, height, width), int)
    start = int(stream["t"][0]) if encoding.origin == "first" else 0
    for t, x, y, p in stream.tolist():
        bins = (t - start) / encoding.bin_us
        step = round(bins) if encoding.rounding == "nearest" else int(bins // 1)
        if 0 <= step < encoding.steps:
            channel = encoding.polarity_order.index(p)
            frames[step, channel, y, x] = min(encoding.bound, frames[step, channel, y, x] + 1)
    return frames


@pytest.mark.parametrize("origin", ["zero", "first"])
@pytest.mark.parametrize("rounding", ["floor", "nearest"])
@pytest.mark.parametrize(("order", "bound"), [((0, 1), 255), ((1, 0), 2), ((0, 1), 1)])
def test_frames_are_those_of_one_event_after_the_other(origin, rounding, order, bound):
    random = np.random.default_rng(3)
    stream = np.empty(400, EVENT)
    stream["t"] = np.sort(random.integers(0, 40, 400)) * 250 + 1000
    for name, size in (("x", 5), ("y", 3), ("p", 2)):
        stream[name] = random.integers(0, size, 400)
    encoding = SpikeEncoding((5, 3), 500, 16, origin, rounding, order, bound)
    np.testing.assert_array_equal(spike_frames(stream, encoding), plainly(stream, encoding))


def test_halves_go_to_the_even_step():
    encoding = SpikeEncoding((1, 1), 1000, 5, "zero", "nearest")
    frames = spike_frames(events((500, 0, 0, 0), (1500, 0, 0, 0), (2500, 0, 0, 0), (3500, 0, 0, 0)), encoding)
    assert frames[:, 0, 0, 0].tolist() == [1, 0, 2, 0, 1]


def test_counts_stop_at_a_bytes_end_and_no_events_give_zeros():
    encoding = SpikeEncoding((1, 1), 1000, 1, "zero")
    assert spike_frames(np.array([(0, 0, 0, 1)] * 300, EVENT), encoding)[0, :, 0, 0].tolist() == [0, 255]
    assert not spike_frames(np.empty(0, EVENT), encoding).any()
