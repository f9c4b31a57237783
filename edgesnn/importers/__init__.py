"""Models of other people's tools, read into our document (docs/import.md).

`nir/` reads NIR files (`import_nir`, extra `nir`), `spikegpt.py` checkpoints of SpikeGPT and RWKV-4 (`import_spikegpt`,
`import_rwkv4`), `torch_modules.py` live modules of torch's spiking frameworks (`from_torch`). Start at
`nir/importer.py`. Imports graph, runtime and the ground floor; h5py only in a child process, torch only in
`torch_modules.py` and `checkpoint.py`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgesnn.importers.nir import import_nir
    from edgesnn.importers.spikegpt import import_rwkv4, import_spikegpt
    from edgesnn.importers.torch_modules import from_torch

_PUBLIC = {
    "from_torch": "edgesnn.importers.torch_modules",
    "import_nir": "edgesnn.importers.nir",
    "import_rwkv4": "edgesnn.importers.spikegpt",
    "import_spikegpt": "edgesnn.importers.spikegpt",
}

__all__ = ["from_torch", "import_nir", "import_rwkv4", "import_spikegpt"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'edgesnn.importers' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
