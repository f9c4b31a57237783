"""The peers of one shape: a step of one token, state kept, one thread. `make` gives one, or says why it cannot."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import answers
import numpy as np
import shapes


class Peer(NamedTuple):
    """The precision of its weights, `step(token)`, the logits of what that returns, and whether it has neurons.

    `first`: where weights are integers, the states of the first block, as `shapes.Trace` has them.
    """

    precision: str
    step: Callable[[int], Any]
    logits: Callable[[Any], Any]
    spiking: bool = True
    first: Callable[[], Any] | None = None


def onnxruntime(name: str, precision: str, kind: str) -> Peer:
    """Return a step graph with two sets of state buffers, swapped."""
    graph = importlib.import_module("onnx_graph")
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(graph.file(name, kind), options, providers=["CPUExecutionProvider"])
    shape, value = shapes.SHAPES[name], runtime.OrtValue.ortvalue_from_numpy
    states, token = graph.states(name), value(np.zeros(1, np.int64))
    logits = value(np.zeros((1, shape.vocab), np.float32))
    sets = [{n: value(np.full((1, shape.width), x, np.float32)) for n, x in states.items()} for _ in range(2)]
    turns = []  # bindings, and the states that they read
    for before, after in (sets, sets[::-1]):
        binding = session.io_binding()
        binding.bind_ortvalue_input("token", token)
        binding.bind_ortvalue_output(graph.OUTPUT, logits)
        for state in states:
            binding.bind_ortvalue_input(state, before[state])
            binding.bind_ortvalue_output(f"{state}.next", after[state])
        turns.append((binding, before))
    place = np.zeros(1, np.int64)

    def step(x: int) -> Any:
        place[0] = x
        token.update_inplace(place)
        session.run_with_iobinding(turns[0][0])
        turns.reverse()
        return logits

    def first() -> Any:
        return np.stack([turns[0][1][f"blocks.0.{graph.STATES[state]}"].numpy()[0] for state in shapes.FIRST])

    return Peer(precision, step, lambda output: output.numpy()[0], first=first)


def torch(name: str) -> Peer:
    """Return the step form of `edgesnn.models.spikegpt`."""
    library = importlib.import_module("torch")
    library.set_num_threads(1)
    net = shapes.torch_form(name)
    state, inference = net.state(), library.inference_mode()(net.step)
    return Peer("float32", lambda token: inference(token, state)[0], lambda output: output.numpy())


def rwkv(name: str) -> Peer:
    """Return the package `rwkv` with the same checkpoint as RWKV-4: no neurons, no rescaling."""
    os.environ["RWKV_JIT_ON"], os.environ["RWKV_CUDA_ON"] = "1", "0"
    library = importlib.import_module("torch")
    library.set_num_threads(1)
    path = shapes.cached(f"{name}-rwkv4.pth", lambda path: library.save(shapes.checkpoint(name), path))
    with contextlib.redirect_stdout(io.StringIO()):
        net = importlib.import_module("rwkv.model").RWKV(model=str(path.with_suffix("")), strategy="cpu fp32")
    states: list[Any] = [None]

    def step(token: int) -> Any:
        logits, states[0] = net.forward([token], states[0])
        return logits

    return Peer("float32", step, lambda output: output.numpy(), spiking=False)


# name -> what makes it; the order is that of the table
PEERS: Mapping[str, Callable[[str], Peer]] = {
    "onnxruntime float32": lambda name: onnxruntime(name, "float32", "float32"),
    "onnxruntime int8, dynamic": lambda name: onnxruntime(name, "int8", "int8"),
    "onnxruntime 8 bits, blocks of 32": lambda name: onnxruntime(name, "int8", "8 bits, blocks of 32"),
    "onnxruntime 8 bits, blocks of 128": lambda name: onnxruntime(name, "int8", "8 bits, blocks of 128"),
    "onnxruntime 4 bits, blocks of 32": lambda name: onnxruntime(name, "int4", "4 bits, blocks of 32"),
    "onnxruntime 4 bits, blocks of 128": lambda name: onnxruntime(name, "int4", "4 bits, blocks of 128"),
    "torch": torch,
    "rwkv (no neurons)": rwkv,
}


def make(name: str, peer: str) -> Peer | str:
    """Return a peer by its name, or one line that says why there is none."""
    try:
        return PEERS[peer](name)
    except ImportError as error:
        return f"missing: {error}"


def check(name: str, peer: Peer) -> dict[str, float]:
    """Compare the first tokens' answers, from a fresh state."""
    expected = shapes.trace(name, spiking=peer.spiking)
    logits, first = [], None
    for token in expected.tokens:
        logits.append(np.array(peer.logits(peer.step(int(token)))))
        if first is None and peer.first:
            first = peer.first()
    return answers.compare(expected, peer.precision, np.stack(logits), first=first)
