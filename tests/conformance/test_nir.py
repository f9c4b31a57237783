"""NIR files under a profile against what the frameworks themselves gave (shared/conformance/nir).

Spikes are exact. Membranes: LIF to the bit, the Braille network within 1e-4 * max(1, |v|). The convolutional network is
compared in spike counts, because the order in which floats are added moves 3 % of its samples by a spike.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("h5py", reason="h5py is not installed (extra nir)")

from edgesnn.cli.main import main
from edgesnn.encode.spikes import SpikeEncoding, spike_frames
from edgesnn.events.types import EVENT
from edgesnn.importers.nir import import_nir
from tests.running import BACKENDS, by_run, by_step, model_of, resumed, together

pytestmark = pytest.mark.conformance

FULL = pytest.mark.full
HIDDEN, OUT = "lif1.lif", "lif2"


def random_step(steps: int) -> int:
    return int(np.random.default_rng().integers(1, steps))


# --- LIF, 1000 steps ------------------------------------------------------------------------------------------------

LIF = {
    "norse": ("lif_norse.nir", "1", {"profile": "norse"}, 1.0),
    "snntorch": ("lif_norse.nir", "1", {"profile": "snntorch-no-delay", "reset": "zero"}, 1.0),
    "sinabs": ("lif_norse.nir", "1", {"profile": "sinabs"}, 0.04),
}


@pytest.fixture(scope="module")
def lif(shared):
    with np.load(shared("conformance/nir/lif_reference.npz")) as file:
        return dict(file)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("framework", LIF)
def test_lif_equals_the_framework_bit_for_bit(shared, lif, framework, backend, tmp_path):
    file, layer, options, scale = LIF[framework]
    document = import_nir(shared(f"conformance/nir/{file}"), dt_us=100, **options)
    model = model_of(document, backend)
    xs = (lif["input"] * np.float32(scale))[:, None]
    stepped = by_step(model, xs, [layer], [f"{layer}.v"])
    np.testing.assert_array_equal(stepped[layer][:, 0], lif[f"{framework}_spk"])
    np.testing.assert_array_equal(stepped[f"{layer}.v"][:, 0], lif[f"{framework}_v"])
    np.testing.assert_array_equal(by_run(model, xs, [layer])[layer], stepped[layer])
    np.testing.assert_array_equal(resumed(model, xs, [layer], random_step(1000), tmp_path)[layer], stepped[layer])


@pytest.mark.parametrize("backend", BACKENDS)
def test_rockpools_published_trace_is_met(shared, lif, backend):
    """The published trace holds what Rockpool's own run gave: input, membrane, spikes."""
    document = import_nir(shared("conformance/nir/lif_rockpool.nir"), profile="rockpool", dt_us=100)
    xs, v, spikes = lif["published_rockpool"].T
    layer = "1_LIFNeuronTorch"
    ours = by_step(model_of(document, backend), xs.astype(np.float32)[:, None], [layer], [f"{layer}.v"])
    np.testing.assert_array_equal(ours[layer][:, 0], spikes)
    np.testing.assert_allclose(ours[f"{layer}.v"][:, 0], v, rtol=0, atol=1e-6)


# --- Braille, a recurrent network -----------------------------------------------------------------------------------

BRAILLE = {
    "snntorch": {"profile": "snntorch-no-delay", "reset": "zero"},
    "norse": {"profile": "norse"},
}
MEMBRANES = {"snntorch": {HIDDEN: "h_mem", OUT: "o_mem"}, "norse": {HIDDEN: "h_v"}}


@pytest.fixture(scope="module")
def braille(shared):
    """Return framework -> arrays [64, 256, ...]; the inputs are those of the snnTorch file."""
    found = {}
    for framework in BRAILLE:
        with np.load(shared(f"conformance/nir/braille_zero_{framework}.npz")) as file:
            found[framework] = dict(file)
    return found


@pytest.fixture(scope="module")
def networks(shared):
    path = shared("conformance/nir/braille_noDelay_bias_zero.nir")
    return {name: import_nir(path, dt_us=100, input="spikes", value="binary", **how) for name, how in BRAILLE.items()}


