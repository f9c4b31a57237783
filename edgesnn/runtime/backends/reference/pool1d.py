"""pool1d: see `pooling`."""

from edgesnn.runtime.backends.reference.pooling import Pooling


class Pool1d(Pooling):
    """See `edgesnn.graph.operators.pool1d`."""
