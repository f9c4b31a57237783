"""`Model.step_many`: what it takes and refuses; a refused call changes no session."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from edgesnn.errors import ModelError, UsageError
from edgesnn.graph import Builder
from edgesnn.runtime import Model
from tests.one_operator import document as one
from tests.small_graphs import counting as spikes


@pytest.fixture(params=["native", "reference"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_step_many_refuses_what_is_not_one_input_a_session_and_changes_nothing(backend: str) -> None:
    model = Model(spikes(), backend=backend)
    sessions = [model.session() for _ in range(2)]
    model.step_many(sessions, np.ones((2, 2, 3), int))
    before = [session.snapshot() for session in sessions]
    x = np.ones((2, 2, 3), int)
    other = Model(spikes(), backend=backend).session()
    refusals: list[tuple[Any, Any, str]] = [
        ([], x, "sessions are none"),
        ([sessions[0]] * 2, x, "one stands twice"),
        ([sessions[0], other], x, "session is another model's"),
        ([sessions[0], None], x, "not a session: found NoneType"),
        (None, x, "not a session: found NoneType"),
        (sessions, x[:1], "not one input a session: found 1, expected 2"),
        (sessions, x * 4, "not small integers"),
    ]
    for group, xs, message in refusals:
        with pytest.raises((UsageError, ModelError), match=message):
            model.step_many(group, xs)
    lists: list[tuple[Any, Any, str]] = [
        ([0], [0, 1], "not one input a session"),
        ([6], [0, 0, 1], "index is out of range"),
        ([1, 0], [0, 2, 2], "not ascending"),
        ([0, 0, 0, 0], [0, 4, 4], "stands too often"),
        ([0], [0, 2, 1], "offsets do not cover"),
    ]
    for indices, offsets, message in lists:
        for active in ((indices, offsets), (np.array(indices, np.uint32), np.array(offsets, np.int64))):
            with pytest.raises(ModelError, match=message):
                model.step_many(sessions, active=active)
    assert [session.snapshot() for session in sessions] == before
    model.step_many(sessions, x)


@pytest.mark.parametrize("kind", ["spikes", "dense"])
@pytest.mark.parametrize("threads", [1, 3])
def test_step_many_counts_of_each_session_what_its_own_step_counts(kind: str, threads: int) -> None:
    """More sessions than one chunk; some that do not count; a matrix that threads share."""
    rng = np.random.default_rng(1)
    section = {"kind": "spikes", "shape": [40], "value": "count", "bound": 3}
    b = Builder(input=section if kind == "spikes" else {"kind": "dense", "shape": [40]})
    weight = rng.integers(-127, 128, (1040, 40)).astype(np.int8)
    tensors = {"weight": weight, "scale": np.full(1040, 0.01), "bias": np.zeros(1040)}
    attributes = {"activations": "int" if kind == "spikes" else "int8"}
    current = b.add("linear", "input", name="fc", attributes=attributes, tensors=tensors)
    neuron = {"alpha": np.float32([0.5]), "v_th": np.float32([1])}
    model = Model(b.document(outputs=b.add("lif", current, name="lif", tensors=neuron)), backend="native")
    together = [model.session(account=i % 5 != 3, threads=threads) for i in range(35)]
    alone = [model.session(account=i % 5 != 3) for i in range(35)]
    for _ in range(2):
        xs = rng.integers(0, 4, (35, 40)) if kind == "spikes" else rng.normal(0, 1, (35, 40)).astype(np.float32)
        model.step_many(together, xs)
        for session, x in zip(alone, xs, strict=True):
            session.step(x)
        assert [session.layers for session in together] == [session.layers for session in alone]
    assert together[0].synops + together[0].macs > 0
    assert together[3].synops + together[3].macs == 0


def test_step_many_takes_lists_of_any_type(backend: str) -> None:
    model = Model(spikes(), backend=backend)
    x = np.array([[[1, 0, 2], [0, 0, 3]], [[0, 0, 0], [1, 0, 0]]])
    expected = [model.session() for _ in range(2)]
    first = model.step_many(expected, x)
    indices, offsets = [0, 2, 2, 5, 5, 5, 3], [0, 6, 7]
    crooked = np.frombuffer(b"." + np.array(offsets, np.int64).tobytes(), np.int64, offset=1)
    for active in (
        (indices, offsets),
        (np.array(indices, np.uint32), np.array(offsets, np.int64)),
        (np.array(indices, np.int64), np.array(offsets, np.uint8)),
        (np.array(indices, np.uint32), crooked),
    ):
        sessions = [model.session() for _ in range(2)]
        np.testing.assert_array_equal(model.step_many(sessions, active=active), first)
        assert [s.snapshot() for s in sessions] == [s.snapshot() for s in expected]
    counts = Model(one("count", {"kind": "dense", "shape": [3], "value": "int"}), backend=backend)
    with pytest.raises(ModelError, match="takes no spikes as indices"):
        counts.step_many([counts.session()], active=(np.array([1], np.uint32), np.array([0, 1])))


def test_step_many_takes_all_sessions_or_none() -> None:
    model = Model(spikes(), backend="reference")
    sessions = [model.session() for _ in range(3)]
    inside, go_on, step = threading.Event(), threading.Event(), sessions[1]._engine.step

    def slow(x: Any) -> Any:
        inside.set()
        assert go_on.wait(10)
        return step(x)

    sessions[1]._engine.step = slow  # type: ignore[method-assign]
    thread = threading.Thread(target=sessions[1].step, kwargs={"active": [1]})
    thread.start()
    assert inside.wait(10)
    before = sessions[0].snapshot()
    with pytest.raises(UsageError, match="used by another thread"):
        model.step_many(sessions, np.zeros((3, 2, 3), int))
    assert sessions[0].snapshot() == before
    go_on.set()
    thread.join()
