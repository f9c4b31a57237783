"""Our models of one shape: checked, then as works to be timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import answers
import bandwidth
import common
import numpy as np
import shapes

from edgesnn.graph import Document
from edgesnn.runtime.model import Model, load

PRECISIONS = ("float32", "int8", "int4", "int4/128")
PROMPT = 32  # tokens of a `run`
SESSIONS = 8
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
    return Ours(model, weight_bytes(model.document), check(name, precision, model))


def weight_bytes(document: Document) -> int:
    """Return the bytes of the matrices, scales and multipliers included: what a step reads of the weights."""
    roles = [name for node in document.nodes if node.op == "linear" for name in node.tensors.values()]
    return sum(document.tensors[name].data.nbytes for name in set(roles))


def check(name: str, precision: str, model: Model) -> dict[str, Any]:
    """Compare with float64 (float32 weights), or with the slow reference bit for bit (integers, int8 activations)."""
    expected = shapes.trace(name)
    session = model.session(record=_neurons(name))
    logits, spikes, first = [], [], None
    for token in expected.tokens:
        logits.append(session.step(int(token)))
        spikes.append(np.stack([session.recorded[node] for node in _neurons(name)]))
        if first is None:
            first = np.stack([session.state[f"blocks.0.{state}"].ravel() for state in shapes.FIRST])
    weights = precision.partition("/")[0]
    assert model.precision == weights, f"{name} came out as {model.precision}"
    agrees = answers.compare(expected, weights, np.stack(logits), np.stack(spikes), first)
    if precision == "float32":
        assert agrees["spikes"] == 1, f"{name} float32: spikes differ"
        return agrees
    slow = Model(model.document, backend="reference").session()
    for token, ours in zip(expected.tokens[:EXACT_TOKENS], logits, strict=False):
        assert np.array_equal(slow.step(int(token)), ours), f"{name} {precision}: native and reference differ"
    return agrees


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
