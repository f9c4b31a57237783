"""A classification head on a token model's pooled state; the rest of the model stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError, UsageError
from edgesnn.graph import fields
from edgesnn.graph.builder import Builder
from edgesnn.graph.document import Document

POOLED, SCORES = "pooled", "scores"
"""Names of the head's nodes."""

Pool = Literal["mean", "last"]


def with_head(
    document: Document,
    labels: Sequence[str],
    weight: npt.ArrayLike,
    bias: npt.ArrayLike,
    *,
    of: str | None = None,
    pool: Pool = "mean",
    reset: str | Mapping[str, Any] = "line",
    logits: bool = True,
    readout: Mapping[str, Any] | None = None,
) -> Document:
    """Return the document with a readout: scores = weight x + bias, x a value's mean over the tokens since a reset.

    Args:
        document: of a token model without a readout.
        labels: names of the classes.
        weight, bias: float [classes, D], [classes].
        of: the value float32 [D] that is pooled; None: what the logits are made of.
        pool: "mean" of the tokens since the reset, or the "last" token's value.
        reset: policy of the mean (docs/model-file.md, "States"); all other states keep theirs.
        logits: keep the outputs that the model had (surprise needs them); False drops what only they need.
        readout: more fields of the readout, such as `rejection` or `temperature`.

    Raises:
        ModelError: a model that reads no tokens or decides already; a value, labels or shapes that do not fit.
        UsageError: pool is none of these.
    """
    if document.input["kind"] != "tokens":
        fields.fail(document.where, "input.kind", document.input["kind"], "'tokens', for a head")
    if document.readout is not None:
        raise ModelError("the model decides already", where=document.where, expected="a model without a readout")
    if pool not in ("mean", "last"):
        raise UsageError("no such pool", where="pool", found=repr(pool), expected="mean or last")
    builder = Builder.of(document, reset=reset)
    x = pooled_value(document) if of is None else of
    if pool == "mean":
        x = builder.add("accumulate", x, name=POOLED, attributes={"mode": "mean"})
    matrix, offset = np.asarray(weight, np.float32), np.asarray(bias, np.float32)
    tensors = {"weight": matrix, "scale": np.ones(len(matrix), np.float32), "bias": offset}
    scores = builder.add("linear", x, name=SCORES, attributes={"activations": "float32"}, tensors=tensors)
    outputs = [*document.outputs, scores] if logits else [scores]
    builder.keep_only(outputs)
    section = {"node": scores, "labels": list(labels), **(readout or {})}
    made = builder.document(outputs=outputs, readout=section, provenance=document.provenance)
    old = {state.name: state for state in document.states}
    return replace(made, states=tuple(old.get(state.name, state) for state in made.states), where=document.where)


def pooled_value(document: Document) -> str:
    """Return the name of the value that the logits are made of: the input of the first output's node."""
    return next(node.inputs[0] for node in document.nodes if document.outputs[0] in node.outputs)
