"""ms per window of SpikePoint: native int8 against the best torch step-by-step form, one thread.

    python bench/spikepoint.py [digits gestures paper-small paper-large ...] [--coding rate|direct]

A name is a model of the zoo or one of the paper's sizes (random weights, 1024 groups of 24, 16 steps). The native
answer is compared with the numpy reference on one window, bit for bit, before anything is timed. Torch gets its random
bits for nothing; the native time has their drawing in it. Both are given the encoded window. Beside them the dense
rooflines: all multiplications at the speed that torch's largest matrix products reach here, without neurons or memory.
Times are the thread's processor time.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
import common  # noqa: E402

common.one_thread()

import numpy as np  # noqa: E402
import spikepoint_net  # noqa: E402
import spikepoint_torch  # noqa: E402
import torch  # noqa: E402

from edgesnn.graph import Document  # noqa: E402
from edgesnn.runtime.model import Model, load, zoo  # noqa: E402

GOALS = {"paper-small": 10.0, "paper-large": 7.0}
PEAK_SIZE = 1024


def check(native: Model, window: object) -> None:
    """Compare one window, all steps, native against reference, bit for bit."""
    ours = native.session().run(window)
    theirs = Model(native.document, backend="reference").session().run(window)
    assert isinstance(ours, np.ndarray)
    assert isinstance(theirs, np.ndarray)
    assert ours.tobytes() == theirs.tobytes(), "native and reference differ"


def peak_macs() -> dict[str, float]:
    """Return multiply-accumulates per second of one thread in square matrix products: int8 and float32."""
    small = torch.randint(-127, 128, (PEAK_SIZE, PEAK_SIZE), dtype=torch.int8)
    wide = torch.rand(PEAK_SIZE, PEAK_SIZE)
    times = common.interleaved_cpu_ms(
        {"int8": lambda: torch._int_mm(small, small), "float32": lambda: wide @ wide}, seconds=1
    )
    return {kind: PEAK_SIZE**3 / time["best"] * 1e3 for kind, time in times.items()}


def macs(document: Document) -> int:
    """Return the multiply-accumulates of a window, computed densely in every step."""
    steps = document.input["steps"]
    matrices = [node for node in document.nodes if node.op == "linear"]
    weights = [document.unpack(node.tensors["weight"]) for node in matrices]
    rows = [document.analysis.values[node.outputs[0]].rows for node in matrices]
    return steps * sum(int(r) * w.size for r, w in zip(rows, weights, strict=True))


def rate(model: Model, spikes: int) -> float:
    """Return spikes per neuron and step."""
    values = model.document.analysis.values
    neurons = sum(int(np.prod(values[n.outputs[0]].shape)) for n in model.document.nodes if n.op == "lif")
    return spikes / (neurons * model.input["steps"])


def bench(name: str, coding: str, seconds: float, peak: dict[str, float]) -> dict[str, object]:
    """Return the times of one model and print its lines."""
    paper = spikepoint_net.PAPER.get(name)
    model = Model(spikepoint_net.quantized(paper, coding)) if paper else load(name)
    window = spikepoint_net.random_window(model.document)
    check(model, window)
    session = model.session()
    peer = spikepoint_torch.StepByStep(model.document, window)
    gap = float(np.abs(session.run(window, keep="last") - peer.run()).max())
    times = common.interleaved_cpu_ms(
        {"native": lambda: session.run(window, keep="last"), "torch": peer.run}, seconds=seconds
    )
    ratio = times["torch"]["best"] / times["native"]["best"]
    print(
        f"{name:<12} native {times['native']['best']:8.2f} ms  torch {times['torch']['best']:8.2f} ms  "
        f"ratio {ratio:5.2f}  (medians {times['native']['median']:.2f}, {times['torch']['median']:.2f}; "
        f"{session.spikes} spikes, {session.synops} SOPs; largest difference of the votes {gap:.3g})"
    )
    roofline = {kind: macs(model.document) / speed * 1e3 for kind, speed in peak.items()}
    goal = f"; goal {GOALS[name]:g}: {'met' if ratio >= GOALS[name] else 'SHORT'}" if name in GOALS else ""
    print(
        f"{'':<12} {rate(model, session.spikes):.1%} of the neurons spike in a step; dense roofline: int8 "
        f"{roofline['int8']:.2f} ms, float32 {roofline['float32']:.2f} ms{goal}"
    )
    return {
        "model": name,
        "identity": model.identity[:12],
        "precision": model.precision,
        "ms": times,
        "ratio_best": ratio,
        "dense_roofline_ms": roofline,
        "rate": rate(model, session.spikes),
        "goal": GOALS.get(name),
        "spikes": session.spikes,
        "synops": session.synops,
        "hop_ms": model.input["hop_us"] / 1e3,
    }


def main() -> None:
    """Run the benches named, or all shipped models and both of the paper's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=[*zoo(), *spikepoint_net.PAPER])
    parser.add_argument("--coding", choices=("rate", "direct"), default="rate", help="of the paper's nets")
    parser.add_argument("--seconds", type=float, default=8.0, help="time spent on each model")
    args = parser.parse_args()
    peak = peak_macs()
    print(f"peak of one thread: int8 {peak['int8'] / 1e9:.0f}, float32 {peak['float32'] / 1e9:.0f} GMAC/s")
    common.record("spikepoint", {"models": [bench(name, args.coding, args.seconds, peak) for name in args.models]})


if __name__ == "__main__":
    main()
