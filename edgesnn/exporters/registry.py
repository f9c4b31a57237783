"""The formats that a model can be exported to, by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from edgesnn.errors import BackendError, UsageError
from edgesnn.graph import Document
from edgesnn.variants import Variants

Exporter = Callable[[Document, str | os.PathLike[str], str], dict[str, Any]]
"""Writes a document to a path in a form of the format, and returns what is in the file."""

EXPORTERS = {"onnx": "edgesnn.exporters.onnx.model:export"}
_VARIANTS = Variants(EXPORTERS)


def find(name: str) -> Exporter:
    """Return the function that writes a document to a path.

    Raises:
        BackendError: what the format needs is not installed.
        UsageError: there is no such format.
    """
    try:
        exporter: Exporter | None = _VARIANTS.find(name)
    except ModuleNotFoundError as error:
        hint = f"pip install 'edgesnn[{name}]'"
        raise BackendError("a package is not installed", where=f"--to {name}", found=str(error), hint=hint) from error
    if exporter is None:
        raise UsageError("format is not known", where="--to", found=repr(name), expected=", ".join(EXPORTERS))
    return exporter
