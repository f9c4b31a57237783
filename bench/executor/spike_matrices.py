"""us per spike matrix times vector, by size and activity, against the read-bandwidth limit of the same run.

    python bench/executor/spike_matrices.py [--seconds 0.2]

A graph of one `linear`, run for many steps, so the search for the spikes, scale, bias and output are in the time. The
limit is the bytes of the active rows through the bandwidth that one core has on memory of the weights' size. The answer
is compared with numpy, bit for bit, before anything is timed.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[i]) for i in (2, 1, 0)]
import common  # noqa: E402

common.one_thread()

import bandwidth  # noqa: E402
import numpy as np  # noqa: E402
import numpy.typing as npt  # noqa: E402

from edgesnn.graph import Builder, Document  # noqa: E402
from edgesnn.quantize import quantize  # noqa: E402
from edgesnn.runtime.model import Model  # noqa: E402

SHAPES = ((256, 256), (1024, 256), (1024, 1024), (1024, 4096), (4096, 4096))  # outputs, inputs
ACTIVITY = (0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
STEPS = 64
BITS = {"int8": 8, "int4": 4}
# the goals: within so many times the limit from this activity and these bytes up; int4's speed over int8's
FROM_ACTIVITY, FROM_BYTES, TIMES_LIMIT = 0.05, 64 * 1024, 2.0
INT4_SPEED, INT4_SPEED_PAST_L2, L2_BYTES = 0.95, 1.3, 1024 * 1024


def document(outputs: int, inputs: int, weights: str) -> Document:
    """Return one random `linear` of the given precision."""
    rng = np.random.default_rng(outputs + inputs)
    b = Builder(input={"kind": "dense", "shape": [inputs], "value": "int", "bound": 1})
    tensors = {
        "weight": rng.normal(0, 1, (outputs, inputs)).astype(np.float32),
        "scale": rng.uniform(0.5, 1.5, outputs).astype(np.float32),
        "bias": rng.normal(0, 1, outputs).astype(np.float32),
    }
    y = b.add("linear", "input", name="fc", attributes={"activations": "int"}, tensors=tensors)
    return quantize(b.document(outputs=[y]), weights=weights)


def check(made: Document, xs: npt.NDArray[np.uint8], ys: Any) -> None:
    """Compare with numpy: exact sums, then two roundings."""
    weight = made.unpack("fc.weight").astype(np.int64)
    sums = xs.astype(np.int64) @ weight.T
    expected = sums.astype(np.float32) * made.unpack("fc.scale") + made.unpack("fc.bias")
    assert np.array_equal(ys, expected), "native and numpy differ"


def rows(shape: tuple[int, int], seconds: float) -> list[dict[str, Any]]:
    """Return a row for each activity: us of each precision and of its limit."""
    outputs, inputs = shape
    made = {weights: document(outputs, inputs, weights) for weights in BITS}
    sessions = {w: Model(d, backend="native").session() for w, d in made.items() if d.precision == w}
    limits = {w: bandwidth.read_gb_s(outputs * inputs * BITS[w] // 8) for w in sessions}
    rng = np.random.default_rng(1)
    found = []
    for activity in ACTIVITY:
        count = max(1, round(activity * inputs))
        xs = np.zeros((STEPS, inputs), np.uint8)
        for x in xs:
            x[rng.choice(inputs, count, replace=False)] = 1
        for w, session in sessions.items():
            check(made[w], xs, session.run(xs))
        works = {w: partial(session.run, xs) for w, session in sessions.items()}
        times = common.interleaved_ms(works, seconds=seconds)
        us = {w: t["median"] * 1e3 / STEPS for w, t in times.items()}
        limit = {w: count * outputs * BITS[w] / 8 / limits[w] / 1e3 for w in sessions}
        found.append({"outputs": outputs, "inputs": inputs, "activity": activity, "us": us, "limit_us": limit})
    return found


def judge(row: dict[str, Any]) -> dict[str, bool]:
    """Return which goals a row meets: name -> met, only those that apply."""
    us, limit, met = row["us"], row["limit_us"], {}
    for w in us:
        size = row["outputs"] * row["inputs"] * BITS[w] // 8
        if row["activity"] >= FROM_ACTIVITY and size >= FROM_BYTES:
            met[f"{w} within {TIMES_LIMIT:g} x the limit"] = us[w] <= TIMES_LIMIT * limit[w]
    if "int4" in us:
        past = row["outputs"] * row["inputs"] > L2_BYTES
        wanted = INT4_SPEED_PAST_L2 if past else INT4_SPEED
        met[f"int4 at {wanted:g} x int8's speed"] = us["int8"] / us["int4"] >= wanted
    return met


def show(row: dict[str, Any]) -> None:
    """Print a line."""
    text = f"{row['outputs']:>5} x {row['inputs']:<5}{row['activity']:7.1%}"
    for w in BITS:
        if w in row["us"]:
            text += f"   {w} {row['us'][w]:8.2f} us {row['us'][w] / row['limit_us'][w]:5.2f} x limit"
        else:
            text += f"   {w} not possible yet: quantize gives another precision"
    if "int4" in row["us"]:
        text += f"   int4/int8 speed {row['us']['int8'] / row['us']['int4']:5.2f}"
    short = [name for name, met in row["goals"].items() if not met]
    print(text + ("   SHORT: " + ", ".join(short) if short else ""))


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.3, help="time spent on each line")
    args = parser.parse_args()
    found = []
    for shape in SHAPES:
        for row in rows(shape, args.seconds):
            row["goals"] = judge(row)
            show(row)
            found.append(row)
    met = [ok for row in found for ok in row["goals"].values()]
    print(f"{sum(met)} of {len(met)} goals met")
    common.record("executor", {"spike_matrices": found})


if __name__ == "__main__":
    main()