@pytest.mark.parametrize(
    ("backend", "samples"),
    [("reference", 2), pytest.param("reference", 64, marks=FULL), ("native", 64)],
)
@pytest.mark.parametrize("framework", BRAILLE)
def test_braille_spikes_and_membranes_are_the_frameworks(braille, networks, framework, backend, samples):
    model, expected = model_of(networks[framework], backend), braille[framework]
    membranes = MEMBRANES[framework]
    assert expected["h_spk"][:samples].sum() > 100
    for sample in range(samples):
        xs = braille["snntorch"]["inputs"][sample]
        ours = by_step(model, xs, [HIDDEN, OUT], [f"{layer}.v" for layer in membranes])
        assert (ours[HIDDEN] != expected["h_spk"][sample]).sum() == 0
        assert (ours[OUT] != expected["o_spk"][sample]).sum() == 0
        for layer, key in membranes.items():
            v = expected[key][sample]
            assert (np.abs(ours[f"{layer}.v"] - v) <= 1e-4 * np.maximum(1, np.abs(v))).all()


@pytest.mark.parametrize("framework", BRAILLE)
def test_the_recurrent_bias_at_step_0_matters(braille, networks, framework, shared):
    """Each profile's own choice gives no mismatch; the other choice gives many."""
    other = {"snntorch": "skip", "norse": "run"}[framework]
    path = shared("conformance/nir/braille_noDelay_bias_zero.nir")
    flags = {"lif1.w_rec": {"cold_start": other}}
    changed = import_nir(path, dt_us=100, input="spikes", value="binary", flags=flags, **BRAILLE[framework])
    xs, expected = braille["snntorch"]["inputs"][0], braille[framework]["h_spk"][0]
    assert (by_run(model_of(changed, "reference"), xs, [HIDDEN])[HIDDEN] != expected).sum() > 0
    assert (by_run(model_of(networks[framework], "reference"), xs, [HIDDEN])[HIDDEN] != expected).sum() == 0


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("framework", BRAILLE)
def test_braille_is_the_same_in_every_form(braille, networks, framework, backend, tmp_path):
    model, xs = model_of(networks[framework], backend), braille["snntorch"]["inputs"][0]
    layers, expected = [HIDDEN, OUT], braille[framework]
    forms = [
        by_run(model, xs, layers),
        resumed(model, xs, layers, random_step(256), tmp_path),
    ]
    for form in forms:
        assert (form[HIDDEN] != expected["h_spk"][0]).sum() == 0
        assert (form[OUT] != expected["o_spk"][0]).sum() == 0


def test_verify_finds_no_divergence_from_snntorch_and_many_from_norse(braille, networks, tmp_path, capsys):
    """The same network under snnTorch's profile: `edgesnn verify` against the outputs of both frameworks."""
    path = tmp_path / "braille.safetensors"
    networks["snntorch"].save(path)
    codes = {}
    for framework, membranes in MEMBRANES.items():
        expected = braille[framework]
        arrays = {f"spikes/{HIDDEN}": expected["h_spk"], f"spikes/{OUT}": expected["o_spk"]}
        arrays |= {f"membrane/{layer}": expected[key] for layer, key in membranes.items()}
        few = {name: array[:3] for name, array in {"input": braille["snntorch"]["inputs"], **arrays}.items()}
        np.savez(tmp_path / f"{framework}.npz", **few)
        against = str(tmp_path / f"{framework}.npz")
        codes[framework] = main(["verify", str(path), "--against", against, "--backend", "reference", "--json"])
        report = json.loads(capsys.readouterr().out)
        assert report["equal"] == (framework == "snntorch")
        if framework == "snntorch":
            assert max(layer["membrane_error"] for layer in report["layers"].values()) < 1e-4
        else:
            assert report["first_divergence"]["step"] > 0
    assert codes == {"snntorch": 0, "norse": 4}


# --- the N-MNIST network --------------------------------------------------------------------------------------------

CNN_EVENTS = {"sensor": [34, 34], "bin_us": 1000, "steps": 300, "origin": "zero"}
CNN_LAYERS = ["1", "3", "6", "10", "12"]


