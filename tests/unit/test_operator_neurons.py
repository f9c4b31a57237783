"""Neurons step by step, worked out by hand: one test a flag of docs/operators.md. All numbers are exact in binary."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgesnn.errors import ModelError
from edgesnn.graph import Builder, Document
from edgesnn.runtime import Model
from tests.one_operator import counts, document, run, session

NONE = {"spike": "none", "reset": "none"}


def lif(attributes: dict[str, Any], **tensors: Any) -> Document:
    roles: dict[str, Any] = {"alpha": 0.5, **({} if attributes.get("spike") == "none" else {"v_th": 1.0}), **tensors}
    return document("lif", [1], attributes, {role: np.atleast_1d(np.float32(value)) for role, value in roles.items()})


def trace(xs: list[float], attributes: dict[str, Any], **tensors: Any) -> tuple[list[float], list[float]]:
    """Return (outputs, membranes) step by step."""
    stream = session(lif(attributes, **tensors))
    outputs, membranes = [], []
    for x in xs:
        outputs.append(float(np.asarray(stream.step([x]))[0]))
        membranes.append(float(stream.state["op.v"][0]))
    return outputs, membranes


def test_the_default_is_a_leaky_neuron_that_fires_at_equality_and_goes_to_zero() -> None:
    assert trace([0.5, 0.75, 2, 0], {}) == ([0, 1, 1, 0], [0.5, 0, 0, 0])
    assert trace([1, 0], {"compare": "gt"}) == ([0, 0], [1, 0.5])


def test_resets_of_the_same_step() -> None:
    assert trace([1.5, 0], {"reset": "subtract"}) == ([1, 0], [0.5, 0.25])
    assert trace([1.5, 0], {"reset": "value"}, v_reset=-0.25) == ([1, 0], [-0.25, -0.125])
    assert trace([1.5, 0.25], {"reset": "none"}) == ([1, 1], [1.5, 1.0])


def test_a_reset_of_the_next_step_leaves_the_membrane_high_until_then() -> None:
    assert trace([1.5, 0.75, 1], {"reset_at": "next"}) == ([1, 0, 1], [1.5, 0.75, 1.375])
    assert trace([3, 0], {"reset_at": "next", "reset": "subtract"}) == ([1, 1], [3, 1.0])
    assert trace([3, 0], {"reset_at": "next", "reset": "value"}, v_reset=-1) == ([1, 0], [3, -0.5])


def test_a_reset_from_the_old_membrane_comes_after_the_decay() -> None:
    assert trace([2, 2, 0], {"reset_at": "old", "reset": "subtract"}) == ([1, 1, 0], [2, 2, 0])
    assert trace([2, 2, 2], {"reset_at": "old"}) == ([1, 0, 1], [2, 0, 2])


def test_no_double_reset() -> None:
    """snnTorch's reset_delay=False: r from the old membrane, then the spikes of this step less r."""
    assert trace([4, 0, 0], {"reset_at": "no_double", "reset": "subtract", "compare": "gt"}) == (
        [1, 0, 0],
        [3, 1.5, 0.75],
    )
    # v 3: r = 1, u = 1.5 - 1 = 0.5, no spike, and 1 is given back: 1.5. v 1.5: r = 1, u = 0.75 - 1, given back: 0.75.


def test_euler_moves_towards_the_current() -> None:
    assert trace([4, 4], {**NONE, "decay": "euler"}, alpha=0.25) == ([1, 1.75], [1, 1.75])


def test_synaptic_currents() -> None:
    xs = [4.0, 0, 0]
    currents = {
        "new": [4, 2, 1],  # i = i/2 + x
        "sum_decay": [2, 1, 0.5],  # i = (i + x)/2
        "jump": [4, 2, 1],  # u = i + x, i = u - u/2
        "old": [0, 4, 2],  # c = i, i = i/2 + x
    }
    for current, expected in currents.items():
        assert trace(xs, {**NONE, "current": current}, alpha=0, beta=0.5)[0] == expected, current
    stream = session(lif({**NONE, "current": "jump"}, alpha=0, beta=0.25))
    stream.step([4])
    assert stream.state["op.i"].tolist() == [3.0]


def test_gain_and_leak_come_before_the_membrane() -> None:
    assert trace([1, 1], NONE, alpha=1, gain=2, leak=-0.5)[0] == [1.5, 3.0]


def test_multi_spikes_round_as_they_are_told_and_stop_at_the_cap() -> None:
    xs = [[0.5], [1.5], [2.5], [1.25], [9], [-3], [1.75]]
    rounded = {
        "floor": [0, 1, 2, 1, 4, 0, 1],
        "half_up": [1, 2, 3, 1, 4, 0, 2],
        "half_even": [0, 2, 2, 1, 4, 0, 2],
    }
    for spike, expected in rounded.items():
        made = lif({"spike": spike, "cap": 4, "reset": "none"}, alpha=0)
        assert run(xs, made)[:, 0].tolist() == expected, spike
        assert made.analysis.values["op"].bound == 4


def test_a_multi_spike_subtracts_as_often_as_it_fires() -> None:
    assert trace([2.75, 0], {"spike": "floor", "cap": 255, "reset": "subtract"}) == ([2, 0], [0.75, 0.375])
    assert trace([2.75, 0], {"spike": "floor", "cap": 1, "reset": "subtract"}) == ([1, 0], [1.75, 0.875])
    assert trace([-9, 0], {"spike": "floor", "cap": 9, "reset": "subtract"}, v_min=-1) == ([0, 0], [-1, -0.5])


