"""What a session promises: step, run, reset, snapshot, restore, clone, state views, counts, and what it refuses."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from bench import spikepoint_net
from edgesnn.errors import BackendError, ModelError, UsageError
from edgesnn.graph import Builder, Document
from edgesnn.quantize import quantize
from edgesnn.runtime import Model, snapshot
from edgesnn.runtime import model as model_room
from edgesnn.runtime.backends import registry

SMALL = {"points": 32, "groups": 8, "neighbours": 4, "steps": 3, "classes": 2, "voters": 2, "widths": (8, 16, 16, 32)}
BACKENDS = ["native", "reference"]


@pytest.fixture(scope="module")
def document() -> Document:
    return quantize(spikepoint_net.document(SMALL))


@pytest.fixture(params=BACKENDS)
def model(request: pytest.FixtureRequest, document: Document) -> Model:
    return Model(document, backend=request.param)


def counter(reset: str = "never") -> Document:
    """Three neurons that fire on every third unit of input; the vote is over them."""
    b = Builder(input={"kind": "dense", "shape": [3], "value": "int", "bound": 4}, reset=reset)
    eye, one, zero = np.eye(3, dtype=np.int8), np.ones(3, np.float32), np.zeros(3, np.float32)
    tensors = {"weight": eye, "scale": one, "bias": zero}
    current = b.add("linear", "input", name="fc", attributes={"activations": "int"}, tensors=tensors)
    neuron = {"alpha": [1.0], "v_th": [3.0]}
    spikes = b.add("lif", current, name="lif", attributes={"reset": "subtract"}, tensors=neuron)
    return b.document(outputs=[b.add("vote", spikes, name="vote", attributes={"classes": 3, "voters": 1}), spikes])


@pytest.mark.parametrize("backend", BACKENDS)
def test_neurons_do_what_paper_and_pencil_say(backend: str) -> None:
    session = Model(counter(), backend=backend).session()
    out = session.run([[1, 0, 4]] * 4)
    assert isinstance(out, dict)
    # v: 1 2 3- 1 | 0 | 4-1 5-2 6-3- 4: the third keeps 4, 5, 6 and 7 less the spikes' threes
    assert out["lif"].tolist() == [[0, 0, 1], [0, 0, 1], [1, 0, 1], [0, 0, 1]]
    assert session.state["lif.v"].tolist() == [1.0, 0.0, 4.0]
    np.testing.assert_array_equal(out["vote"][-1], np.array([1, 0, 4], np.float32) / np.float32(4))
    assert session.spikes == 5
    assert session.synops == 4 * (1 + 4) * 3  # each unit of input reaches three outputs
    assert out["lif"].dtype == np.int32


def test_run_is_all_steps_of_the_window_and_a_window_starts_afresh(model: Model) -> None:
    windows = [spikepoint_net.random_window(model.document, number=n) for n in (1, 2)]
    by_run, by_step = model.session(), model.session()
    for window in windows:
        whole = by_run.run(window)
        steps = np.stack([by_step.step(window) for _ in range(3)])
        np.testing.assert_array_equal(whole, steps)
        assert by_step.step_number == by_run.step_number == 3
    np.testing.assert_array_equal(model.session().run(windows[1]), whole)
    assert by_run.snapshot() == by_step.snapshot()


def test_keep_says_what_run_returns(model: Model) -> None:
    window = spikepoint_net.random_window(model.document)
    whole = model.session().run(window)
    assert isinstance(whole, np.ndarray)
    np.testing.assert_array_equal(model.session().run(window, keep="last"), whole[-1])
    assert model.session().run(window, keep="none") is None
    with pytest.raises(UsageError, match="keep is not known"):
        model.session().run(window, keep="some")  # type: ignore[arg-type]


def test_reset_clone_and_restore(model: Model) -> None:
    window = spikepoint_net.random_window(model.document)
    session = model.session()
    fresh = session.snapshot()
    session.step(window)
    session.step(window)
    twin, blob = session.clone(), session.snapshot()
    assert twin.snapshot() == blob != fresh
    expected = session.step(window)
    np.testing.assert_array_equal(twin.step(window), expected)
    session.reset()
    assert session.snapshot() == fresh
    session.restore(blob)
    np.testing.assert_array_equal(session.step(window), expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_states_of_policy_never_outlive_windows_but_not_a_reset(backend: str) -> None:
    section = {**spikepoint_net.document(SMALL).input}
    b = Builder(input=section, reset="never")
    _, centre = b.add("point_code", "input", name="code", attributes={"coding": "direct"})
    b.add("lif", centre, name="lif", attributes={"reset": "none"}, tensors={"alpha": [1.0], "v_th": [1e9]})
    model = Model(b.document(outputs="lif"), backend=backend)
    window = spikepoint_net.random_window(model.document)
    once, twice = model.session(), model.session()
    once.run(window)
    twice.run(window)
    twice.run(window)
    np.testing.assert_allclose(twice.state["lif.v"], 2 * once.state["lif.v"], rtol=1e-5)
    twice.reset()
    assert not twice.state["lif.v"].any()


def test_state_views_are_writable_and_live(model: Model) -> None:
    session = model.session()
    view = session.state["lif1.v"]
    assert view.shape == (8, 4, 8)
    view[...] = 7.0
    assert b"\x00\x00\xe0\x40" * 8 in session.snapshot()
    session.reset()
    assert not view.any()


def test_recorded_nodes_keep_the_last_call(model: Model) -> None:
    session = model.session(record=["lif1", "code"])
    window = spikepoint_net.random_window(model.document)
    session.run(window)
    assert session.recorded.keys() == {"lif1", "code.local", "code.centre"}
    assert session.recorded["lif1"].shape == (3, 8, 4, 8)
    session.step(window)
    assert session.recorded["lif1"].shape == (8, 4, 8)
    with pytest.raises(UsageError, match="no node to record"):
        model.session(record=["nothing"])
    for wrong in (None, "lif1", 3):
        with pytest.raises(UsageError, match=r"record: no list of nodes: .*expected a list of nodes' names"):
            model.session(record=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_wrong_array_is_refused_and_changes_nothing(backend: str) -> None:
    session = Model(counter(), backend=backend).session()
    session.step([1, 1, 1])
    before = session.snapshot()
    for wrong in ([1, 2], [[1, 2, 3]], [1, 2, 5], [1, 2, -1], [1.0, 2.0, 3.0], "abc"):
        with pytest.raises(ModelError, match="input"):
            session.step(wrong)
    with pytest.raises(ModelError, match="no steps"):
        session.run(np.zeros((0, 3), np.uint8), keep="last")
    assert session.snapshot() == before
    empty = session.run(np.zeros((0, 3), np.uint8))
    assert isinstance(empty, dict)
    assert empty["vote"].shape == (0, 3)


def test_a_wrong_window_is_refused_and_changes_nothing(model: Model) -> None:
    import dataclasses

    session = model.session()
    window = spikepoint_net.random_window(model.document)
    session.step(window)
    before = session.snapshot()
    wrong: list[Any] = [np.zeros(3), None]
    wrong.append(dataclasses.replace(window, members=window.members[:, :2]))
    wrong.append(dataclasses.replace(window, members=window.members + 32))
    wrong.append(dataclasses.replace(window, centroids=window.centroids - 40))
    wrong.append(dataclasses.replace(window, sd=float("nan")))
    for x in wrong:
        for call in (session.step, session.run):
            with pytest.raises(ModelError, match="window"):
                call(x)
    assert session.snapshot() == before


def test_a_second_thread_in_one_session_is_refused(document: Document) -> None:
    model = Model(document, backend="reference")
    session, window = model.session(), spikepoint_net.random_window(document)
    inside, go_on = threading.Event(), threading.Event()
    step = session._engine.step

    def slow(x: Any) -> Any:
        inside.set()
        assert go_on.wait(10)
        return step(x)

    session._engine.step = slow  # type: ignore[method-assign]
    thread = threading.Thread(target=session.step, args=(window,))
    thread.start()
    assert inside.wait(10)
    for call in (lambda: session.run(window), session.reset, session.snapshot):
        with pytest.raises(UsageError, match="used by another thread"):
            call()
    go_on.set()
    thread.join()
    session.reset()


def test_many_sessions_of_one_model_in_many_threads_give_the_same_answer(document: Document) -> None:
    model = Model(document, backend="native")
    window = spikepoint_net.random_window(document)
    expected = np.asarray(model.session().run(window))
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(model.session().run(window))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert all(np.array_equal(a, expected) for a in answers)


def test_a_wrong_snapshot_is_refused_and_changes_nothing(model: Model) -> None:
    session = model.session()
    session.step(spikepoint_net.random_window(model.document))
    blob = session.snapshot()
    arrays = snapshot.decode(blob, model.identity, ["session"])
    identity = model.identity
    other = {name: array for name, array in arrays.items() if name != "session/lif1.v"}
    wrong = {
        "header": blob[:-1],
        "too short": b"",
        "not a snapshot": b"\x02\0\0\0\0\0\0\0{}",
        "another model's": snapshot.encode(arrays, "0" * 64, ["session"]),
        "other sections": snapshot.encode(arrays, identity, ["session", "decide"]),
        "missing": snapshot.encode(other, identity, ["session"]),
        "unknown": snapshot.encode({**arrays, "session/more": np.zeros(1)}, identity, ["session"]),
        "differs": snapshot.encode({**arrays, "session/lif1.v": np.zeros(3, np.float32)}, identity, ["session"]),
        "step number": snapshot.encode({**arrays, "session/step": np.array(4)}, identity, ["session"]),
        "another version": blob.replace(b'\\"version\\":1', b'\\"version\\":2'),
    }
    for message, bad in wrong.items():
        fresh = model.session()
        before = fresh.snapshot()
        with pytest.raises(ModelError, match=r"last tensor|after the file" if message == "header" else message):
            fresh.restore(bad)
        assert fresh.snapshot() == before


def test_restore_takes_every_cut_of_a_snapshot_for_damaged(model: Model) -> None:
    blob = model.session().snapshot()
    session = model.session()
    for size in range(0, len(blob), 101):
        with pytest.raises(ModelError):
            session.restore(blob[:size])


def test_backends_by_name(document: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Model(document).backend == "native"
    with pytest.raises(BackendError, match=r"not known: found 'tpu', expected auto, native, onnx, reference"):
        Model(document, backend="tpu")
    native = registry.find("native")
    monkeypatch.setattr(type(native), "available", lambda self: "no module")
    with pytest.raises(BackendError, match="backend 'native': backend cannot run here: found no module"):
        Model(document, backend="native")
    with pytest.warns(UserWarning, match="backend 'native' cannot run here .no module.; using 'reference'") as caught:
        assert Model(document).backend == "reference"
    assert len(caught) == 1


@pytest.mark.parametrize("arm", ["abc", "avx2,", "avx2" if platform.machine() == "aarch64" else "neon_dotprod"])
def test_an_arm_that_cannot_run_is_an_error(arm: str, document: Document, tmp_path: Path) -> None:
    document.save(tmp_path / "m.safetensors")
    script = f"import edgesnn; edgesnn.load({str(tmp_path / 'm.safetensors')!r})"
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "EDGESNN_ARM": arm, "PYTHONPATH": root}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert "BackendError: EDGESNN_ARM" in done.stderr
    assert f"found {arm}, expected scalar" in done.stderr


def test_a_model_argument_is_a_file_or_a_name_in_the_zoo(
    document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_room, "ZOO", tmp_path)
    with pytest.raises(ModelError, match="digits: no such model in the zoo: expected the zoo is empty"):
        edgesnn.load("digits")
    document.save(tmp_path / "digits.safetensors")
    assert edgesnn.load("digits").identity == document.identity
    assert edgesnn.load(str(tmp_path / "digits.safetensors")).name == "digits"
    assert edgesnn.load(tmp_path / "digits.safetensors").precision == "int8"
    with pytest.raises(ModelError, match="expected digits; a file needs a path separator"):
        edgesnn.load("gestures")
    with pytest.raises(ModelError, match="cannot read the model file"):
        edgesnn.load("gestures.safetensors")


def test_native_validates_again_what_python_hands_over(document: Document) -> None:
    from edgesnn import _native
    from edgesnn.runtime.backends.native import source

    def refuse(message: str, change: Any) -> None:
        wrong = source(document)
        change(wrong)
        with pytest.raises(ModelError, match=message):
            _native.executor.Model(wrong)

    def fc2(spec: Any) -> Any:
        return next(n for n in spec["nodes"] if n.name == "fc2")

    refuse("made by no earlier node", lambda s: setattr(fc2(s), "inputs", ("lif2",)))
    refuse("operator is not known", lambda s: setattr(fc2(s), "op", "warp"))
    refuse("tensor is missing|other number", lambda s: fc2(s).tensors.pop("scale"))
    refuse("does not fit its layout", lambda s: setattr(fc2(s).tensors["weight"], "shape", (4, 900)))
    refuse("does not fit its layout", lambda s: setattr(fc2(s).tensors["weight"], "data", np.zeros((1, 16), np.int8)))
    refuse("another shape or type", lambda s: setattr(fc2(s).tensors["scale"], "data", np.zeros(16, np.int8)))
    refuse("type is not used", lambda s: setattr(fc2(s).tensors["scale"], "data", np.zeros(16)))
    refuse("not numbers", lambda s: setattr(fc2(s).tensors["bias"], "data", np.full(16, np.nan, np.float32)))
    refuse("is missing or no text", lambda s: fc2(s).attributes.pop("activations"))
    refuse("is wrong", lambda s: fc2(s).attributes.update(activations="int4"))
    refuse("made twice", lambda s: setattr(fc2(s), "outputs", ("lif1",)))
    refuse("other number", lambda s: setattr(fc2(s), "outputs", ("a", "b")))
    refuse("made by no node", lambda s: s.update(outputs=["nothing"]))
    refuse("no outputs", lambda s: s.update(outputs=[]))
    refuse("readout is not an output", lambda s: s.update(readout="lif1"))
    refuse("state is missing", lambda s: s["states"].pop())
    refuse("state is not the graph's", lambda s: s["states"].append(s["states"][0]))
    refuse("sizes of points are wrong", lambda s: s.update(input={**s["input"], "groups": 33}))
    refuse("kind is not known", lambda s: s.update(input={"kind": "x", "shape": [1], "value": "int", "bound": 1}))
    refuse("shape is wrong", lambda s: s.update(input={"kind": "dense", "shape": [], "value": "int", "bound": 1}))
    refuse("bound is wrong", lambda s: s.update(input={"kind": "dense", "shape": [3], "value": "int", "bound": 256}))
