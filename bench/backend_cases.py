"""What the backends are compared on: every shipped model in float32, int8 and int4, and the conformance networks.

The recordings of N-MNIST, the text and the conformance networks are in the shared folder (EDGESNN_SHARED); without it
digits see made-up windows, the text model made-up tokens, and the networks are left out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

import edgesnn  # noqa: E402
from bench.spikepoint_net import random_window  # noqa: E402
from edgesnn.encode.spans import encoded  # noqa: E402
from edgesnn.encode.spikes import SpikeEncoding, spike_frames  # noqa: E402
from edgesnn.events.types import EVENT  # noqa: E402
from edgesnn.graph import Document  # noqa: E402
from edgesnn.quantize import quantize  # noqa: E402
from edgesnn.runtime.windows import encoding_of  # noqa: E402

SHARED = Path(os.environ.get("EDGESNN_SHARED") or ROOT.parent / "shared")
ZOO = ("digits", "gestures", "shakespeare")
PRECISIONS = ("float32", "int8", "int4")
NETWORKS = (
    "loihi",
    *(f"{name}{how}" for name in ("braille", "cnn", "spikegpt 77", "spikegpt 300") for how in ("", " int8", " int4")),
)
"""Loihi's weights are whole as they came."""

Array = npt.NDArray[Any]
Decide = Callable[[Array], Array]


class Case(NamedTuple):
    """A network and what it is run on.

    Attributes:
        name: of model and precision.
        document: the model.
        inputs: one `run` each, from a reset.
        decide: from a run's output [T, ...] to its decisions.
    """

    name: str
    document: Document
    inputs: list[Any]
    decide: Decide


def cases(names: list[str], amount: int) -> Iterator[Case]:
    """Yield the cases of these models and networks, each with about so many inputs."""
    for name in names:
        if name in ZOO:
            yield from (shipped(name, precision, amount) for precision in PRECISIONS)
        elif not (SHARED / "conformance").exists():
            print(f"{name}: left out, no shared folder (EDGESNN_SHARED)")
        else:
            yield network(name, amount)


def compare(case: Case, backend: str) -> dict[str, Any]:
    """Return spikes, mismatches, decisions and the largest difference of outputs, against native."""
    spiking = [view.node.name for rules, view in case.document.analysis.operators if rules.spiking]
    ours, theirs = (edgesnn.Model(case.document, backend=b).session(record=spiking) for b in ("native", backend))
    found: dict[str, Any] = {"values": 0, "spikes": 0, "mismatches": 0, "decisions": 0, "different": 0, "largest": 0.0}
    for x in case.inputs:
        outputs = []
        for session in (ours, theirs):
            session.reset()
            outputs.append(np.asarray(session.run(x)))
        for name in spiking:
            a, b = ours.recorded[name], theirs.recorded[name]
            found["values"] += a.size
            found["spikes"] += int(a.sum(dtype=np.int64))
            found["mismatches"] += int((a != b).sum())
        decided = [case.decide(output) for output in outputs]
        found["decisions"] += decided[0].size
        found["different"] += int((decided[0] != decided[1]).sum())
        found["largest"] = max(found["largest"], float(np.abs(outputs[0] - outputs[1]).max()))
    return found


def shipped(name: str, precision: str, amount: int) -> Case:
    """Return a shipped model; int4 is rounded from its float32 twin."""
    document = edgesnn.load(name if precision == "int8" else f"{name}-float32").document
    if precision == "int4":
        document = quantize(document, "int4")
    inputs = {"digits": _digits, "gestures": _gestures, "shakespeare": _text}[name](document, amount)
    decide = _largest if name == "shakespeare" else _last
    return Case(f"{name} {precision}", document, inputs, decide)


def network(name: str, amount: int) -> Case:
    """Return a conformance network with the inputs that it came with; of "int8" and "int4" its weights are rounded."""
    first, *how = name.split()
    document, inputs, decide = {"loihi": _loihi, "braille": _braille, "cnn": _cnn, "spikegpt": _spikegpt}[first](
        how[0] if how else "", amount
    )
    for weights in ("int8", "int4"):
        if weights in how:
            document = quantize(document, weights)
    return Case(name, document, inputs, decide)


