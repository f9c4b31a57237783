"""Imported only where the compiled module is missing: an extension module of this name comes before this file."""

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from edgesnn.errors import BackendError

OTHERS = sorted(path.name for path in Path(__file__).parent.glob("_native.*.so"))

raise BackendError(
    "the native module is of another Python or processor" if OTHERS else "the native module was not built",
    where="edgesnn._native",
    found=", ".join(OTHERS) or None,
    expected=f"_native{EXTENSION_SUFFIXES[0]} beside the Python files",
    hint="install the package again with this Python",
)
