"""Imported only where the compiled module is missing: an extension module of this name comes before this file."""

from edgesnn.errors import BackendError

raise BackendError(
    "the native module was not built",
    where="edgesnn._native",
    expected="a compiled module beside the Python files",
    hint="install the package again with this Python",
)
