"""Running models: `load`, `Model` (immutable), `Session` (one state), and the backends under them.

Start at `model.py` and `session.py`; `snapshot.py` is how a state becomes bytes; `backends/reference` is the readable
executor, `backends/native.py` the door to the fast one. Imports graph, encode and the ground floor; never torch.
"""

from edgesnn.runtime.model import Model, load
from edgesnn.runtime.session import Session

__all__ = ["Model", "Session", "load"]
