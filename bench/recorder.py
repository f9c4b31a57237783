"""What the flight recorder costs the thread that decides, in turns with the same stream without it.

    python bench/recorder.py [--events 4000000] [--repeats 7]

Two million events a second of sensor time, as quickly as they are decided on, through a pipeline with threads and the
model of the zoo; processor time of the thread that polls, so that a loaded machine is left out. And what the ring adds
to a decision: most add a look at a clock, a few the state of a new part. The answer is checked first: the same
predictions with the recorder and without, and from what it holds again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import edgesnn  # noqa: E402
from bench.common import record  # noqa: E402
from edgesnn.pipeline import Pipeline, Ring  # noqa: E402
from edgesnn.pipeline.bench import made_up_events  # noqa: E402
from edgesnn.prediction import Prediction  # noqa: E402
from edgesnn.recorder.ring import FlightRing, tap_bytes  # noqa: E402

MEMORY = 16_000_000
PACKET = 8192
SAME = ("window", "sensor", "decision", "label", "class", "confidence", "topk", "spikes", "synops")


def play(packets: list[Any], model: edgesnn.Model, recorded: bool) -> tuple[list[Prediction], float, list[float]]:
    """Return the predictions, seconds of processor time of this thread, and what each turn of the ring took in us."""
    made, turns = [], []
    with Pipeline(packets, model, threaded=Ring("block", 1 << 18)) as pipeline:
        ring = FlightRing(pipeline.tap(tap_bytes(MEMORY)), most_bytes=MEMORY, span_s=30.0) if recorded else None
        begun = time.thread_time()
        while not pipeline.ended:
            prediction = pipeline.poll(1000)
            if prediction is not None:
                made.append(prediction)
            if ring is not None:
                before = time.thread_time()
                if prediction is not None:
                    ring.add(prediction)
                ring.turn()
                turns.append((time.thread_time() - before) * 1e6)
        return made, time.thread_time() - begun, turns


def check(packets: list[Any], model: edgesnn.Model) -> None:
    """Stop unless the recorder changes nothing, and holds what gives the last predictions again."""
    plain, recorded = ([told(one) for one in play(packets, model, mode)[0]] for mode in (False, True))
    if plain != recorded or not plain:
        raise SystemExit("the recorder changes predictions")


def told(prediction: Prediction) -> dict[str, Any]:
    """Return what is compared of a prediction."""
    record = prediction.to_dict()
    return {name: record[name] for name in SAME}


def main() -> None:
    """Check, measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=4_000_000)
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    model = edgesnn.load("gestures")
    events = made_up_events(args.events, args.events // 2, model.sensor or (128, 128), 1)
    packets = np.array_split(events, max(1, len(events) // PACKET))
    check(packets, model)
    took: dict[bool, list[float]] = {False: [], True: []}
    turns: list[float] = []
    for _ in range(args.repeats):
        for mode, seconds in took.items():
            _, spent, each = play(packets, model, mode)
            seconds.append(spent)
            turns += each
    ratios = [b / a for a, b in zip(took[False], took[True], strict=True)]
    results = {
        "events": len(events),
        "ns_an_event": {"without": min(took[False]) / len(events) * 1e9, "with": min(took[True]) / len(events) * 1e9},
        "ratio_median": float(np.median(ratios)),
        "ratio_best": min(took[True]) / min(took[False]),
        "turn_us": {f"p{p}": float(np.percentile(turns, p)) for p in (50, 90, 99, 100)},
    }
    each_ns = results["ns_an_event"]
    print(
        f"{each_ns['without']:.1f} ns an event without, {each_ns['with']:.1f} with: "
        f"{results['ratio_best']:.3f} (best), {results['ratio_median']:.3f} (median of {args.repeats})"
    )
    print("a turn of the ring: " + ", ".join(f"{name} {value:.0f} us" for name, value in results["turn_us"].items()))
    print(json.dumps(record("recorder", results)))


if __name__ == "__main__":
    main()
