"""The backends by name, and the choice of one."""

from __future__ import annotations

import warnings

from edgesnn.errors import BackendError
from edgesnn.runtime.backends.base import Backend
from edgesnn.variants import Variants

BACKENDS = {
    "native": "edgesnn.runtime.backends.native:NativeBackend",
    "onnx": "edgesnn.runtime.backends.onnx:OnnxBackend",
    "reference": "edgesnn.runtime.backends.reference.engine:ReferenceBackend",
    "tensorrt": "edgesnn.runtime.backends.tensorrt:TensorrtBackend",
}
_VARIANTS = Variants(BACKENDS)


def find(name: str) -> Backend:
    """Return the backend of that name, whether it can run here or not.

    Raises:
        BackendError: there is none of that name.
    """
    kind = _VARIANTS.find(name)
    if kind is None:
        known = ", ".join(("auto", *BACKENDS))
        raise BackendError("backend is not known", where="backend", found=repr(name), expected=known)
    backend: Backend = kind()
    return backend


def choose(name: str) -> tuple[str, Backend]:
    """Return (name, backend): the one asked for, or for "auto" native, else reference with one warning.

    Raises:
        BackendError: the one asked for by name cannot run here.
    """
    wanted = "native" if name == "auto" else name
    backend = find(wanted)
    reason = backend.available()
    if reason is None:
        return wanted, backend
    if name != "auto":
        raise BackendError("backend cannot run here", where=f"backend {wanted!r}", found=reason)
    warnings.warn(f"backend 'native' cannot run here ({reason}); using 'reference', which is slow", stacklevel=3)
    return "reference", find("reference")
