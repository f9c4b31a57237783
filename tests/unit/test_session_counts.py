"""Spikes, synaptic operations, multiply-adds, bytes, energy and bit budget of a session's last call, by layer."""

from __future__ import annotations

import numpy as np
import pytest

from edgesnn.runtime import Model
from edgesnn.runtime.energy import energy_uj
from tests.one_operator import document as one
from tests.small_graphs import counting as spikes


@pytest.fixture(params=["native", "reference"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_counts_by_layer_are_what_paper_and_pencil_say(backend: str) -> None:
    model = Model(spikes(), backend=backend)
    session = model.session()
    session.step(active=[5, 5])  # 10, 22, 34, 46: three of four fire
    session.step(active=[0])
    layers = {layer.node: layer for layer in session.layers}
    assert [layer.node for layer in session.layers] == [node.name for node in model.document.nodes]
    assert layers["fc"][1:] == ("linear", 0, 4, 0, 4, 8 * 2)
    assert layers["back"].synops == 3 * 4
    assert layers["back"].bytes == 3 * 4 // 2
    assert layers["lif"].bytes == 4 * 4
    assert layers["past"].bytes == 4 + 8
    assert (session.synops, session.macs, session.spikes) == (16, 0, layers["lif"].spikes)
    assert session.bytes_touched == sum(layer.bytes for layer in session.layers)
    assert session.energy_uj == energy_uj(16, 0)
    session.run(active=([5] * 12, np.arange(0, 13, 3)))
    assert {layer.node: layer for layer in session.layers}["fc"].synops == 12 * 4
    silent = model.session(account=False)
    assert set(silent.bit_budget.values()) == {0}
    silent.step(active=[5, 5])
    assert {layer[2:6] for layer in silent.layers} == {(0, 0, 0, 0)}
    session.run(active=([5] * 10, np.arange(11)))
    assert session.bit_budget == {"fc": 10 * 8 * 2, "back": 10 * 4 * 1}
    assert silent.bit_budget == {"fc": 8 * 2, "back": 4 * 1}


def test_graded_input_counts_multiply_adds(backend: str) -> None:
    tensors = {"weight": np.ones((5, 2, 3, 3), np.float32), "scale": np.ones(5), "bias": np.ones(5)}
    made = one("conv2d", [2, 4, 4], {"activations": "float32", "padding": [1, 1]}, tensors)
    session = Model(made, backend=backend).session()
    session.run(np.ones((2, 2, 4, 4)))
    (layer,) = session.layers
    taps = 4 * 4 + 8 * 6 + 4 * 9  # of corners, sides and the middle
    assert (layer.spikes, layer.synops, layer.macs) == (0, 0, 2 * taps * 2 * 5)
    assert layer.bytes == 2 * 90 * 4
