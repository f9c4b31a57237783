"""The importers by the name that `edgesnn import --from` takes. In-tree ones; each returns a `Document`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from edgesnn.errors import UsageError
from edgesnn.graph import Document

IMPORTERS = {
    "nir": "edgesnn.importers.nir:import_nir",
    "rwkv4": "edgesnn.importers.spikegpt:import_rwkv4",
    "spikegpt": "edgesnn.importers.spikegpt:import_spikegpt",
}


def find(name: str) -> Callable[..., Document]:
    """Return an importer.

    Raises:
        UsageError: there is none of that name; the error lists them.
    """
    if name not in IMPORTERS:
        raise UsageError("no such importer", where="--from", found=repr(name), expected=", ".join(IMPORTERS))
    module, _, attribute = IMPORTERS[name].partition(":")
    importer: Callable[..., Document] = getattr(import_module(module), attribute)
    return importer
