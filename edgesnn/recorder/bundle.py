"""A bundle: a file with a stretch of a stream, the state before it, and what was published of it (docs/recorder.md)."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgesnn.errors import ConfigError, ModelError, PublishError, RecordingError
from edgesnn.events.formats.base import printable
from edgesnn.events.types import EVENT
from edgesnn.graph import container
from edgesnn.graph.document import canonical
from edgesnn.pipeline.tap import Arrays, joined
from edgesnn.prediction import Prediction
from edgesnn.publish.topics import check_level
from edgesnn.recorder import sealed
from edgesnn.recorder.ring import Recording

VERSION = 1
KEY = "edgesnn.bundle"
SUFFIX = ".bundle"
MOST_BYTES = 1 << 30
MOST_DECISIONS = 10_000_000
MOST_PUBLISHED = 250_000
"""More than a ring of the largest memory counts in (`ring.PREDICTION_BYTES`)."""
_BEGINS = f'{{"__metadata__":{{"{KEY}":'.encode()
_TENSORS = {
    "events": {"start": "|u1", "published": "|u1", "packets": "<i8", "events": "|u1"},
    "tokens": {"start": "|u1", "published": "|u1", "lines": "<i8", "text": "|u1", "idle_ms": "<f8"},
}
_COLUMNS = {"packets": 3, "lines": 2, "events": EVENT.itemsize}
_FIELDS: Mapping[str, Any] = {
    "version": int,
    "edgesnn": str,
    "kind": str,
    "stream": str,
    "trigger": str,
    "why": (str, type(None)),
    "made": str,
    "decisions": int,
    "model": dict,
    "config": dict,
}


@dataclass(frozen=True, eq=False)
class Bundle:
    """What the file says.

    Attributes:
        path: of the file, for messages.
        about: its JSON document.
        start: snapshot of the pipeline or stream of lines before the stretch.
        taken: as the tap of its kind gave them.
        published: predictions, in order.
    """

    path: str
    about: Mapping[str, Any]
    start: bytes
    taken: Arrays
    published: tuple[Prediction, ...]

    @property
    def kind(self) -> str:
        """ "events" or "tokens"."""
        return str(self.about["kind"])


def is_bundle(path: str | os.PathLike[str]) -> bool:
    """Say whether a file begins like a bundle."""
    try:
        head = bytes(sealed.load_head(Path(path), 8 + len(_BEGINS)))
    except OSError:
        return False
    return head[8:] == _BEGINS


def encode(about: Mapping[str, Any], recording: Recording) -> list[bytes | memoryview]:
    """Return the bytes of a bundle, in parts.

    Args:
        about: the document's fields of docs/recorder.md, but those of the recording itself.
        recording: what the ring held.
    """
    taken = joined(recording.taken)
    if "events" in taken:
        taken["events"] = taken["events"].view(np.uint8).reshape(-1, EVENT.itemsize)
    lines = "".join(f"{prediction.to_json()}\n" for prediction in recording.published).encode("utf-8", "surrogatepass")
    arrays = {
        "start": np.frombuffer(recording.start.encode(), np.uint8),
        "published": np.frombuffer(lines, np.uint8),
        **taken,
    }
    document = {"version": VERSION, "decisions": recording.decisions, **about}
    return sealed.seal(arrays, {KEY: canonical(document)})


def read(path: str | os.PathLike[str]) -> Bundle:
    """Return the bundle of a file.

    Raises:
        RecordingError: it cannot be read, is none, is damaged, of a newer version, or contradicts itself.
    """
    where = printable(os.fspath(path))
    try:
        metadata, arrays = sealed.unseal(sealed.load(Path(path), MOST_BYTES), where)
        if KEY not in metadata:
            raise _wrong("not a bundle", where, expected=f"metadata {KEY!r}")
        about = container.parse_json(metadata[KEY], where)
    except OSError as error:
        raise _wrong("cannot read the bundle", where, error.strerror or str(error)) from None
    except ModelError as error:
        hint = "the file is cut or damaged" if error.what != "no checksum" else "the file is no bundle"
        raise RecordingError(
            error.what, where=error.where, found=error.found, expected=error.expected, hint=error.hint or hint
        ) from None
    _check_about(about, where)
    _check_arrays(arrays, about["kind"], where)
    taken = {name: array for name, array in arrays.items() if name not in ("start", "published")}
    if "events" in taken:
        taken["events"] = np.ascontiguousarray(taken["events"]).reshape(-1).view(EVENT)
    published = _predictions(arrays["published"].tobytes(), about["decisions"], where)
    return Bundle(os.fspath(path), about, arrays["start"].tobytes(), taken, published)


def _check_about(about: Mapping[str, Any], where: str) -> None:
    version = about.get("version")
    if type(version) is not int or version != VERSION:
        raise _wrong("a bundle of another version", where, repr(version)[:40], str(VERSION))
    for name, kind in _FIELDS.items():
        if not isinstance(about.get(name), kind) or isinstance(about[name], bool):
            raise _wrong(f"the field {name!r} is not what it must be", where, repr(about.get(name))[:80])
    try:
        check_level(about["stream"], "stream")
    except ConfigError as error:
        raise _wrong(error.what, where, error.found, error.expected) from None
    if about["kind"] not in _TENSORS:
        raise _wrong("neither events nor tokens", where, repr(about["kind"])[:40])
    if not 0 <= about["decisions"] <= MOST_DECISIONS:
        raise _wrong("not a number of decisions", where, str(about["decisions"])[:40], f"0 to {MOST_DECISIONS}")


def _check_arrays(arrays: Arrays, kind: str, where: str) -> None:
    wanted = _TENSORS[kind]
    for name in sorted(arrays.keys() ^ wanted.keys()):
        raise _wrong(f"the tensor {name!r} is {'unknown' if name in arrays else 'missing'}", where)
    for name, dtype in wanted.items():
        array, columns = arrays[name], _COLUMNS.get(name)
        inner = () if columns is None else (columns,)
        if array.dtype.str != dtype or array.ndim != 1 + len(inner) or array.shape[1:] != inner:
            raise _wrong(f"the tensor {name!r} is another", where, f"{array.dtype} {list(array.shape)[:4]}", dtype)
    sizes = arrays["packets"][:, [0, 2]] if kind == "events" else arrays["lines"]
    held = len(arrays["events"] if kind == "events" else arrays["text"])
    parts = sizes[:, 0] if kind == "events" else sizes.reshape(-1)
    if (sizes < 0).any() or (sizes > 1 << 48).any() or (parts > held).any() or int(parts.sum()) != held:
        raise _wrong("packets or lines that are not what is there", where)
    if kind == "tokens" and len(arrays["idle_ms"]) != len(sizes):
        raise _wrong("the tensor 'idle_ms' is another", where, str(len(arrays["idle_ms"])), str(len(sizes)))


def _predictions(data: bytes, decisions: int, where: str) -> tuple[Prediction, ...]:
    found: list[Prediction] = []
    for number, line in enumerate(io.BytesIO(data)):
        if number == min(decisions, MOST_PUBLISHED):
            raise _wrong("more predictions than decisions", where, expected=f"{number} at most")
        try:
            record = json.loads(line)
            window = record.get("window") if isinstance(record, dict) else None
            if type(window) is not int or not 0 <= window < 1 << 63:
                raise ValueError("no prediction")
            found.append(Prediction.from_dict(record))
        except (ValueError, TypeError, OverflowError, RecursionError, PublishError) as error:
            what = f"the published prediction {number} is none"
            raise _wrong(what, where, str(getattr(error, "found", None) or error)[:120]) from None
    return tuple(found)


def _wrong(what: str, where: str, found: str | None = None, expected: str | None = None) -> RecordingError:
    return RecordingError(what, where=where, found=found, expected=expected)
