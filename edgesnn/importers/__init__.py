"""Models of other people's tools, read into our document (docs/import.md).

`nir/` reads NIR files (`import_nir`, extra `nir`), `torch_modules.py` live modules of torch's spiking frameworks
(`from_torch`). Start at `nir/importer.py`. Imports graph and the ground floor; h5py only in a child process, torch
only in `torch_modules.py`.
"""
