"""Comparing a model's spikes with what somebody else's code gave for the same input (docs/import.md, "Verify")."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError, UsageError
from edgesnn.graph.values import ValueType
from edgesnn.importers.neuron import MAX_COUNT
from edgesnn.importers.npz import read_npz
from edgesnn.runtime import Model
from edgesnn.version import __version__

Array = npt.NDArray[Any]

SPIKES = "spikes/"
MEMBRANE = "membrane/"
PYTHON = "python:"


@dataclasses.dataclass(frozen=True)
class Expected:
    """What another program gave.

    Attributes:
        source: file name or "python:module".
        sha256: of the file; None for a module.
        input: [S, T, ...].
        spikes: layer -> [S, T, ...].
        membranes: layer -> [S, T, ...], after each step; may lack layers.
        unknown: keys that mean nothing here.
    """

    source: str
    sha256: str | None
    input: Array
    spikes: Mapping[str, Array]
    membranes: Mapping[str, Array]
    unknown: tuple[str, ...] = ()


def load_expected(against: str, model: Model) -> Expected:
    """Read OUTPUTS.npz, or call a module's `outputs()`, and check it against the model.

    Raises:
        UsageError: no such module or function, or one that fails or returns no arrays.
        ModelError: a model of points, a file that is no .npz, a missing key, a layer that the model lacks, shapes that
            do not fit, what is not a number.

    Warns:
        UserWarning: keys that mean nothing here: what they hold is not compared.
    """
    if against.startswith(PYTHON):
        return _checked(_from_module(against.removeprefix(PYTHON)), against, None, model)
    path = Path(against)
    arrays = read_npz(path)
    return _checked(arrays, path.name, hashlib.sha256(path.read_bytes()).hexdigest(), model)


def _from_module(name: str) -> dict[str, Array]:
    where = f"{PYTHON}{name}"
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:  # a module may raise anything; an exit would pass for a report
        raise UsageError("module cannot be imported", where=where, found=_reason(error)) from error
    function = getattr(module, "outputs", None)
    if not callable(function):
        raise UsageError("module has no function outputs()", where=where)
    try:
        given = function()
    except (Exception, SystemExit) as error:
        raise UsageError("outputs() failed", where=where, found=_reason(error)) from error
    if not isinstance(given, Mapping):
        raise UsageError("outputs() gave no mapping", where=where, found=type(given).__name__)
    return {str(key): _array(value, f"{where}, {key}") for key, value in given.items()}


def _array(value: Any, where: str) -> Array:
    try:
        return np.asarray(value)
    except (ValueError, TypeError) as error:
        raise UsageError("outputs() gave no array", where=where, found=_reason(error)) from None


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def _checked(arrays: Mapping[str, Array], source: str, sha256: str | None, model: Model) -> Expected:
    if model.input["kind"] == "points":
        raise ModelError(
            "verify takes models of dense, spikes or token inputs", where=model.document.where, found="input of points"
        )
    shape = tuple(model.input.get("shape", ()))
    if "input" not in arrays or not any(name.startswith(SPIKES) for name in arrays):
        found = ", ".join(arrays) or "nothing"
        raise ModelError("outputs lack a key", where=source, found=found, expected=f"input, and {SPIKES}LAYER")
    for key in arrays:
        if key == "input" or key.startswith((SPIKES, MEMBRANE)):
            _check_numbers(arrays[key], f"{source}, {key}")
    given = arrays["input"]
    if given.ndim == len(shape) + 1:
        given = given[None]
    if given.ndim < 2 or given.shape[2:] != shape or 0 in given.shape[:2]:
        expected = f"[{', '.join(['samples', 'steps', *map(str, shape)])}]"
        raise ModelError("input does not fit the model", where=source, found=str(list(given.shape)), expected=expected)
    taken = model.document.analysis.values["input"]
    if taken.kind in ("int", "token") and given.dtype.kind == "f":
        given = _whole(given, source, taken)
    layers: dict[str, dict[str, Array]] = {SPIKES: {}, MEMBRANE: {}}
    for key, array in arrays.items():
        kind = next((k for k in layers if key.startswith(k)), None)
        if kind is not None:
            name = key.removeprefix(kind)
            layers[kind][name] = _fit(array, (*given.shape[:2], *_shape(model, name, key, kind, source)), key, source)
    return Expected(source, sha256, given, layers[SPIKES], layers[MEMBRANE], _unknown(arrays, source))


def _unknown(arrays: Mapping[str, Array], source: str) -> tuple[str, ...]:
    names = tuple(key for key in arrays if key != "input" and not key.startswith((SPIKES, MEMBRANE)))
    if names:
        shown = ", ".join(repr(name) for name in names)
        warnings.warn(f"{source}: not compared: {shown}; keys are input, {SPIKES}LAYER, {MEMBRANE}LAYER", stacklevel=4)
    return names


def _check_numbers(array: Array, where: str) -> None:
    if array.dtype.kind not in "biuf":
        expected = "integers or floats"
        raise ModelError("array does not hold numbers", where=where, found=str(array.dtype), expected=expected)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ModelError("array holds what is not a number", where=where, found="NaN or infinity", expected="numbers")


def _whole(array: Array, source: str, taken: ValueType) -> Array:
    """Return spikes, counts or tokens that other tools keep as floats as integers."""
    what, limit = ("tokens", taken.bound) if taken.kind == "token" else ("spikes or counts", MAX_COUNT)
    if not ((array == np.rint(array)) & (np.abs(array) <= limit)).all():
        raise ModelError(f"input is no {what}", where=source, expected="whole numbers, as the model takes")
    return array.astype(np.int64)


def _shape(model: Model, layer: str, key: str, kind: str, source: str) -> tuple[int, ...]:
    values = model.document.analysis.values
    states = {state.name for state in model.document.states}
    node = next((node for node in model.document.nodes if node.name == layer), None)
    if node is None or layer not in node.outputs or (kind == MEMBRANE and f"{layer}.v" not in states):
        has = [node.name for node in model.document.nodes if f"{node.name}.v" in states]
        raise ModelError("model has no such layer", where=f"{source}, {key}", found=layer, expected=", ".join(has))
    return values[layer].shape


def _fit(array: Array, shape: tuple[int, ...], key: str, source: str) -> Array:
    if array.size != np.prod(shape, dtype=np.int64) or (array.ndim > 1 and array.shape[-1] not in shape):
        found = str(list(array.shape))
        raise ModelError(
            "array does not fit the layer", where=f"{source}, {key}", found=found, expected=str(list(shape))
        )
    return array.reshape(shape)


_NONE: dict[str, Any] = {"values": 0, "mismatches": 0, "spikes": 0, "expected_spikes": 0}
_NO_SUMS = {**_NONE, "spikes": None, "expected_spikes": None}


def _kind(model: Model, layer: str) -> str:
    """Return what is compared: "spikes" (and counts) of neurons, or "values" of any other layer."""
    rules = next(rules for rules, view in model.document.analysis.operators if layer in view.node.outputs)
    return "spikes" if rules.spiking and model.document.analysis.values[layer].kind == "int" else "values"


def verify(model: Model, expected: Expected) -> dict[str, Any]:
    """Run every sample from a reset and return the report (docs/import.md has its fields)."""
    order = [node.name for node in model.document.nodes]
    layers = sorted(expected.spikes, key=order.index)
    kinds = {name: _kind(model, name) for name in layers}
    facts: dict[str, dict[str, Any]] = {name: dict(_NONE if kinds[name] == "spikes" else _NO_SUMS) for name in layers}
    errors = dict.fromkeys(expected.membranes, 0.0)
    first = None
    for sample, xs in enumerate(expected.input):
        ours, membranes = _run(model, layers, xs, list(expected.membranes))
        for name in layers:
            theirs = expected.spikes[name][sample]
            _count(facts[name], ours[name], theirs)
        for name, v in membranes.items():
            errors[name] = max(errors[name], _relative(v, expected.membranes[name][sample]))
        first = first or _divergence(model, expected, sample, layers, ours)
    report = {name: {"kind": kinds[name], **fact, "membrane_error": errors.get(name)} for name, fact in facts.items()}
    return {
        "against": expected.source,
        "sha256": expected.sha256,
        "samples": int(expected.input.shape[0]),
        "steps": int(expected.input.shape[1]),
        "backend": model.backend,
        "edgesnn": __version__,
        "equal": all(fact["mismatches"] == 0 for fact in facts.values()),
        "layers": report,
        "unknown_keys": list(expected.unknown),
        "first_divergence": first,
    }


def with_result(model: Model, report: Mapping[str, Any]) -> Any:
    """Return the model's document with the report in its provenance, in place of an earlier one against that source and
    of what is no report."""
    provenance = dict(model.document.provenance)
    verified = provenance.get("verified")
    earlier = [entry for entry in verified if isinstance(entry, dict)] if isinstance(verified, list) else []
    kept = [entry for entry in earlier if entry.get("against") != report["against"]]
    provenance["verified"] = [*kept, dict(report)]
    return dataclasses.replace(model.document, provenance=provenance)


def _run(model: Model, layers: list[str], xs: Array, watched: list[str]) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the layers' outputs [T, ...] and the watched membranes after each step [T, ...]."""
    session = model.session(record=layers)
    if not watched:
        session.run(xs, keep="none")
        return {name: session.recorded[name] for name in layers}, {}
    rows: dict[str, list[Array]] = {name: [] for name in layers}
    membranes: dict[str, list[Array]] = {name: [] for name in watched}
    for x in xs:
        session.step(x)
        for name, row in rows.items():
            row.append(np.array(session.recorded[name]))
        for name, row in membranes.items():
            row.append(np.array(session.state[f"{name}.v"]))
    return {n: np.stack(r) for n, r in rows.items()}, {n: np.stack(r) for n, r in membranes.items()}


