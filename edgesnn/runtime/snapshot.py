"""Snapshots as bytes: a safetensors file with metadata `edgesnn.snapshot` (docs/snapshot.md).

Tensors are named `section/name`. Logical shapes, little-endian: portable between backends, arms and machines.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError
from edgesnn.graph import container
from edgesnn.graph.document import canonical

VERSION = 1
KEY = "edgesnn.snapshot"
WHERE = "snapshot"
Arrays = dict[str, npt.NDArray[Any]]


def encode(arrays: Mapping[str, npt.NDArray[Any]], model: str, sections: Sequence[str]) -> bytes:
    """Return a snapshot's bytes.

    Args:
        arrays: by `section/name`; copied.
        model: the model's identity.
        sections: all sections, also those without a tensor.
    """
    header, blobs = container.encode(arrays, {KEY: about(model, sections)})
    return b"".join([header, *blobs])


def about(model: str, sections: Sequence[str]) -> str:
    """Return the metadata of a snapshot."""
    return canonical({"version": VERSION, "model": model, "sections": list(sections)})


def decode(blob: bytes, model: str, sections: Collection[str]) -> Arrays:
    """Return the arrays by `section/name` (read-only).

    Args:
        blob: what `encode` gave.
        model: identity that it must have.
        sections: exactly those that it must have.

    Raises:
        ModelError: no bytes, damaged bytes, another model, a newer version, a missing or unknown section.
    """
    try:
        data = np.frombuffer(blob, dtype=np.uint8)
    except (TypeError, ValueError, BufferError):
        found = type(blob).__name__
        raise ModelError("snapshot is not bytes", where=WHERE, found=found, expected="what snapshot() gave") from None
    metadata, arrays = container.parse(data, WHERE)
    if KEY not in metadata:
        raise ModelError("not a snapshot", where=WHERE, expected=f"metadata {KEY!r}")
    said = container.parse_json(metadata[KEY], WHERE)
    version = said.get("version")
    if type(version) is not int or version != VERSION:
        raise ModelError("snapshot of another version", where=WHERE, found=repr(version), expected=str(VERSION))
    if said.get("model") != model:
        found = f"model {str(said.get('model'))[:64]}"
        raise ModelError("snapshot is another model's", where=WHERE, found=found, expected=f"model {model}")
    present = said.get("sections")
    inside = {name.partition("/")[0] for name in arrays}
    if not isinstance(present, list) or sorted(map(str, present)) != sorted(sections) or inside - set(sections):
        raise ModelError("snapshot has other sections", where=WHERE, found=str(present), expected=str(sorted(sections)))
    return arrays


def check_tensors(arrays: Arrays, wanted: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]) -> None:
    """Check that a snapshot's tensors are exactly those wanted, with their types and shapes.

    Raises:
        ModelError: names the first that is missing, unknown or different.
    """
    for name in sorted(arrays.keys() ^ wanted.keys()):
        state = "unknown" if name in arrays else "missing"
        raise ModelError(f"snapshot tensor is {state}", where=f"{WHERE}, {name}")
    for name, (dtype, shape) in wanted.items():
        if (arrays[name].dtype, arrays[name].shape) != (dtype, shape):
            found = f"{arrays[name].dtype} {list(arrays[name].shape)}"
            expected = f"{dtype} {list(shape)}"
            raise ModelError("snapshot tensor differs", where=f"{WHERE}, {name}", found=found, expected=expected)