def test_refractory_neurons_hold_their_membrane_while_the_current_goes_on() -> None:
    attributes = {"refractory": 2, "reset": "value", "current": "new"}
    stream = session(lif(attributes, alpha=1, beta=1, v_reset=0.25))
    seen = []
    for _ in range(5):
        fired = int(np.asarray(stream.step([1]))[0])
        seen.append(
            (
                fired,
                float(stream.state["op.v"][0]),
                float(stream.state["op.i"][0]),
                int(stream.state["op.refractory"][0]),
            )
        )
    assert seen == [(1, 0.25, 1, 2), (0, 0.25, 2, 1), (0, 0.25, 3, 0), (1, 0.25, 4, 2), (0, 0.25, 5, 1)]


def test_initial_membrane_and_cold_start() -> None:
    stream = session(lif({**NONE, "v_init": 3, "cold_start": "skip"}))
    assert np.asarray(stream.run([[1], [1]])).tolist() == [[0], [2.5]]
    stream.reset()
    assert stream.state["op.v"].tolist() == [3]


def test_parameters_are_one_of_the_channel_or_of_each_element() -> None:
    for shape, axis, channel in (([2, 3], -1, 3), ([3, 2], -2, 3), ([3, 2, 2], -3, 3)):
        full = np.ones(shape, np.float32)
        by_channel = np.arange(1, channel + 1, dtype=np.float32)
        spread = by_channel.reshape((-1,) + (1,) * (-axis - 1)) * full
        for v_th in (by_channel, spread.reshape(-1)):
            made = document("lif", shape, {"axis": axis}, {"alpha": [0.0], "v_th": v_th})
            np.testing.assert_array_equal(run([2 * full], made)[0], (spread <= 2).astype(int))
    with pytest.raises(ModelError, match=r"float32 \[1\] or float32 \[3\] or float32 \[6\]"):
        document("lif", [2, 3], {}, {"alpha": [0.0, 0.0], "v_th": [1.0]})


@pytest.mark.parametrize(
    ("attributes", "tensors", "message"),
    [
        ({"cap": 2}, {}, "attribute 'cap' is wrong"),
        ({"spike": "none"}, {"v_th": None}, "a neuron without spikes cannot reset"),
        (NONE, {}, "node has other tensors"),
        ({"reset_at": "no_double"}, {}, "attribute 'reset' is wrong"),
        ({"reset_at": "next", "spike": "floor"}, {}, "reset is not of this step"),
        ({"current": "new"}, {}, "expected alpha, beta, v_th"),
        ({"reset": "value"}, {}, "v_reset"),
        ({}, {"beta": [1.0]}, "node has other tensors"),
        ({"spike": "floor"}, {"v_th": [0.0]}, "not positive"),
        ({"axis": -2}, {}, "axis is none of the value's"),
        ({"refractory": 256}, {}, "expected an integer from 0 to 255"),
        ({"v_init": True}, {}, "attribute 'v_init' is wrong"),
        ({"v_init": 1e39}, {}, "attribute 'v_init' is wrong"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(attributes: Any, tensors: Any, message: str) -> None:
    roles = {"alpha": [0.5], "v_th": [1.0], **tensors}
    with pytest.raises(ModelError, match=message):
        document("lif", [1], attributes, {role: value for role, value in roles.items() if value is not None})


def cuba(**attributes: int | str) -> Document:
    given = {"current_decay": 1024, "voltage_decay": 128, "gain": 64, "v_th": 80 * 64, **attributes}
    return document("cuba", counts([1], 255), given)


def test_integer_neurons_decay_toward_zero_and_fire_above_the_threshold() -> None:
    stream = session(cuba())
    seen = []
    for x in (10, 100, 0):
        fired = int(np.asarray(stream.step([x]))[0])
        seen.append((fired, int(stream.state["op.u"][0]), int(stream.state["op.v"][0])))
    # u = 640, v = 640; u = 640 * 3/4 + 6400 = 6880, v = 620 + 6880 = 7500 > 5120; u = 6880 * 3/4 = 5160 > 5120
    assert seen == [(0, 640, 640), (1, 6880, 0), (1, 5160, 0)]
    stream = session(cuba(v_th=2**30, voltage_decay=4096))
    stream.state["op.u"][...] = -5
    stream.step([0])
    assert stream.state["op.u"].tolist() == [-3]  # -3.75 toward zero


def test_integer_neurons_compare_refractory_and_clamp() -> None:
    assert run([[80]], cuba(compare="gt"))[0].tolist() == [0]
    assert run([[80]], cuba(compare="ge"))[0].tolist() == [1]
    assert run([[255]] * 5, cuba(refractory=2))[:, 0].tolist() == [1, 0, 0, 1, 0]
    stream = session(cuba(gain=2**23, v_th=2**31 - 1, current_decay=0, voltage_decay=0))
    stream.run([[255]] * 3)
    assert stream.state["op.v"].tolist() == stream.state["op.u"].tolist() == [2**31 - 1]


def test_integer_neurons_have_a_cold_start() -> None:
    stream = session(cuba(cold_start="skip"))
    assert np.asarray(stream.run([[200], [0], [200]]))[:, 0].tolist() == [0, 0, 1]


def test_a_counter_below_zero_that_a_view_wrote_stays_the_same_on_both_backends() -> None:
    b = Builder(input={"kind": "dense", "shape": [3], "value": "int", "bound": 9})
    decay = {"current_decay": 0, "voltage_decay": 0, "gain": 1, "v_th": 100, "refractory": 2}
    document = b.document(outputs=b.add("cuba", "input", name="cuba", attributes=decay))
    for backend in ("native", "reference"):
        session = Model(document, backend=backend).session()
        session.state["cuba.refractory"][...] = -5
        session.run(np.ones((2, 3), np.uint8), keep="none")
        assert session.state["cuba.refractory"].tolist() == [-5] * 3, backend
