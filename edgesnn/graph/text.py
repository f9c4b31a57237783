"""A model file in words, for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgesnn.events.filters.specification import parse_filter
from edgesnn.graph.document import Document
from edgesnn.graph.operators.base import Operator
from edgesnn.graph.operators.matrix import Matrix
from edgesnn.graph.values import NodeView, StateType

Row = tuple[str, ...]
_HEAD: Row = ("layer", "operator", "inputs", "output", "weights", "bytes", "states", "MACs", "bits")
_OWN_ROWS = ("filters", "tokenizer", "masks")  # of the input
_RIGHT = ("bytes", "MACs", "bits")


def describe(document: Document) -> str:
    """Return what a model holds, line by line: input, layers with the type of every value, states, provenance."""
    size = sum(tensor.data.nbytes for tensor in document.tensors.values())
    facts = [
        ("model", document.where),
        ("format", f"version {document.format_version}"),
        ("sha256", document.identity),
        ("precision", f"{document.precision}, {size:,} bytes of weights and constants"),
        ("input", _pairs({k: v for k, v in document.input.items() if k not in _OWN_ROWS})),
        *_tokens(document.input),
        *[("filters" if i == 0 else "", text) for i, text in enumerate(_filters(document))],
        *_readout(document),
        ("outputs", ", ".join(document.outputs)),
        *[("provenance" if i == 0 else "", text) for i, text in enumerate(_provenance(document))],
    ]
    layers = [_layer(document, rules, view) for rules, view in document.analysis.operators]
    total = sum(dense_macs(rules, view) for rules, view in document.analysis.operators)
    lines = [f"{name:<11} {text}" for name, text in facts]
    lines += ["", *_table([_HEAD, *layers]), "", f"{'MACs':<11} {total:,} a step, if every input were dense"]
    lines += [f"{'bit budget':<11} {text}" for text in _bit_budget(document)]
    return "\n".join([*lines, *_states(document)])


def dense_macs(rules: Operator, view: NodeView) -> int:
    """Return the multiply-adds of one step if every input element took part, whatever its kind; 0 without a matrix."""
    return rules.connections(view) if isinstance(rules, Matrix) else 0


def _bit_budget(document: Document) -> list[str]:
    """Say what all layers' bits add up to: weight bits times spike bits, times the steps of a prediction if known."""
    total = sum(rules.bit_budget(view) for rules, view in document.analysis.operators)
    events = document.input.get("events") or document.input
    steps = events.get("steps")
    return [f"{total:,} a step" + (f", {total * steps:,} a prediction of {steps:,} steps" if steps else "")]


def _layer(document: Document, rules: Operator, view: NodeView) -> Row:
    node, types = view.node, document.analysis.values
    macs, bits = dense_macs(rules, view), rules.bit_budget(view)
    states = ", ".join(s.suffix for s in rules.states(view))
    size = sum(tensor.data.nbytes for tensor in view.tensors.values())
    return (
        node.name,
        node.op,
        ", ".join(node.inputs),
        ", ".join(str(types[name]) for name in node.outputs),
        _weights(view),
        f"{size:,}" if size else "",
        states,
        f"{macs:,}" if macs else "",
        f"{bits:,}" if bits else "",
    )


def _weights(view: NodeView) -> str:
    weight = view.tensors.get("weight")
    if weight is None or weight.layout == "vector":
        return ""
    group = view.node.attributes.get("group")
    return f"{weight.number} {'x'.join(map(str, weight.shape))}" + (f" in {group}s" if group else "")


def _states(document: Document) -> Iterator[str]:
    size = sum(state.nbytes for state in document.states)
    yield f"{'states':<11} {size:,} bytes a session"
    rows = [(s.name, s.kind, f"{s.dtype} {list(s.shape)}", _short(s.initial), _reset(s)) for s in document.states]
    if rows:
        yield from _table([("state", "kind", "type", "initial", "reset"), *rows])


_RESETS = {"window": "at every window", "line": "at every line", "never": "only by reset()"}


def _reset(state: StateType) -> str:
    words = f"every {state.tokens:,} tokens" if state.reset == "tokens" else _RESETS[state.reset]
    return words if state.idle_ms is None else f"{words}, and after {state.idle_ms:,} ms without input"


def _table(rows: Sequence[Row]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = [name in _RIGHT for name in rows[0]]
    cells = [
        [cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True)] for row in rows
    ]
    return ["  ".join(row).rstrip() for row in cells]


def _readout(document: Document) -> list[tuple[str, str]]:
    if document.readout is None:
        return []
    others = {name: value for name, value in document.readout.items() if name != "labels"}
    return [("labels", ", ".join(document.readout["labels"])), ("readout", _pairs(others))]


def _tokens(section: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say which tokenizer, its tables by their size, and what is masked."""
    if section["kind"] != "tokens":
        return []
    fields = section["tokenizer"] or {}
    others = {name: value for name, value in fields.items() if name != "kind"}
    words = [f"{name} of {len(v):,}" if isinstance(v, (str, list)) else f"{name} {v}" for name, v in others.items()]
    rows = [("tokenizer", ", ".join([fields.get("kind", "none: it is fed by ids"), *words]))]
    return [*rows, ("masks", ", ".join(section["masks"]))] if "masks" in section else rows


def _filters(document: Document) -> list[str]:
    return [parse_filter(entry).text for entry in document.input.get("filters", ())]


def _provenance(document: Document) -> list[str]:
    return [f"{name} {_short(value)}" for name, value in document.provenance.items()]


def _pairs(mapping: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_short(value)}" for name, value in mapping.items())


def _short(value: Any, longest: int = 400) -> str:
    text = "{" + _pairs(value) + "}" if isinstance(value, Mapping) else str(value)
    return text if len(text) <= longest else text[: longest - 3] + "..."
