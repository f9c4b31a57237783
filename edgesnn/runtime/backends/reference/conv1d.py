"""conv1d: see `convolution`."""

from edgesnn.runtime.backends.reference.convolution import Convolution


class Conv1d(Convolution):
    """See `edgesnn.graph.operators.conv1d`."""
