"""pool2d: see `pooling`."""

from edgesnn.runtime.backends.reference.pooling import Pooling


class Pool2d(Pooling):
    """See `edgesnn.graph.operators.pool2d`."""