def _last(output: Array) -> Array:
    return np.asarray(output[-1].argmax(axis=-1))[None]


def _largest(output: Array) -> Array:
    return np.asarray(output.argmax(axis=-1))


def _counts(output: Array) -> Array:
    return np.asarray(output.sum(axis=0, dtype=np.int64).argmax())[None]


def _digits(document: Document, amount: int) -> list[Any]:
    if not (SHARED / "datasets/nmnist_1000.npz").exists():
        return [random_window(document, number=i, seed=i) for i in range(amount)]
    encoding = encoding_of(edgesnn.Model(document))
    return [encoded(_nmnist(i), encoding, (34, 34))[0] for i in range(amount)]


def _nmnist(sample: int) -> Array:
    with np.load(SHARED / "datasets/nmnist_1000.npz") as file:
        part = slice(int(file["offsets"][sample]), int(file["offsets"][sample + 1]))
        events = np.empty(part.stop - part.start, EVENT)
        for name, column in (("t", "t_us"), ("x", "x"), ("y", "y"), ("p", "p")):
            events[name] = file[column][part]
    return events


def _gestures(document: Document, amount: int) -> list[Any]:
    encoding, windows = encoding_of(edgesnn.Model(document)), []
    for path in sorted((ROOT / "recordings").glob("*.raw")):
        recording = edgesnn.open(path)
        assert recording.sensor is not None
        windows += encoded(recording.read(), encoding, recording.sensor)
    return [windows[i % len(windows)] for i in range(min(amount, len(windows)))]


def _text(document: Document, amount: int) -> list[Any]:
    table = document.input["tokenizer"]["table"]
    path = SHARED / "datasets/tinyshakespeare.txt"
    if not path.exists():
        return [np.random.default_rng(0).integers(0, len(table), 10 * amount)]
    text = path.read_text(encoding="utf-8")[: 10 * amount]
    return [np.array([max(0, table.find(letter)) for letter in text])]


def _loihi(how: str, amount: int) -> tuple[Document, list[Any], Decide]:
    from tests.loihi import INPUT, gesture_network

    with np.load(SHARED / "conformance/loihi_gesture/weights.npz") as weights:
        document = gesture_network(dict(weights))
    path = sorted((SHARED / "recordings/gesture_bin").glob("*.bin"))[0]
    events = edgesnn.open(path, sensor=(128, 128)).read()
    return document, [spike_frames(events, SpikeEncoding.from_section(INPUT))[: 10 * amount]], _counts


def _braille(how: str, amount: int) -> tuple[Document, list[Any], Decide]:
    from edgesnn.importers.nir import import_nir

    path = SHARED / "conformance/nir/braille_noDelay_bias_zero.nir"
    options: dict[str, Any] = {"profile": "snntorch-no-delay", "reset": "zero", "input": "spikes", "value": "binary"}
    with np.load(SHARED / "conformance/nir/braille_zero_snntorch.npz") as file:
        inputs = list(file["inputs"][:amount].astype(np.uint8))
    return import_nir(path, dt_us=100, **options), inputs, _counts


def _cnn(how: str, amount: int) -> tuple[Document, list[Any], Decide]:
    from edgesnn.importers.nir import import_nir

    events = {"sensor": [34, 34], "bin_us": 1000, "origin": "zero", "rounding": "floor", "polarity_order": [0, 1]}
    section = {**events, "steps": 300, "hop_steps": 300}
    path = SHARED / "conformance/nir/cnn_sinabs.nir"
    document = import_nir(path, profile="sinabs", dt_us=1000, input="spikes", events=section)
    encoding = SpikeEncoding.from_section(document.input)
    return document, [spike_frames(_nmnist(i), encoding) for i in range(max(1, amount // 5))], _counts


def _spikegpt(how: str, amount: int) -> tuple[Document, list[Any], Decide]:
    from edgesnn.importers import import_spikegpt

    path = SHARED / f"conformance/spikegpt/sgpt_v{how}_L4_D64"
    with np.load(path.with_suffix(".npz")) as file:
        tokens = file["tokens"][: 10 * amount]
    return import_spikegpt(path.with_suffix(".pth")), [tokens], _largest
