"""The formats that a model can be exported to, by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from edgesnn.errors import BackendError, UsageError
from edgesnn.graph import Document
from edgesnn.packages import missing
from edgesnn.variants import Variants

Exporter = Callable[[Document, str | os.PathLike[str], str], dict[str, Any]]
"""Writes a document to a path in a form of the format, and returns what is in the file."""

EXPORTERS = {"onnx": "edgesnn.exporters.onnx.model:export"}
LEAST = {"onnx": (1, 16)}
"""Of each format the oldest version of the package that it needs; the package and our extra are named as the format."""

_VARIANTS = Variants(EXPORTERS)


def find(name: str) -> Exporter:
    """Return the function that writes a document to a path.

    Raises:
        BackendError: what the format needs is not installed, too old, or cannot be imported.
        UsageError: there is no such format.
    """
    if name in LEAST and (why := missing(name, LEAST[name], f"pip install 'edgesnn[{name}]'")) is not None:
        raise BackendError("format cannot be written here", where=f"--to {name}", found=why)
    exporter: Exporter | None = _VARIANTS.find(name)
    if exporter is None:
        raise UsageError("format is not known", where="--to", found=repr(name), expected=", ".join(EXPORTERS))
    return exporter
