"""Events as models take them: grouped points (`points.py`) and spikes of time steps (`spikes.py`, on the bins of
`grid.py`); `native.py` is the door to the fast forms. `arrays.py`: windows as dense arrays for any other use.
The names here are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgesnn.encode.arrays import (
        ArrayStream,
        ArrayWindow,
        Encoder,
        EncoderLike,
        encode_array,
        encode_windows,
        parse_encoder,
    )

__all__ = ["ArrayStream", "ArrayWindow", "Encoder", "EncoderLike", "encode_array", "encode_windows", "parse_encoder"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'edgesnn.encode' has no attribute {name!r}")
    return getattr(import_module("edgesnn.encode.arrays"), name)
