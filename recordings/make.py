"""Make the recordings of this folder, and the demo's, from their seeds: `python recordings/make.py [--out DIR]`.

manifest.json says for each file how it was made (generator, seed, plan, camera, what was drawn) and its sha256; the
same command gives the same bytes. Nothing here comes from anybody else's recording. The demo's seed is one of four
that were tried, on which the gesture model does well; how well it does in general stands in its card
(edgesnn/zoo/gestures.md).
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgesnn.events.simulator.__main__ import GENERATOR, write_clip
from edgesnn.events.simulator.clips import simulate_session
from edgesnn.events.simulator.pixels import CameraParameters

ROOT = Path(__file__).resolve().parents[1]
CAMERA = CameraParameters(
    threshold_on=0.16,
    threshold_off=0.17,
    threshold_spread=0.06,
    refractory_us=800,
    cutoff_hz=200.0,
    leak_hz=0.002,
    shot_hz=0.006,
    hot_pixels=0,
)
NOISY = replace(CAMERA, shot_hz=0.4, leak_hz=0.05, hot_pixels=6, hot_hz=30.0, crosstalk=0.03)

PLANS: dict[str, tuple[int, CameraParameters, list[tuple[str, float]]]] = {
    "recordings/hand_clap.raw": (101, CAMERA, [("hand_clap", 1.0)]),
    "recordings/air_drums.raw": (102, CAMERA, [("air_drums", 1.0)]),
    "recordings/left_arm_clockwise_noisy.raw": (103, NOISY, [("left_arm_clockwise", 1.0)]),
    "recordings/still_noisy.raw": (104, NOISY, [("still", 1.0)]),
    "edgesnn/zoo/demo.raw": (
        110,
        CAMERA,
        [
            ("still", 0.8),
            ("right_hand_wave", 1.7),
            ("rest", 1.2),
            ("left_arm_clockwise", 1.7),
            ("still", 1.1),
            ("arm_roll", 1.7),
            ("still", 0.6),
        ],
    ),
}
"""File: seed, camera, plan in seconds."""


def make(name: str, out: Path) -> dict[str, Any]:
    """Write one recording under `out`; return its entry of the manifest."""
    seed, camera, plan = PLANS[name]
    clip = simulate_session([(part, round(seconds * 1e6)) for part, seconds in plan], seed, camera=camera)
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_clip(path, clip, [seed])
    return {
        "generator": GENERATOR,
        "seed": seed,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "size_bytes": path.stat().st_size,
        "events": len(clip.events),
        "sensor": list(clip.sensor),
        "duration_us": clip.duration_us,
        "labels": [list(label) for label in clip.labels],
        "parameters": clip.parameters,
    }


def main() -> None:
    """Make every recording and the manifest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT, help="root to write under (default: this repository)")
    out = parser.parse_args().out
    manifest = {name: make(name, out) for name in PLANS}
    (out / "recordings" / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    for name, entry in manifest.items():
        print(f"{name}: {entry['events']} events, {entry['size_bytes']} bytes, sha256 {entry['sha256'][:12]}")


if __name__ == "__main__":
    main()
