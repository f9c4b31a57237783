"""What one machine made, another makes again, bit for bit: sessions, streams with snapshots, recorded bundles.

`python -m tests.exchange write FOLDER` on the one, `... check FOLDER` on the other.
The folder holds the models, inputs and snapshots beside what came of them, so nothing is drawn twice.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

import edgesnn
from bench.spikepoint_net import document as spikepoint
from edgesnn import _native
from edgesnn.daemon.schema import Stream
from edgesnn.encode.points import PointWindow
from edgesnn.graph import Document
from edgesnn.pipeline import Pipeline
from edgesnn.quantize import quantize
from edgesnn.recorder import bundle
from edgesnn.recorder.check import differences, model_of
from edgesnn.runtime import Session
from tests.flights import Flight
from tests.graphs import random_document, random_images, random_inputs
from tests.property.test_executor_equal import same as same_bits
from tests.small_models import small_document, spikes_document
from tests.token_models import writer
from tests.walks import same, write_recording

SMALL = {"points": 64, "groups": 16, "neighbours": 8, "steps": 4, "classes": 3, "voters": 4, "widths": (8, 16, 16, 32)}
DEMO = Path(edgesnn.__file__).parent / "zoo" / "demo.raw"
LOG = "app.log"
BEFORE, AFTER = 2, 3  # predictions before a snapshot and behind it


@dataclass(frozen=True)
class Flown:
    """A stream: its model, its source, its keys (docs/daemon.md)."""

    model: str
    source: str
    keys: dict[str, Any]


FLIGHTS = {
    "points": Flown("points", "walk.bin", {}),
    "filtered": Flown(
        "points", "walk.bin", {"window_events": 500, "hop_events": 300, "filters": ["refractory:period=1ms"]}
    ),
    "never-reset": Flown("spikes", "walk.bin", {"adapt": "downsample", "sensor": "128x128"}),
    "shipped-float32": Flown("gestures-float32", "demo.raw", {}),
    "shipped-int8": Flown("gestures", "demo.raw", {}),
    "shipped-int4": Flown("gestures-int4", "demo.raw", {}),
    "lines-float32": Flown("writer-float32", LOG, {"threshold": 5.0}),
    "lines-int8": Flown("writer-int8", LOG, {"key": 0, "sessions": 3, "publish_text": True}),
    "lines-int4": Flown("writer-int4", LOG, {"reset": {"policy": "never", "idle": "5ms"}}),
}


def models() -> Iterator[tuple[str, Document]]:
    """Yield the models of the streams, and others of each precision, by name."""
    yield "points", small_document()
    yield "spikes", spikes_document(hop_steps=20, reset="never")
    for name in ("gestures", "gestures-float32", "digits", "digits-float32", "shakespeare", "shakespeare-float32"):
        yield name, edgesnn.load(name).document
    gestures, text, net = edgesnn.load("gestures-float32").document, writer(), spikepoint(SMALL)
    yield "gestures-int4", quantize(gestures, "int4")
    for name, made in (("writer", text), ("spikepoint", net)):
        yield f"{name}-float32", made
        yield f"{name}-int8", quantize(made)
        yield f"{name}-int4", quantize(made, "int4")


def write(folder: Path, drawn: int = 30) -> None:
    """Fill the folder, which must not exist; `drawn` random graphs beside the models."""
    (folder / "models").mkdir(parents=True)
    for name, document in models():
        document.save(folder / "models" / f"{name}.safetensors")
    for seed in range(drawn):
        document = random_images(seed) if seed % 4 == 3 else random_document(seed, _native.executor.operators())
        document.save(folder / "models" / f"drawn-{seed}.safetensors")
    for number, path in enumerate(sorted((folder / "models").iterdir())):
        _write_session(path, number)
    write_recording(folder)
    (folder / "demo.raw").write_bytes(DEMO.read_bytes())
    words = np.random.default_rng(0)
    lines = [f"<{n % 5}> line {'abcdefg'[n % 7] * int(words.integers(0, 9))} of it" for n in range(60)]
    (folder / LOG).write_text("\n".join(lines) + "\n")
    for name, flown in FLIGHTS.items():
        _write_half(folder, name, flown)
        _write_bundle(folder, name, flown)
    (folder / "by.txt").write_text(here())


def check(folder: Path) -> list[str]:
    """Make everything again; a line for each that came out otherwise."""
    wrong = []
    for path in sorted((folder / "models").glob("*.safetensors")):
        wrong += _judged(f"session of {path.stem}", lambda path=path: _check_session(path))
    for name, flown in FLIGHTS.items():
        wrong += _judged(f"snapshot of {name}", lambda name=name, flown=flown: _check_half(folder, name, flown))
        wrong += _judged(f"bundle of {name}", lambda name=name, flown=flown: _check_bundle(folder, name, flown))
    return wrong


def here() -> str:
    """Return which machine and arm this is."""
    return f"{platform.machine()} ({_native.executor.arm()})"


def _judged(what: str, judge: Callable[[], None]) -> list[str]:
    try:
        judge()
    except (AssertionError, edgesnn.EdgeSnnError) as error:
        return [f"{what}: {error}"]
    return []


# --- sessions: outputs, a snapshot, outputs from there ---


def _write_session(path: Path, number: int) -> None:
    model = edgesnn.load(path)
    halves = [random_inputs(model.document, number + turn, steps=10) for turn in range(2)]
    session = model.session()
    arrays = {f"in{i}/{name}": array for i, half in enumerate(halves) for name, array in _named(half).items()}
    for i, half in enumerate(halves):
        arrays |= {f"out{i}/{name}": array for name, array in _results(session, half).items()}
        arrays[f"snapshot{i}"] = np.frombuffer(session.snapshot(), np.uint8)
    np.savez(path.with_suffix(".npz"), **arrays)


def _check_session(path: Path) -> None:
    model = edgesnn.load(path)
    with np.load(path.with_suffix(".npz")) as file:
        arrays = dict(file)
    alone, restored, theirs = model.session(), model.session(), model.session()
    for i in range(2):
        half = _unnamed(_below(arrays, f"in{i}/"))
        same_bits(_below(arrays, f"out{i}/"), _results(alone, half))
        if i:
            same_bits(_below(arrays, f"out{i}/"), _results(restored, half))
            same_bits(dict(alone.state), dict(restored.state))
        theirs.restore(arrays[f"snapshot{i}"].tobytes())
        same_bits(dict(theirs.state), dict(alone.state))
        restored.restore(arrays[f"snapshot{i}"].tobytes())


def _results(session: Session, xs: Any) -> dict[str, Any]:
    outputs = session.run(xs)
    named = outputs if isinstance(outputs, dict) else {"output": outputs}
    return {**named, "counts": np.array([session.spikes, session.synops, session.macs, session.step_number])}


def _named(xs: Any) -> dict[str, Any]:
    if isinstance(xs, PointWindow):
        return {field.name: np.asarray(getattr(xs, field.name)) for field in fields(xs)}
    return {"array": np.asarray(xs)}


def _unnamed(arrays: dict[str, Any]) -> Any:
    if "array" in arrays:
        return arrays["array"]
    return PointWindow(**{name: array if array.ndim else array.item() for name, array in arrays.items()})


def _below(arrays: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


# --- streams: predictions, a snapshot, predictions from there ---


def _write_half(folder: Path, name: str, flown: Flown) -> None:
    stream = _open(folder, flown)
    before = _predictions(folder, stream, 0, BEFORE)
    (folder / f"{name}.snapshot").write_bytes(stream.snapshot())
    after = _predictions(folder, stream, BEFORE, AFTER)
    (folder / f"{name}.json").write_text(json.dumps([before, after]))


def _check_half(folder: Path, name: str, flown: Flown) -> None:
    before, after = json.loads((folder / f"{name}.json").read_text())
    whole, rest = _open(folder, flown), _open(folder, flown)
    rest.restore((folder / f"{name}.snapshot").read_bytes())
    for first, wanted, stream in ((0, before + after, whole), (BEFORE, after, rest)):
        for one, found in zip(wanted, _predictions(folder, stream, first, len(wanted)), strict=True):
            _equal(one, found)


def _open(folder: Path, flown: Flown) -> Pipeline | edgesnn.TokenStream:
    model = edgesnn.load(_model(folder, flown))
    source = folder / flown.source
    keys = {key: value for key, value in flown.keys.items() if key not in ("sensor", "reset")}
    if flown.source == LOG:  # its lines are pushed: a place in a file is of one machine's file
        return edgesnn.TokenStream(None, model, **keys)
    return Pipeline(source, model, sensor=(128, 128) if flown.source == "walk.bin" else None, **keys)


def _predictions(folder: Path, stream: Pipeline | edgesnn.TokenStream, first: int, count: int) -> list[dict[str, Any]]:
    """Return the stream's next predictions; of lines those from line `first` on."""
    if isinstance(stream, Pipeline):
        made = [next(stream) for _ in range(count)]
    else:
        lines = (folder / LOG).read_bytes().splitlines()
        made = [stream.push(line) for line in lines[first : first + count]]
    taken: list[dict[str, Any]] = json.loads(json.dumps([same(one) for one in made]))
    return taken


