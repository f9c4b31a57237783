"""us per matrix times graded vector, quantisation of the vector included: ours against onnxruntime, numpy and torch.

    python bench/executor/matrices.py [--seconds 2]

One `linear` of float32 input, quantised (so with int8 activations), run for many steps; onnxruntime's float32 MatMul,
its dynamic int8, and MatMulNBits (int4, blocks of 128, accuracy level 4) with IoBinding. Our answer is compared with
numpy bit for bit, the peers' with the float32 product, before anything is timed. The lines "spikes" are the same int8
matrix fed with so many spikes: how much is won by reading only the rows that are active. "Steps together": a `run` of
a graph without states takes all its steps in one pass over the weights, which no peer's step can do.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[i]) for i in (2, 1, 0)]
import common  # noqa: E402

common.one_thread()

import numpy as np  # noqa: E402
import numpy.typing as npt  # noqa: E402

from edgesnn.graph import Builder, Document  # noqa: E402
from edgesnn.quantize import quantize  # noqa: E402
from edgesnn.runtime.model import Model  # noqa: E402

SHAPES = ((512, 512), (1024, 1024), (4096, 1024), (1024, 4096))  # outputs, inputs
ACTIVITY = (0.02, 0.1, 0.5, 1.0)
STEPS = 32
PEERS = ("onnxruntime float32", "onnxruntime int8", "onnxruntime int4", "numpy float32", "torch float32")
OURS = {  # weights, group, whether each step passes over the weights for itself
    "int8": ("int8", 32, True),
    "int4 groups of 32": ("int4", 32, True),
    "int4 groups of 128": ("int4", 128, True),
    "int8, steps together": ("int8", 32, False),
    "int4/128, steps together": ("int4", 128, False),
}
CLOSE = {"float32": 1e-4, "int8": 0.03, "int4": 0.3}  # of the largest output

Works = dict[str, tuple[Callable[[int], Any], int]]  # n calls, of so many steps
Floats = npt.NDArray[np.float32]


def weights(outputs: int, inputs: int) -> Floats:
    """Return the float32 matrix that all of them round in their own way."""
    rng = np.random.default_rng(outputs + inputs)
    return rng.normal(0, 1 / np.sqrt(inputs), (outputs, inputs)).astype(np.float32)


def document(weight: Floats, value: str, kind: str, group: int = 32, *, one_by_one: bool = True) -> Document:
    """Return one `linear` for float32 or int (spike) input, int8 per channel, or int4 in groups.

    Steps that know of each other cannot share a pass over the weights; with `one_by_one` the first is marked.
    """
    section = {"kind": "dense", "shape": [weight.shape[1]], "value": value, "bound": int(value == "int")}
    b = Builder(input=section)
    ones = np.ones(len(weight), np.float32)
    tensors = {"weight": weight, "scale": ones, "bias": np.zeros_like(ones)}
    attributes = {"activations": value, "cold_start": "skip" if one_by_one else "run"}
    y = b.add("linear", "input", name="fc", attributes=attributes, tensors=tensors)
    return quantize(b.document(outputs=[y]), weights=kind, group=group)


def expected_int8(made: Document, xs: Floats) -> Floats:
    """Return what docs/arithmetic.md says, with int8 activations."""
    largest = np.abs(xs).max(axis=1, keepdims=True)
    q = np.clip(np.rint(xs * (np.float32(127) / largest)), -127, 127).astype(np.int64)
    sums = (q @ made.unpack("fc.weight").astype(np.int64).T).astype(np.float32)
    return ((sums * made.unpack("fc.scale")) * (largest / np.float32(127))) + made.unpack("fc.bias")


def our_works(weight: Floats, xs: Floats) -> Works:
    """Return the works of our forms."""
    works: Works = {}
    for name, (kind, group, one_by_one) in OURS.items():
        made = document(weight, "float32", kind, group, one_by_one=one_by_one)
        assert made.nodes[0].attributes["activations"] == "int8"
        session = Model(made, backend="native").session()
        session.run(xs[:1])
        ys = session.run(xs)
        if kind == "int8":
            assert np.array_equal(ys, expected_int8(made, xs)), "native and numpy differ"
        close(ys, weight, xs, kind)
        works[f"edgesnn {name}"] = common.repeated(session.run, xs), STEPS
    return works


def event_works(weight: Floats) -> Works:
    """Return the works of the int8 matrix for each share of spikes."""
    made = document(weight, "int", "int8")
    works: Works = {}
    for activity in ACTIVITY:
        rng = np.random.default_rng(1)
        xs = (rng.random((STEPS, weight.shape[1])) < activity).astype(np.uint8)
        session = Model(made, backend="native").session()
        session.run(xs[:1])
        sums = (xs.astype(np.int64) @ made.unpack("fc.weight").astype(np.int64).T).astype(np.float32)
        assert np.array_equal(session.run(xs), sums * made.unpack("fc.scale") + made.unpack("fc.bias"))
        works[f"spikes {activity:.0%}"] = common.repeated(session.run, xs), STEPS
    return works


def close(ys: Any, weight: Floats, xs: Floats, kind: str) -> None:
    """Compare with the float32 product, as near as the precision allows."""
    expected = xs @ weight.T
    gap = float(np.abs(ys - expected).max() / np.abs(expected).max())
    assert gap <= CLOSE[kind], f"{kind} is {gap:.3g} of the largest output away"


def peer_works(weight: Floats, xs: Floats) -> Works:
    """Return the works of the peers; prints those that are missing."""
    works: Works = {}
    for name in PEERS:
        library, kind = name.split()
        try:
            module = importlib.import_module(f"peers.{library}_matrix")
        except ImportError as error:
            print(f"  {name}: missing: {error}")
            continue
        step, inputs = module.make(weight, xs, kind)
        close(np.stack([np.asarray(step(x)).reshape(-1).copy() for x in inputs]), weight, xs, kind)
        works[name] = common.in_turn(step, inputs), 1
    return works


def bench(shape: tuple[int, int], seconds: float) -> dict[str, Any]:
    """Check, time, print and return one shape."""
    print(f"\n{shape[0]} x {shape[1]}")
    weight = weights(*shape)
    xs = np.random.default_rng(2).normal(0, 1, (STEPS, shape[1])).astype(np.float32)
    works = {**our_works(weight, xs), **peer_works(weight, xs), **event_works(weight)}
    us = common.interleaved_us(works, seconds=seconds)
    dense = us.get("edgesnn int8")
    for name, t in us.items():
        ratio = f"  {t['median'] / dense['median']:6.2f} x ours in int8" if dense else ""
        if dense and name.startswith("spikes"):
            ratio = f"  dense takes {dense['median'] / t['median']:.2f} times that"
        print(f"  {name:<28}{t['median']:9.2f} us, best {t['best']:8.2f}{ratio}")
    return {"outputs": shape[0], "inputs": shape[1], "us": us}


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="time spent on each size")
    args = parser.parse_args()
    common.record("executor", {"matrices": [bench(shape, args.seconds) for shape in SHAPES]})


if __name__ == "__main__":
    main()
