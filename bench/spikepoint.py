"""ms per window of SpikePoint: native int8 against the best torch step-by-step form, one thread.

    python bench/spikepoint.py [digits gestures paper-small paper-large ...] [--coding rate|direct]

A name is a model of the zoo or one of the paper's sizes (random weights, 1024 groups of 24, 16 steps). The native
answer is compared with the numpy reference on one window, bit for bit, before anything is timed. Torch gets its random
bits for nothing; the native time has their drawing in it. Both are given the encoded window.
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

from edgesnn.runtime.model import Model, load, zoo  # noqa: E402


def check(native: Model, window: object) -> None:
    """Compare one window, all steps, native against reference, bit for bit."""
    ours = native.session().run(window)
    theirs = Model(native.document, backend="reference").session().run(window)
    assert isinstance(ours, np.ndarray)
    assert isinstance(theirs, np.ndarray)
    assert ours.tobytes() == theirs.tobytes(), "native and reference differ"


def bench(name: str, coding: str, seconds: float) -> dict[str, object]:
    """Return the times of one model and print a line."""
    paper = spikepoint_net.PAPER.get(name)
    model = Model(spikepoint_net.quantized(paper, coding)) if paper else load(name)
    window = spikepoint_net.random_window(model.document)
    check(model, window)
    session = model.session()
    peer = spikepoint_torch.StepByStep(model.document, window)
    gap = float(np.abs(session.run(window, keep="last") - peer.run()).max())
    times = common.interleaved_ms(
        {"native": lambda: session.run(window, keep="last"), "torch": peer.run}, seconds=seconds
    )
    ratio = times["torch"]["best"] / times["native"]["best"]
    print(
        f"{name:<12} native {times['native']['best']:8.2f} ms  torch {times['torch']['best']:8.2f} ms  "
        f"ratio {ratio:5.2f}  (medians {times['native']['median']:.2f}, {times['torch']['median']:.2f}; "
        f"{session.spikes} spikes, {session.synops} SOPs; largest difference of the votes {gap:.3g})"
    )
    return {
        "model": name,
        "identity": model.identity[:12],
        "precision": model.precision,
        "ms": times,
        "ratio_best": ratio,
        "spikes": session.spikes,
        "synops": session.synops,
        "hop_ms": model.input["hop_us"] / 1e3,
    }


def main() -> None:
    """Run the benches named, or all shipped models and the paper's small net."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=[*zoo(), "paper-small"])
    parser.add_argument("--coding", choices=("rate", "direct"), default="rate", help="of the paper's nets")
    parser.add_argument("--seconds", type=float, default=8.0, help="time spent on each model")
    args = parser.parse_args()
    common.record("spikepoint", {"models": [bench(name, args.coding, args.seconds) for name in args.models]})


if __name__ == "__main__":
    main()
