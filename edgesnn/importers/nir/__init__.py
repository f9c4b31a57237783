"""NIR files to models: `child.py` (HDF5, the worker's side), `reader.py` (what it found, checked), `flatten.py`
(subgraphs, cycles), `shapes.py`, `profiles.py` (neurons as each framework runs them), `layers.py`, `importer.py`.
"""

from edgesnn.importers.nir.importer import import_nir

__all__ = ["import_nir"]
