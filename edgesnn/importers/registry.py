"""The importers by the name that `edgesnn import --from` takes. In-tree ones; each returns a `Document`."""

from __future__ import annotations

from collections.abc import Callable

from edgesnn.errors import UsageError
from edgesnn.graph import Document
from edgesnn.variants import Variants

IMPORTERS = {
    "nir": "edgesnn.importers.nir:import_nir",
    "rwkv4": "edgesnn.importers.spikegpt:import_rwkv4",
    "spikegpt": "edgesnn.importers.spikegpt:import_spikegpt",
}
_VARIANTS = Variants(IMPORTERS)


def find(name: str) -> Callable[..., Document]:
    """Return an importer.

    Raises:
        UsageError: there is none of that name; the error lists them.
    """
    importer: Callable[..., Document] | None = _VARIANTS.find(name)
    if importer is None:
        raise UsageError("no such importer", where="--from", found=repr(name), expected=", ".join(IMPORTERS))
    return importer
