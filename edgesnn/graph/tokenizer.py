"""Saying how text becomes a model's tokens, and which lines are alerts; its weights and graph stay as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from edgesnn.errors import ModelError
from edgesnn.graph import fields
from edgesnn.graph.document import Document


def with_tokenizer(
    document: Document,
    tokenizer: Mapping[str, Any],
    *,
    drop_fields: Sequence[int] = (),
    masks: Sequence[str] = (),
) -> Document:
    """Return the document with another way from text to tokens in its `input`: another model, with its own identity.

    Args:
        document: of a model that reads tokens.
        tokenizer: the object `input.tokenizer` (docs/tokens.md).
        drop_fields: fields of a line that the model does not see.
        masks: names of `edgesnn.tokens.MASKS`.

    Raises:
        ModelError: a model that reads no tokens, or what does not fit it.

    >>> from edgesnn.graph import Builder
    >>> b = Builder(input={"kind": "tokens", "vocab": 256})
    >>> made = b.document(outputs=b.add("embedding", "input", name="x", tensors={"weight": [[0.0]] * 256}))
    >>> with_tokenizer(made, {"kind": "bytes"}, masks=["hex"]).input["masks"]
    ['hex']
    """
    if document.input["kind"] != "tokens":
        fields.fail(document.where, "input.kind", document.input["kind"], "'tokens', for a tokenizer")
    section = {name: document.input[name] for name in ("kind", "vocab")}
    section["tokenizer"] = dict(tokenizer)
    section |= {"drop_fields": list(drop_fields)} if drop_fields else {}
    section |= {"masks": list(masks)} if masks else {}
    return replace(document, input=fields.check_input(section, document.where))


def with_alert(document: Document, bits: float | None) -> Document:
    """Return the document with the bits per token above which a line is an alert; None: without.

    Args:
        document: of a model that reads tokens.
        bits: such as `edgesnn.tokens.alert_threshold` gives.

    Raises:
        ModelError: a model that reads no tokens, or that decides by a readout; no such number.
    """
    if document.input["kind"] != "tokens":
        fields.fail(document.where, "input.kind", document.input["kind"], "'tokens', for an alert")
    if document.readout is not None and bits is not None:
        hint = "replay --threshold, TokenStream(threshold=) count more"
        raise ModelError("the model decides by its readout", where=document.where, hint=hint)
    section = {name: value for name, value in document.input.items() if name != "alert_bits"}
    section |= {} if bits is None else {"alert_bits": float(bits) if type(bits) is int else bits}
    return replace(document, input=fields.check_input(section, document.where))
