"""Times real time of the Loihi gesture network on the densest of ten clips, one thread.

    python bench/executor/loihi.py [--seconds 5]

The network is `tests/loihi.py`: int4 weights but for fc1. 1450 steps of 1 ms in one `run`. Before anything is timed,
the spikes of every layer and the output counts of the clip are compared with what SLAYER's equations give
(conformance/loihi_gesture in the shared folder: EDGESNN_SHARED, else `shared` beside the repository). Frames are made
before: what is timed is the network.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[i]) for i in (2, 1, 0)]
import common  # noqa: E402

common.one_thread()

import numpy as np  # noqa: E402
import numpy.typing as npt  # noqa: E402

import edgesnn  # noqa: E402
from edgesnn.encode.spikes import SpikeEncoding, spike_frames  # noqa: E402
from edgesnn.runtime.model import Model  # noqa: E402
from tests.loihi import INPUT, LAYERS, STEPS, gesture_network  # noqa: E402

SHARED = Path(os.environ.get("EDGESNN_SHARED") or common.ROOT.parent / "shared")
TIMES_REAL_TIME = 20.0


def check(model: Model, frames: npt.NDArray[np.uint8], expected: dict[str, Any]) -> dict[str, int]:
    """Compare all layers' spikes and the output counts; return the spikes of each layer."""
    session = model.session(record=LAYERS)
    counts = session.run(frames).sum(axis=0)
    spikes = {name: int(np.count_nonzero(session.recorded[name])) for name in LAYERS}
    assert list(spikes.values()) == expected["spikes_per_layer"], f"spikes {spikes}, expected {expected}"
    assert counts.tolist() == expected["output_spike_counts"], f"counts {counts}, expected {expected}"
    return spikes


def main() -> None:
    """Check, time, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    args = parser.parse_args()
    folder = SHARED / "conformance" / "loihi_gesture"
    if not folder.is_dir():
        print(f"nothing to run: {folder} is not there; set EDGESNN_SHARED")
        return
    clips = json.loads((folder / "expected.json").read_text("utf-8"))
    densest = max(clips, key=lambda clip: (SHARED / clip["recording"]).stat().st_size)
    events = edgesnn.open(SHARED / densest["recording"], sensor=(128, 128)).read()
    frames = spike_frames(events, SpikeEncoding.from_section(INPUT))
    with np.load(folder / "weights.npz") as weights:
        model = Model(gesture_network(dict(weights)), backend="native")
    spikes = check(model, frames, densest)
    session = model.session()
    run = common.repeated(lambda: session.run(frames, keep="last"))
    us = common.interleaved_us({"run": (run, STEPS)}, seconds=args.seconds)["run"]
    times = 1e3 / us["median"]
    met = "met" if times >= TIMES_REAL_TIME else "SHORT"
    print(f"{Path(densest['recording']).name}: {len(events)} events, {sum(spikes.values())} spikes, steps of 1 ms")
    print(f"  {us['median']:.1f} us a step (best {us['best']:.1f})")
    print(f"  {times:.0f} times real time, goal {TIMES_REAL_TIME:g}: {met}")
    found = {"clip": densest["recording"], "spikes": spikes, "us": us, "times_real_time": times}
    common.record("executor", {"loihi": found})


if __name__ == "__main__":
    main()
