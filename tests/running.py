"""Running one input in every form: step by step, in one call, many sessions at once, and resumed in a new process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.graph import Document
from edgesnn.runtime.backends.native import NativeBackend

REPOSITORY = Path(__file__).resolve().parent.parent
BACKENDS = ("reference", "native")

Arrays = dict[str, Any]


def model_of(document: Document, backend: str) -> edgesnn.Model:
    """Return the model, or skip where the native executor is absent or lacks an operator of it."""
    if backend == "native":
        reason = NativeBackend().available()
        if reason is not None:
            pytest.skip(reason)
        from edgesnn import _native

        missing = {node.op for node in document.nodes} - set(_native.executor.operators())
        if missing:
            pytest.skip(f"the native executor has no {', '.join(sorted(missing))}")
    return edgesnn.Model(document, backend=backend)


def by_run(model: edgesnn.Model, xs: Any, layers: Sequence[str]) -> Arrays:
    """Return the layers' outputs [T, ...] of one `run`."""
    session = model.session(record=layers)
    session.run(xs, keep="none")
    return {name: np.array(session.recorded[name]) for name in layers}


def by_step(model: edgesnn.Model, xs: Iterable[Any], layers: Sequence[str], states: Sequence[str] = ()) -> Arrays:
    """Return the layers' outputs and the states [T, ...] of as many `step`s."""
    session = model.session(record=layers)
    rows: dict[str, list[Any]] = {name: [] for name in (*layers, *states)}
    for x in xs:
        session.step(x)
        for name in layers:
            rows[name].append(np.array(session.recorded[name]))
        for name in states:
            rows[name].append(np.array(session.state[name]))
    return {name: np.stack(row) for name, row in rows.items()}


def together(model: edgesnn.Model, samples: Any, layers: Sequence[str]) -> Arrays:
    """Return the layers' outputs [S, T, ...] of all samples [S, T, ...] side by side, by `step_many`.

    Nothing is recorded there, so the layers become the model's outputs.
    """
    shown = edgesnn.Model(replace(model.document, outputs=tuple(layers), readout=None), backend=model.backend)
    sessions = [shown.session() for _ in samples]
    rows = [shown.step_many(sessions, x) for x in np.swapaxes(samples, 0, 1)]
    named = rows if len(layers) > 1 else [{layers[0]: row} for row in rows]
    return {name: np.stack([row[name] for row in named], axis=1) for name in layers}


def resumed(model: edgesnn.Model, xs: Any, layers: Sequence[str], step: int, folder: Path) -> Arrays:
    """Return the layers' outputs [T, ...]: up to `step` here, the rest in a new process from a snapshot."""
    session = model.session(record=layers)
    session.run(xs[:step], keep="none")
    first = {name: np.array(session.recorded[name]) for name in layers}
    model.document.save(folder / "model.safetensors")
    (folder / "snapshot").write_bytes(session.snapshot())
    np.savez(folder / "rest.npz", xs=xs[step:], layers=np.array(layers), backend=np.array(model.backend))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *filter(None, sys.path)])}
    subprocess.run([sys.executable, __file__, str(folder)], check=True, env=environment, timeout=240)
    with np.load(folder / "resumed.npz") as rest:
        return {name: np.concatenate([first[name], rest[str(i)]]) for i, name in enumerate(layers)}


def _resume(folder: Path) -> None:
    with np.load(folder / "rest.npz") as rest:
        xs, layers, backend = rest["xs"], [str(name) for name in rest["layers"]], str(rest["backend"])
    session = edgesnn.load(folder / "model.safetensors", backend=backend).session(record=layers)
    session.restore((folder / "snapshot").read_bytes())
    session.run(xs, keep="none")
    np.savez(folder / "resumed.npz", **{str(i): session.recorded[name] for i, name in enumerate(layers)})


if __name__ == "__main__":
    _resume(Path(sys.argv[1]))