def _equal(expected: dict[str, Any], found: dict[str, Any]) -> None:
    for key, value in expected.items():
        assert found[key] == value, f"window {expected['window']}: {key}: expected {value}, found {found[key]}"


# --- bundles: what a stream of the service recorded ---


def _write_bundle(folder: Path, name: str, flown: Flown) -> None:
    path = _model(folder, flown)
    stream = Stream(name=name, source=str(folder / flown.source), model=str(path), **flown.keys)
    (made,) = Flight(folder / "bundles" / name, stream, edgesnn.load(path), stop_after=BEFORE + AFTER).end()
    assert len(made.published) == BEFORE + AFTER


def _check_bundle(folder: Path, name: str, flown: Flown) -> None:
    (path,) = (folder / "bundles" / name).glob("*.bundle")
    made = bundle.read(path)
    found = list(differences(made, model_of(made, str(_model(folder, flown)))))
    assert not found, "; ".join(map(str, found))


def _model(folder: Path, flown: Flown) -> Path:
    return folder / "models" / f"{flown.model}.safetensors"


def main() -> int:
    """Write or check a folder; 1 where something came out otherwise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["write", "check"])
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    if options.verb == "write":
        write(options.folder)
        print(f"{options.folder}: made on {here()}")
        return 0
    wrong = check(options.folder)
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    sessions, by = len(list((options.folder / "models").glob("*.npz"))), (options.folder / "by.txt").read_text()
    print(f"{sessions} sessions, {len(FLIGHTS)} streams and their bundles made on {by}, made again on {here()}: "
          f"{len(wrong)} differ")  # fmt: skip
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
