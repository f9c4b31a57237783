"""int8 weights: nearest, one scale per output channel, everything else untouched."""

from __future__ import annotations

import numpy as np

from bench import spikepoint_net
from edgesnn.quantize import quantize
from edgesnn.runtime import Model

SMALL = {"points": 32, "groups": 8, "neighbours": 4, "steps": 3, "classes": 2, "voters": 2, "widths": (8, 16, 16, 32)}


def test_every_weight_is_within_half_a_step_of_the_float_one() -> None:
    full = spikepoint_net.document(SMALL)
    small = quantize(full)
    assert (full.precision, small.precision) == ("float32", "int8")
    for node in full.nodes:
        if node.op != "linear":
            continue
        weight, scale = full.unpack(f"{node.name}.weight").astype(np.float64), full.unpack(f"{node.name}.scale")
        w8, s8 = small.unpack(f"{node.name}.weight"), small.unpack(f"{node.name}.scale")
        assert w8.dtype == np.int8
        assert np.abs(w8).max(axis=1).tolist() == [127] * len(w8)
        step = np.abs(weight).max(axis=1) / 127
        assert (np.abs(w8 * step[:, None] - weight) <= 0.5000001 * step[:, None]).all()
        np.testing.assert_array_equal(s8, (scale.astype(np.float64) * step).astype(np.float32))
        np.testing.assert_array_equal(small.unpack(f"{node.name}.bias"), full.unpack(f"{node.name}.bias"))


def test_a_channel_of_zeros_stays_zero_and_quantising_twice_changes_nothing() -> None:
    document = spikepoint_net.document(SMALL)
    weight = document.tensors["fc1.weight"].data
    weight.flags.writeable = True
    weight[:, 2] = 0
    small = quantize(document)
    assert not small.unpack("fc1.weight")[2].any()
    assert small.unpack("fc1.scale")[2] == document.unpack("fc1.scale")[2]
    assert quantize(small).identity == small.identity


def test_membranes_of_the_int8_net_follow_the_float_net() -> None:
    full = spikepoint_net.document(SMALL, coding="direct")
    window = spikepoint_net.random_window(full)
    sessions = [Model(d, backend="native").session(record=["fc1"]) for d in (full, quantize(full))]
    for session in sessions:
        session.step(window)
    a, b = (session.recorded["fc1"] for session in sessions)
    assert 0 < np.abs(a - b).max() < 0.05 * np.abs(a).max()
