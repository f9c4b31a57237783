"""The backends side by side: spikes and decisions beside native's, and us per step.

    python bench/backends.py [digits gestures shakespeare loihi braille cnn ...] [--inputs 20] [--seconds 4]

Shipped models in float32, int8 and int4, and the conformance networks (`backend_cases.py`). Every spike of every layer
is compared with native's and the mismatches counted; so are the decisions. Then single steps are timed in turns, on one
thread and without accounting; the ratio is the backend's time over native's.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[i]) for i in (1, 0)]
import common  # noqa: E402

common.one_thread()

from backend_cases import NETWORKS, ZOO, Case, cases, compare  # noqa: E402

from edgesnn.errors import BackendError  # noqa: E402
from edgesnn.runtime.backends.registry import find  # noqa: E402
from edgesnn.runtime.model import Model  # noqa: E402


def timed(case: Case, backends: list[str], seconds: float) -> dict[str, Any]:
    """Return us per step of each backend: median, best, runs."""
    x = case.inputs[0]
    works = {}
    for backend in backends:
        session = Model(case.document, backend=backend).session(account=False)
        xs = x if case.document.input["kind"] == "points" else x[:20]
        steps = int(case.document.input["steps"]) if case.document.input["kind"] == "points" else len(xs)
        works[backend] = (common.repeated(session.run, xs), steps)
    return common.interleaved_us(works, seconds=seconds)


def bench(case: Case, backends: list[str], seconds: float) -> dict[str, Any]:
    """Compare, time, print and return one case."""
    agrees: dict[str, Any] = {}
    for backend in backends:
        try:
            agrees[backend] = compare(case, backend)
        except BackendError as error:
            print(f"{case.name:<20} {backend:<10} left out: {error}")
    us = timed(case, ["native", *agrees], seconds)
    native = us["native"]["median"]
    for backend, found in agrees.items():
        time = us[backend]["median"]
        print(
            f"{case.name:<20} {backend:<10} {found['mismatches']:>8,} of {found['values']:>12,} spikes differ,"
            f" {found['different']:>4,} of {found['decisions']:>5,} decisions;"
            f" {native:8.1f} us native, {time:9.1f} us, ratio {time / native:6.1f}",
            flush=True,
        )
    return {"name": case.name, "agrees": agrees, "us": us}


def main() -> None:
    """Run the models and networks named, or all."""
    known = (*ZOO, *NETWORKS)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"{', '.join(known)}; all of them if none is named")
    parser.add_argument(
        "--backends", nargs="+", default=["onnx", "tensorrt"], help="beside native (default: onnx and tensorrt)"
    )
    parser.add_argument(
        "--inputs", type=int, default=20, help="windows, samples, or tens of steps of each (default: 20)"
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="time spent on timing each")
    args = parser.parse_args()
    if unknown := set(args.names) - set(known):
        parser.error(f"no such model: {', '.join(sorted(unknown))}")
    usable = []
    for backend in args.backends:
        reason = find(backend).available()
        print(f"{backend} is missing: {reason}") if reason else usable.append(backend)
    found = [bench(case, usable, args.seconds) for case in cases(args.names or list(known), args.inputs)]
    common.record("backends", {"inputs": args.inputs, "versions": _versions(), "cases": found})


def _versions() -> dict[str, str]:
    from importlib import metadata

    versions = {}
    for name in ("onnx", "onnxruntime", "tensorrt"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "missing"
    return versions


if __name__ == "__main__":
    main()