def _count(fact: dict[str, Any], ours: Array, theirs: Array) -> None:
    fact["values"] += ours.size
    fact["mismatches"] += int((ours != theirs).sum())
    if fact["spikes"] is None:
        return
    fact["spikes"] += int(ours.sum(dtype=np.int64))
    fact["expected_spikes"] += int(theirs.sum(dtype=np.float64))


def _relative(ours: Array, theirs: Array) -> float:
    """Return the largest |a - b| / max(1, |b|)."""
    return float((np.abs(ours.astype(np.float64) - theirs) / np.maximum(1.0, np.abs(theirs))).max())


def _divergence(
    model: Model, expected: Expected, sample: int, layers: list[str], ours: Mapping[str, Array]
) -> dict[str, Any] | None:
    """Return where a sample's spikes differ first: the earliest step, in it the first layer, in it the first neuron."""
    places = []
    for number, name in enumerate(layers):
        steps = np.argwhere(ours[name] != expected.spikes[name][sample])
        if len(steps):
            places.append((int(steps[0][0]), number, tuple(int(i) for i in steps[0][1:])))
    if not places:
        return None
    step, number, neuron = min(places)
    name = layers[number]
    mine = _membrane(model, name, expected.input[sample][: step + 1], neuron)
    here = (step, *neuron)
    other = float(expected.membranes[name][sample][here]) if name in expected.membranes else None
    fired = _number(ours[name][here]), _number(expected.spikes[name][sample][here])
    return {
        "sample": sample,
        "step": step,
        "layer": name,
        "neuron": list(neuron),
        "spikes": fired[0],
        "expected_spikes": fired[1],
        "membrane": mine,
        "expected_membrane": other,
        "margin": _margin(model, name, neuron, mine if fired[0] < fired[1] else other),
    }


def _number(value: Any) -> float:
    """Return a whole number as an integer, so that spikes are printed as such."""
    return int(value) if value == int(value) else float(value)


def _membrane(model: Model, layer: str, xs: Array, neuron: tuple[int, ...]) -> float | None:
    session = model.session()
    session.run(xs, keep="none")
    state = session.state.get(f"{layer}.v")
    return None if state is None else float(state[neuron])


def _margin(model: Model, layer: str, neuron: tuple[int, ...], quiet: float | None) -> float | None:
    """Return how far the membrane of the side that fired less lies from the threshold: nothing has reset it."""
    node = next(n for n in model.document.nodes if n.name == layer)
    if quiet is None or "v_th" not in node.tensors:
        return None
    v_th = model.document.unpack(node.tensors["v_th"])
    shape = model.document.analysis.values[layer].shape
    if v_th.size == int(np.prod(shape)):
        threshold = v_th.reshape(shape)[neuron]
    else:
        threshold = v_th[neuron[node.attributes.get("axis", -1)] if v_th.size > 1 else 0]
    return abs(float(threshold) - quiet)
