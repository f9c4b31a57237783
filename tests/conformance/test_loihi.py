"""SLAYER's gesture network for Loihi on ten recordings: every spike count of its published integer equations.

The network is `tests/loihi.py`, which says how each layer's weights are stored.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

import edgesnn
from edgesnn.encode.spikes import SpikeEncoding, spike_frames
from tests.loihi import INPUT, LAYERS, STEPS, gesture_network
from tests.running import by_run, by_step, model_of, resumed, together

pytestmark = pytest.mark.conformance

FULL = pytest.mark.full
CLIPS = [0, *(pytest.param(clip, marks=FULL) for clip in range(1, 10))]


@pytest.fixture(scope="module")
def cases(shared):
    """Return what SLAYER's equations gave."""
    return json.loads(shared("conformance/loihi_gesture/expected.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def document(shared):
    """Return the network."""
    with np.load(shared("conformance/loihi_gesture/weights.npz")) as weights:
        return gesture_network(dict(weights))


def frames(shared, case):
    recording = edgesnn.open(shared(case["recording"]), sensor=(128, 128))
    return spike_frames(recording.read(), SpikeEncoding.from_section(INPUT))


def check(case, spikes):
    assert [int(spikes[name].sum(dtype=np.int64)) for name in LAYERS] == case["spikes_per_layer"]
    assert spikes["fc2.cuba"].sum(axis=0, dtype=np.int64).tolist() == case["output_spike_counts"]


def test_weights_are_stored_in_four_bits_where_they_fit(document):
    numbers = {name: tensor.number for name, tensor in document.tensors.items()}
    assert numbers == {"conv1.weight": "int4", "conv2.weight": "int4", "fc1.weight": "int8", "fc2.weight": "int4"}


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("backend", [pytest.param("reference", marks=FULL), "native"])
def test_every_layer_spikes_as_often_as_slayers_equations_say(shared, cases, document, backend, clip):
    check(cases[clip], by_run(model_of(document, backend), frames(shared, cases[clip]), LAYERS))


def test_native_and_reference_agree_on_every_spike_and_state_of_the_first_steps(shared, cases, document):
    xs = frames(shared, cases[0])[:60]
    states = [state.name for state in document.states]
    ours = by_step(model_of(document, "native"), xs, LAYERS, states)
    for name, values in by_step(model_of(document, "reference"), xs, LAYERS, states).items():
        np.testing.assert_array_equal(ours[name], values, err_msg=name)


def test_steps_and_a_new_process_give_the_same_spikes(shared, cases, document, tmp_path):
    model = model_of(document, "native")
    xs = frames(shared, cases[0])
    step = int(np.random.default_rng().integers(1, STEPS))
    check(cases[0], by_step(model, xs, LAYERS))
    check(cases[0], resumed(model, xs, LAYERS, step, tmp_path))


def test_many_clips_at_once_spike_as_each_alone(shared, cases, document):
    both = np.stack([frames(shared, cases[clip]) for clip in (0, 1)])
    found = together(model_of(document, "native"), both, LAYERS)
    for clip in (0, 1):
        check(cases[clip], {name: values[clip] for name, values in found.items()})