@pytest.fixture(scope="module")
def cnn(shared):
    path = shared("conformance/nir/cnn_sinabs.nir")
    return import_nir(path, profile="sinabs", dt_us=1000, input="spikes", events=CNN_EVENTS)


@pytest.fixture(scope="module")
def counts(shared):
    with np.load(shared("conformance/nir/cnn_sinabs_counts_1000.npz")) as file:
        return dict(file)


@pytest.fixture(scope="module")
def nmnist(shared):
    with np.load(shared("datasets/nmnist_1000.npz")) as file:
        return dict(file)


def digit_frames(nmnist, cnn, sample):
    part = slice(int(nmnist["offsets"][sample]), int(nmnist["offsets"][sample + 1]))
    events = np.empty(part.stop - part.start, EVENT)
    for name, column in (("t", "t_us"), ("x", "x"), ("y", "y"), ("p", "p")):
        events[name] = nmnist[column][part]
    return spike_frames(events, SpikeEncoding.from_section(cnn.input))


@pytest.mark.parametrize(
    ("backend", "samples"),
    [("reference", 2), ("native", 20), pytest.param("native", 1000, marks=FULL)],
)
def test_digits_are_counted_as_sinabs_counts_them(cnn, counts, nmnist, backend, samples):
    model = model_of(cnn, backend)
    found = np.array(
        [by_run(model, digit_frames(nmnist, cnn, s), ["12"])["12"].sum(axis=0, dtype=np.int64) for s in range(samples)]
    )
    expected = counts["out_counts"][:samples]
    assert (found == expected).all(axis=1).mean() >= 0.95
    assert np.abs(found - expected).max() <= 10
    np.testing.assert_array_equal(found.argmax(axis=1), counts["pred"][:samples])


@pytest.mark.parametrize("sample", [0, *(pytest.param(s, marks=FULL) for s in range(40, 1000, 40))])
def test_native_and_reference_agree_on_every_spike_and_state_of_a_digit(cnn, nmnist, sample):
    xs = digit_frames(nmnist, cnn, sample)[:100]
    states = [state.name for state in cnn.states]
    native = by_step(model_of(cnn, "native"), xs, CNN_LAYERS, states)
    for name, values in by_step(model_of(cnn, "reference"), xs, CNN_LAYERS, states).items():
        np.testing.assert_array_equal(native[name], values, err_msg=name)


def test_digits_are_the_same_in_every_form(cnn, nmnist, tmp_path):
    model = model_of(cnn, "native")
    xs = digit_frames(nmnist, cnn, 0)
    run = by_run(model, xs, CNN_LAYERS)
    forms = [by_step(model, xs, CNN_LAYERS), resumed(model, xs, CNN_LAYERS, random_step(300), tmp_path)]
    for form in forms:
        for name, values in run.items():
            np.testing.assert_array_equal(form[name], values, err_msg=name)


# --- many sessions side by side -------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_many_sessions_at_once_spike_as_each_alone(shared, lif, braille, networks, backend):
    model = model_of(import_nir(shared("conformance/nir/lif_norse.nir"), profile="norse", dt_us=100), backend)
    both = together(model, np.stack([lif["input"], lif["input"][::-1]])[:, :300, None], ["1"])["1"]
    np.testing.assert_array_equal(both[0, :, 0], lif["norse_spk"][:300])
    for framework, document in networks.items():
        found = together(model_of(document, backend), braille["snntorch"]["inputs"][:3], [HIDDEN, OUT])
        assert (found[HIDDEN] != braille[framework]["h_spk"][:3]).sum() == 0
        assert (found[OUT] != braille[framework]["o_spk"][:3]).sum() == 0


def test_many_digits_at_once_are_counted_as_each_alone(cnn, nmnist):
    model = model_of(cnn, "native")
    samples = np.stack([digit_frames(nmnist, cnn, s) for s in range(3)])
    many = together(model, samples, CNN_LAYERS)
    for s, xs in enumerate(samples):
        for name, values in by_run(model, xs, CNN_LAYERS).items():
            np.testing.assert_array_equal(many[name][s], values, err_msg=name)
