"""Our models of one shape: checked, then as works to be timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import bandwidth
import common
import numpy as np
import shapes

from edgesnn.graph import Document
from edgesnn.runtime.model import Model, load

PRECISIONS = ("float32", "int8", "int4")
PROMPT = 32  # tokens of a `run`
SESSIONS = 8
LOGITS = 1e-4
EXACT_TOKENS = 2  # compared bit for bit with the slow reference

Works = dict[str, tuple[Callable[[int], Any], int]]


class Ours(NamedTuple):
    """A precision of a shape: its model, the bytes of weights that a step reads, and how near to float64 it is."""

    model: Model
    weight_bytes: int
    agrees: dict[str, Any]


def make(name: str, precision: str) -> Ours:
    """Return the model, after its first tokens' answers were compared."""
    model = load(shapes.model_file(name, precision), backend="native")
    assert model.precision == precision, f"{name} came out as {model.precision}"
    return Ours(model, weight_bytes(model.document), check(name, precision, model))


def weight_bytes(document: Document) -> int:
    """Return the bytes of the matrices, scales and multipliers included: what a step reads of the weights."""
    roles = [name for node in document.nodes if node.op == "linear" for name in node.tensors.values()]
    return sum(document.tensors[name].data.nbytes for name in set(roles))


def check(name: str, precision: str, model: Model) -> dict[str, Any]:
    """Compare with float64 (float32 weights), or with the slow reference bit for bit (integers, int8 activations)."""
    expected = shapes.trace(name)
    session = model.session(record=_neurons(name))
    logits, spikes = [], []
    for token in expected.tokens:
        logits.append(session.step(int(token)))
        spikes.append(np.stack([session.recorded[node] for node in _neurons(name)]))
    agrees = compare(expected, np.stack(logits), np.stack(spikes))
    if precision == "float32":
        assert agrees["gap"] <= LOGITS, f"{name} float32: logits are {agrees['gap']:.2g} away"
        assert agrees["spikes"] == 1, f"{name} float32: spikes differ"
        return agrees
    slow = Model(model.document, backend="reference").session()
    for token, ours in zip(expected.tokens[:EXACT_TOKENS], logits, strict=False):
        assert np.array_equal(slow.step(int(token)), ours), f"{name} {precision}: native and reference differ"
    return agrees


def compare(expected: shapes.Trace, logits: Any, spikes: Any = None) -> dict[str, Any]:
    """Return the largest gap of the logits, their correlation, and the share of equal spikes if they are given."""
    found = {
        "gap": float(np.abs(logits - expected.logits).max()),
        "correlation": float(np.corrcoef(logits.ravel(), expected.logits.ravel())[0, 1]),
    }
    if spikes is not None:
        wanted = np.concatenate([expected.att, expected.ffn], axis=1)
        assert 0.02 < wanted.mean() < 0.8, f"{wanted.mean():.1%} of the neurons fire"
        found["spikes"] = float((spikes == wanted).mean())
    return found


def works(name: str, precision: str, ours: Ours) -> Works:
    """Return the works of one step a call, of a prompt, of several sessions, and of reading as many bytes."""
    tokens = shapes.tokens_of(name, 64)
    prompt = shapes.tokens_of(name, PROMPT)
    session, reader = ours.model.session(), ours.model.session()
    many = [ours.model.session() for _ in range(SESSIONS)]
    rows = [row for row in np.tile(tokens, SESSIONS).reshape(-1, SESSIONS)]
    return {
        f"edgesnn {precision}": (common.in_turn(session.step, tokens.tolist()), 1),
        f"edgesnn {precision} run": (common.repeated(reader.run, prompt), PROMPT),
        f"edgesnn {precision} run, last": (common.repeated(lambda: reader.run(prompt, keep="last")), PROMPT),
        f"edgesnn {precision} step_many": (common.in_turn(lambda xs: ours.model.step_many(many, xs), rows), SESSIONS),
        f"read {precision}": (bandwidth.reader(ours.weight_bytes), 1),
    }


def _neurons(name: str) -> list[str]:
    layers = range(shapes.SHAPES[name].layers)
    return [f"blocks.{i}.{part}.lif" for part in ("att", "ffn") for i in layers]
