"""What a model and its sessions cost: bytes, load time, and the price of a call from Python.

    python bench/executor/footprint.py [--sessions 1000]

State bytes of one session (its named states), resident memory per session of a thousand on one model, time to load
the file (mapped, and copied), time to make a session, and the ways to call one step of a network so small that the call
itself is what is measured. Before that, a session of the thousand gives the answer of a fresh one.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[i]) for i in (2, 1, 0)]
import common  # noqa: E402

common.one_thread()

import nets  # noqa: E402
import numpy as np  # noqa: E402
import ours  # noqa: E402
import psutil  # noqa: E402

from edgesnn.errors import ModelError  # noqa: E402
from edgesnn.graph import Builder, Document  # noqa: E402
from edgesnn.runtime.model import Model, load  # noqa: E402

NETS = ("shd", "braille", "cnn", "mlp10")


def tiny() -> Document:
    """Return one neuron: what is left of its `step` is the call."""
    b = Builder(input={"kind": "spikes", "shape": [1], "value": "binary", "bound": 1, "events": None})
    one = np.ones(1, np.float32)
    tensors = {"weight": np.ones((1, 1), np.int8), "scale": one, "bias": one}
    c = b.add("linear", "input", name="fc", attributes={"activations": "int"}, tensors=tensors)
    return b.document(outputs=[b.add("lif", c, name="lif", tensors={"alpha": one, "v_th": one})])


def best_us(work: Callable[[], Any]) -> float:
    """Return the best us of a call of `work`."""
    return common.time_ms(work, seconds=0.5)["best"] * 1e3


def call_us() -> dict[str, float]:
    """Return the us of the ways to call one step of the smallest network."""
    session = Model(tiny(), backend="native").session()
    x, active, out = np.ones(1, np.uint8), np.zeros(1, np.uint32), np.zeros(1, np.int32)
    works: dict[str, tuple[Callable[[int], Any], int]] = {
        "step": (common.repeated(session.step, x), 1),
        "step into out": (common.repeated(lambda: session.step(x, out=out)), 1),
        "step of indices": (common.repeated(lambda: session.step(active=active)), 1),
        "run of one step": (common.repeated(session.run, x[None]), 1),
    }
    return {name: us["median"] for name, us in common.interleaved_us(works, seconds=2.0).items()}


def footprint(key: str, sessions: int) -> dict[str, Any]:
    """Return and print one network's numbers."""
    net = nets.NETS[key]()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        ours.document(net, "int8").save(path)
        times = {
            "load_ms": common.time_ms(lambda: load(path, backend="native"), seconds=0.5)["best"],
            "load_copy_ms": common.time_ms(lambda: load(path, backend="native", copy=True), seconds=0.5)["best"],
        }
        model = load(path, backend="native")
        process = psutil.Process()
        first = model.session()
        ctypes.CDLL(None).malloc_trim(0)  # what the calibration freed must not be what the sessions grow into
        before = process.memory_info().rss
        many = [model.session() for _ in range(sessions)]
        for session in many:
            session.run(net.inputs[:2], keep="none")
        grown = process.memory_info().rss - before
        many[-1].reset()
        assert np.array_equal(many[-1].run(net.inputs), first.run(net.inputs)), "sessions of one model differ"
        found: dict[str, Any] = {
            "net": net.name,
            "file_bytes": path.stat().st_size,
            "state_bytes": sum(array.nbytes for array in first.state.values()),
            "resident_bytes_per_session": grown / sessions,
            "session_us": best_us(model.session),
            **times,
        }
    print(
        f"{net.name:<18} file {found['file_bytes'] / 1e3:8.1f} kB   state {found['state_bytes']:6d} bytes   "
        f"resident {found['resident_bytes_per_session'] / 1e3:6.1f} kB each of {sessions} sessions   "
        f"load {found['load_ms']:5.2f} ms, copied {found['load_copy_ms']:.2f}   new in {found['session_us']:.0f} us"
    )
    return found


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=1000)
    args = parser.parse_args()
    found = []
    for key in NETS:
        try:
            found.append(footprint(key, args.sessions))
        except ModelError as error:
            print(f"{key}: not possible: {error}")
    calls = call_us()
    print("   ".join(f"{name} {us:.2f} us" for name, us in calls.items()) + "   (one neuron, from Python)")
    common.record("executor", {"footprint": found, "call_us": calls})


if __name__ == "__main__":
    main()
