"""Wrong inputs and threads at the door of a session: one clear exception, and a state as it was before."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from bench import spikepoint_net
from edgesnn.errors import ModelError, UsageError
from edgesnn.graph import Builder, Document
from edgesnn.runtime import Model, Session
from tests.small_graphs import language, recurrent

BACKENDS = ["native", "reference"]
SMALL = {"points": 32, "groups": 8, "neighbours": 4, "steps": 3, "classes": 2, "voters": 2, "widths": (8, 16, 16, 32)}
Call = Callable[[Session], Any]


def counts() -> Document:
    """Return integer neurons at rest after a spike, behind a delay, over counts up to 3."""
    b = Builder(input={"kind": "spikes", "shape": [2, 5], "value": "count", "bound": 3})
    weight = np.random.default_rng(1).integers(-90, 90, (20, 5)).astype(np.int8)
    x = b.add("linear", "input", name="fc", attributes={"activations": "int", "output": "int32"},
              tensors={"weight": weight})  # fmt: skip
    decay = {"current_decay": 1024, "voltage_decay": 128, "gain": 64, "v_th": 5000, "refractory": 2}
    x = b.add("cuba", x, name="cuba", attributes=decay)
    x = b.add("delay", x, name="line", attributes={"steps": 4, "shape": [2, 20], "value": "int", "bound": 1})
    return b.document(outputs=b.add("count", x, name="total"))


def floats() -> Document:
    """Return a leaky layer over a float32 vector."""
    b = Builder(input={"kind": "dense", "shape": [6]})
    tensors = {"weight": np.eye(6, dtype=np.float32), "scale": np.ones(6), "bias": np.zeros(6)}
    x = b.add("linear", "input", name="fc", attributes={"activations": "float32"}, tensors=tensors)
    return b.document(outputs=b.add("lif", x, name="lif", tensors={"alpha": [0.5], "v_th": [1.0]}))


def points() -> Document:
    return spikepoint_net.document(SMALL)


DOCUMENTS = {"recurrent": recurrent, "counts": counts, "floats": floats, "language": language, "points": points}


@cache
def model_of(name: str, backend: str) -> Model:
    return Model(DOCUMENTS[name](), backend=backend)


def good(name: str, steps: int) -> Any:
    """Return inputs of `steps` steps that a model takes (a window for kind points)."""
    rng = np.random.default_rng(steps)
    if name == "points":
        return spikepoint_net.random_window(points())
    shapes: dict[str, Any] = {"recurrent": (2, 8, 6), "counts": (2, 5), "floats": (6,), "language": ()}
    if name == "floats":
        return rng.normal(0, 1, (steps, 6)).astype(np.float32)
    return rng.integers(0, {"recurrent": 2, "counts": 4, "language": 17}[name], (steps, *shapes[name]))


def step(x: Any = None, **given: Any) -> Call:
    return lambda session: session.step(x, **given)


def run(xs: Any = None, **given: Any) -> Call:
    return lambda session: session.run(xs, **given)


def many(xs: Any = None, **given: Any) -> Call:
    return lambda session: session.model.step_many([session], xs, **given)


IMAGE = np.zeros((2, 8, 6), np.uint8)
WRONG: dict[str, dict[str, Call]] = {
    "recurrent": {
        "one axis less": step(np.zeros((8, 6), np.uint8)),
        "one axis more": step(IMAGE[np.newaxis]),
        "axes in another order": step(np.zeros((8, 6, 2), np.uint8)),
        "a scalar": step(1),
        "nothing": step(),
        "None in a list": step([None]),
        "a text": step("spikes"),
        "an object array": step(np.full((2, 8, 6), None)),
        "floats": step(IMAGE.astype(np.float32)),
        "complex numbers": step(IMAGE.astype(complex)),
        "dates": step(np.zeros((2, 8, 6), "datetime64[s]")),
        "a spike of value two": step(IMAGE + 2),
        "a spike below zero": step(IMAGE.astype(np.int64) - 1),
        "a spike of 256, a byte of zero": step(IMAGE.astype(np.int64) + 256),
        "a spike of 2^64 - 1": step(np.full((2, 8, 6), 2**64 - 1, np.uint64)),
        "run without steps' axis": run(IMAGE),
        "run with a wrong last step": run([IMAGE, IMAGE, IMAGE + 2]),
        "ragged steps": run([[1], [1, 2]]),
        "last of no steps": run(np.zeros((0, 2, 8, 6), np.uint8), keep="last"),
        "keep what": run([IMAGE], keep="some"),
        "both": step(IMAGE, active=[1]),
        "index past the end": step(active=[96]),
        "index below zero": step(active=[-1]),
        "huge index": step(active=np.array([2**32 + 1], np.uint64)),
        "indices out of order": step(active=[5, 4]),
        "float indices": step(active=[1.0]),
        "indices of true and false": step(active=[True, False]),
        "indices in two axes": step(active=[[1], [2]]),
        "indices are a number": step(active=3),
        "run without offsets": run(active=[1, 2]),
        "run with a triple": run(active=([1], [0, 1], [0])),
        "no offsets": run(active=([], [])),
        "offsets begin late": run(active=([1, 2], [1, 2])),
        "offsets end early": run(active=([1, 2], [0, 1])),
        "offsets past the end": run(active=([1, 2], [0, 3])),
        "offsets go back": run(active=([1, 2], [0, 2, 1, 2])),
        "negative offsets": run(active=([1, 2], [0, -1, 2])),
        "huge offsets": run(active=([1, 2], np.array([0, 2**63 - 1, 2]))),
        "offsets past int64": run(active=([1, 2], np.array([0, 2**64 - 1, 2], np.uint64))),
        "float offsets": run(active=([1, 2], [0.0, 2.0])),
        "second step out of order": run(active=([3, 5, 4], [0, 1, 3])),
        "two inputs of one session": many([IMAGE, IMAGE]),
        "many of another shape": many(IMAGE),
        "many with a wrong value": many([IMAGE + 2]),
        "many with offsets of two": many(active=([1], [0, 1, 1])),
        "many with indices out of range": many(active=([96], [0, 1])),
    },
    "counts": {
        "a count past the bound": step(np.full((2, 5), 4)),
        "an index four times": step(active=[2, 2, 2, 2]),
        "an index four times in a run": run(active=([2] * 7, [0, 3, 7])),
        "index past the end": step(active=[10]),
    },
    "floats": {
        "NaN": step(np.full(6, np.nan)),
        "infinity": step([0, 0, 0, 0, 0, np.inf]),
        "infinite as float32": step(np.full(6, 1e300)),
        "NaN in a later step": run(np.array([[0.0] * 6, [np.nan] * 6])),
        "true and false": step(np.ones(6, bool)),
        "numbers as texts": step(["1"] * 6),
        "indices": step(active=[1]),
        "NaN for one of many": many(np.full((1, 6), np.nan)),
    },
    "language": {
        "past the vocabulary": step(17),
        "below zero": step(-1),
        "huge": step(2**70),
        "a float": step(1.0),
        "a list": step([1]),
        "a text": step("a"),
        "a late wrong one": run([1, 2, 17]),
        "floats": run([1.0, 2.0]),
        "two axes": run([[1, 2]]),
        "past int64": run(np.array([2**64 - 1], np.uint64)),
        "indices": step(active=[1]),
        "too many": many([1, 2]),
        "one of many past the vocabulary": many([17]),
    },
}
NOT_A_WINDOW: dict[str, dict[str, Any]] = {
    "points below the grid": {"coordinates": lambda a: a - 20_000},
    "points past the grid": {"coordinates": lambda a: a + 2**20},
    "points past 32 bits": {"coordinates": lambda a: a.astype(np.int64) + 2**32},
    "polarity of two": {"coordinates": lambda a: np.maximum(a, 2)},
    "points of floats": {"coordinates": lambda a: a.astype(np.float32)},
    "points in a list": {"coordinates": lambda a: a.tolist()},
    "a point more": {"coordinates": lambda a: np.concatenate([a, a[:1]])},
    "flat points": {"coordinates": lambda a: a.reshape(-1)},
    "a member that is not": {"members": lambda a: a + 32},
    "a member below zero": {"members": lambda a: a - 40},
    "a member past 32 bits": {"members": lambda a: a.astype(np.int64) + 2**32},
    "members of NaN": {"members": lambda a: a * np.nan},
    "a member less": {"members": lambda a: a[:, 1:]},
    "a centroid that is not": {"centroids": lambda a: a + 32},
    "a group more": {"centroids": lambda a: np.concatenate([a, a[:1]])},
    "a scale of NaN": {"sd": lambda _: float("nan")},
    "an infinite scale": {"sd": lambda _: float("inf")},
    "a scale below zero": {"sd": lambda _: -1.0},
    "a scale of text": {"sd": lambda _: "1"},
    "a number below zero": {"number": lambda _: -1},
    "a number past 64 bits": {"number": lambda _: 2**64},
    "a number of text": {"number": lambda _: "1"},
}
CASES = [(name, case) for name, cases in WRONG.items() for case in cases]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("name", "case"), CASES, ids=[f"{name}: {case}" for name, case in CASES])
def test_a_wrong_input_is_refused_and_changes_nothing(name: str, case: str, backend: str) -> None:
    model = model_of(name, backend)
    session, twin = model.session(), model.session()
    for each in (session, twin):
        each.run(good(name, 5))
    before = session.snapshot()
    with pytest.raises((ModelError, UsageError)) as caught:
        WRONG[name][case](session)
    assert len(str(caught.value)) < 400
    assert session.snapshot() == before
    np.testing.assert_array_equal(session.run(good(name, 7)), twin.run(good(name, 7)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", NOT_A_WINDOW)
def test_a_wrong_window_is_refused_and_changes_nothing(case: str, backend: str) -> None:
    model, window = model_of("points", backend), good("points", 0)
    changes = {name: change(getattr(window, name)) for name, change in NOT_A_WINDOW[case].items()}
    wrong = dataclasses.replace(window, **changes)
    session = model.session()
    session.step(window)
    before = session.snapshot()
    calls: list[Call] = [step(wrong), run(wrong), many([wrong]), many([]), many([window, window]), many(3), step(None)]
    for call in calls:
        with pytest.raises((ModelError, UsageError)):
            call(session)
    assert session.snapshot() == before


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["recurrent", "counts", "floats", "language"])
def test_any_memory_of_the_right_numbers_gives_the_same(name: str, backend: str) -> None:
    model, xs = model_of(name, backend), good(name, 6)
    expected = model.session().run(xs)
    frozen = xs.copy()
    frozen.flags.writeable = False
    spread = np.repeat(xs, 2, axis=0)[::2]
    forms = {
        "read-only": frozen,
        "every second": spread,
        "backwards twice": xs[::-1].copy()[::-1],
        "Fortran order": np.asfortranarray(xs),
        "big-endian": xs.astype(xs.dtype.newbyteorder(">")),
        "lists": xs.tolist(),
        "at an odd address": np.frombuffer(b"\0" + xs.tobytes(), np.uint8)[1:].view(xs.dtype).reshape(xs.shape),
    }
    for form, given in forms.items():
        np.testing.assert_array_equal(model.session().run(given), expected, err_msg=form)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_input_is_not_written_to_and_an_output_is_new(backend: str) -> None:
    session, x = model_of("floats", backend).session(), np.full(6, 2.0, np.float32)
    first = session.step(x)
    kept = np.array(first)
    second = session.step(np.zeros(6, np.float32))
    np.testing.assert_array_equal(first, kept)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(x, np.full(6, 2.0, np.float32))


def _outs() -> Iterator[tuple[str, Any]]:
    read_only = np.zeros(6, np.int32)
    read_only.flags.writeable = False
    yield from {
        "read-only": read_only,
        "float32": np.zeros(6, np.float32),
        "another shape": np.zeros(7, np.int32),
        "a list": [0] * 6,
        "a dict": {"lif": np.zeros(6, np.int32)},
    }.items()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("form", "out"), list(_outs()), ids=[form for form, _ in _outs()])
def test_a_wrong_out_is_refused_and_changes_nothing(form: str, out: Any, backend: str) -> None:
    session = model_of("floats", backend).session()
    before = session.snapshot()
    with pytest.raises(UsageError, match="out"):
        session.step(np.full(6, 2.0), out=out)
    assert session.snapshot() == before


@pytest.mark.parametrize("backend", BACKENDS)
def test_sessions_that_do_not_go_together_are_refused(backend: str) -> None:
    model, other = model_of("counts", backend), Model(counts(), backend=backend)
    one, foreign = model.session(), other.session()
    before = one.snapshot(), foreign.snapshot()
    x = np.ones((2, 2, 5), np.uint8)
    for sessions in ([], [one, one], [one, foreign], [foreign, foreign]):
        with pytest.raises(UsageError):
            model.step_many(sessions, x[: len(sessions)])
    assert (one.snapshot(), foreign.snapshot()) == before


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_busy_session_refuses_and_every_call_is_whole(backend: str) -> None:
    """Four threads call one session; what was not refused was done, one call after another."""
    model, x = model_of("counts", backend), np.ones((40, 2, 5), np.uint8)
    session, others = model.session(), [model.session() for _ in range(4)]
    done = [0] * 4
    odd: list[UsageError] = []

    def call(number: int) -> None:
        for i in range(60):
            try:
                if i % 3 == 0:
                    model.step_many([others[number], session], x[:2])
                elif i % 3 == 1:
                    session.step(x[0])
                else:
                    session.run(x)
                done[number] += 40 if i % 3 == 2 else 1
            except UsageError as error:
                if "used by another thread" not in str(error):
                    odd.append(error)

    threads = [threading.Thread(target=call, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not odd
    twin = model.session()
    twin.run(np.ones((sum(done), 2, 5), np.uint8))
    assert session.step_number == sum(done) > 0
    assert session.snapshot() == twin.snapshot()


def test_direct_values_beside_wider_ones_are_quantised_alone() -> None:
    """Memory of values is used again: what lay there before must not be in the largest of a quantised vector."""
    b = Builder(input=points().input)
    members, centre = b.add("point_code", "input", name="code", attributes={"coding": "direct", "polarity": True})
    outputs = []
    for name, value, size in (("wide", members, 7), ("narrow", centre, 3)):
        weight = np.random.default_rng(size).integers(-9, 9, (4, size)).astype(np.int8)
        tensors = {"weight": weight, "scale": np.full(4, 0.01), "bias": np.zeros(4)}
        outputs.append(b.add("linear", value, name=name, attributes={"activations": "int8"}, tensors=tensors))
    document, window = b.document(outputs=outputs), good("points", 0)
    native, reference = (Model(document, backend=backend).session().run(window) for backend in BACKENDS)
    for name in outputs:
        np.testing.assert_array_equal(native[name], reference[name])
