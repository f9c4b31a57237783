"""Wrong snapshots: refused by name, the state as it was before; what may be restored goes on the same everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from edgesnn.errors import ModelError
from edgesnn.graph import Builder, container
from edgesnn.graph.document import canonical
from edgesnn.graph.values import MAX_STEPS
from edgesnn.runtime import Model, Session, snapshot
from tests.attacks.test_executor_inputs import BACKENDS, DOCUMENTS, counts, good, model_of

FLOATS = {"kind": "dense", "shape": [2]}


def _snapshots(session: Session) -> Iterator[tuple[str, bytes, str]]:
    """Give (name, bytes, words of the error) of wrong snapshots of a `recurrent` session."""
    identity, blob = session.model.identity, session.snapshot()
    arrays = snapshot.decode(blob, identity, ["session"])

    def with_array(name: str, change: Callable[[Any], Any]) -> bytes:
        made = change(np.array(arrays[f"session/{name}"]))
        return snapshot.encode({**arrays, f"session/{name}": made}, identity, ["session"])

    yield "another model's", Model(counts()).session().snapshot(), "another model's"
    yield "newer", blob.replace(b'\\"version\\":1', b'\\"version\\":2'), "another version"
    for version in (True, 1.0):
        about = canonical({"version": version, "model": identity, "sections": ["session"]})
        header, blobs = container.encode(arrays, {snapshot.KEY: about})
        yield f"version {version}", b"".join([header, *blobs]), "another version"
    yield "version of a text", blob.replace(b'\\"version\\":1', b'\\"version\\":"'), "not valid JSON"
    yield "no section", snapshot.encode({}, identity, []), "other sections"
    yield "nothing in it", snapshot.encode({}, identity, ["session"]), "missing"
    yield "step below zero", with_array("step", lambda a: a - 1000), "step number is not one"
    yield "step past all counting", with_array("step", lambda a: a * 0 + MAX_STEPS + 1), "step number is not one"
    yield "step of two", with_array("step", lambda a: np.array([1, 2])), "differs"
    yield "position past the line", with_array("past.position", lambda a: a * 0 + 3), "out of range"
    yield "position below zero", with_array("past.position", lambda a: a * 0 - 1), "out of range"
    yield "line past its bound", with_array("past.line", lambda a: a + 9), "out of range"
    yield "line of floats", with_array("past.line", lambda a: a.astype(np.float32)), "differs"
    yield "line cut", with_array("past.line", lambda a: a[:2]), "differs"
    yield "line flat", with_array("past.line", lambda a: a.reshape(-1)), "differs"
    yield "at rest too long", with_array("fired.refractory", lambda a: a * 0 + 3), "out of range"
    yield "at rest below zero", with_array("fired.refractory", lambda a: a * 0 - 1), "out of range"
    yield "membrane big-endian", with_array("lif.v", lambda a: a.astype(np.float64)), "differs"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_wrong_snapshot_is_refused_by_name_and_changes_nothing(backend: str) -> None:
    session = model_of("recurrent", backend).session()
    session.run(good("recurrent", 5))
    before = session.snapshot()
    for name, blob, words in _snapshots(session):
        with pytest.raises(ModelError, match=words) as caught:
            session.restore(blob)
        assert len(str(caught.value)) < 400, name
        assert session.snapshot() == before, name


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_cut_snapshot_is_refused_and_changes_nothing(name: str) -> None:
    session = model_of(name, "native").session()
    session.run(good(name, 5))
    blob = session.snapshot()
    for size in sorted({0, 1, 7, 8, 9, *range(10, len(blob), max(len(blob) // 50, 1)), len(blob) - 1}):
        with pytest.raises(ModelError):
            session.restore(blob[:size])
    assert session.snapshot() == blob
    for wrong in (None, 3, "text", [1], session):
        with pytest.raises(ModelError, match="snapshot is not bytes"):
            session.restore(wrong)  # type: ignore[arg-type]
    assert session.snapshot() == blob


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("op", ["vote", "accumulate"])
def test_a_counter_of_steps_is_no_more_than_can_be_counted(op: str, backend: str) -> None:
    attributes = {"vote": {"classes": 2, "voters": 1}, "accumulate": {"mode": "mean"}}[op]
    b = Builder(input={"kind": "dense", "shape": [2], "value": "int", "bound": 1} if op == "vote" else FLOATS)
    model = Model(b.document(outputs=b.add(op, "input", name="out", attributes=attributes)), backend=backend)
    session = model.session()
    session.step(np.ones(2, int if op == "vote" else np.float32))
    before = session.snapshot()
    arrays = snapshot.decode(before, model.identity, ["session"])
    for steps in (-1, MAX_STEPS + 1, 2**63 - 1, -(2**63)):
        changed = {**arrays, "session/out.steps": np.array(steps, np.int64)}
        with pytest.raises(ModelError, match=r"out\.steps: snapshot's state is out of range"):
            session.restore(snapshot.encode(changed, model.identity, ["session"]))
        assert session.snapshot() == before
    most = {**arrays, "session/out.steps": np.array(MAX_STEPS, np.int64), "session/step": np.array(MAX_STEPS)}
    session.restore(snapshot.encode(most, model.identity, ["session"]))
    assert session.step_number == MAX_STEPS


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("op", ["vote", "count"])
def test_whole_sums_are_no_more_than_64_bits_can_go_on_with(op: str, backend: str) -> None:
    b = Builder(input={"kind": "dense", "shape": [2], "value": "int", "bound": 255})
    attributes, state = {"vote": ({"classes": 2, "voters": 1}, "sum"), "count": ({}, "total")}[op]
    model = Model(b.document(outputs=b.add(op, "input", name="out", attributes=attributes)), backend=backend)
    session = model.session()
    blob = session.snapshot()
    arrays = snapshot.decode(blob, model.identity, ["session"])
    for total in (-1, 2**62 + 1, 2**63 - 1):
        changed = {**arrays, f"session/out.{state}": np.array([0, total], np.int64)}
        with pytest.raises(ModelError, match=f"out.{state}: snapshot's state is out of range"):
            session.restore(snapshot.encode(changed, model.identity, ["session"]))
        assert session.snapshot() == blob


@pytest.mark.parametrize("name", DOCUMENTS)
def test_any_state_within_its_limits_goes_on_the_same_on_both_backends(name: str) -> None:
    """Counters and positions at their ends, huge membranes: no backend may leave its memory or answer otherwise."""
    document = model_of(name, "native").document
    limits = {state.name: state.limits or (-(2**62), 2**62) for state in document.analysis.states("never")}
    for end in (0, 1):
        answers = []
        for backend in BACKENDS:
            session = model_of(name, backend).session()
            for state, view in session.state.items():
                view[...] = limits[state][end] if view.dtype.kind in "iu" else (-3e38, 3e38)[end]
            with np.errstate(all="ignore"):
                answers.append(session.run(good(name, 6)))
            assert session.step_number > 0
        np.testing.assert_array_equal(*answers)
