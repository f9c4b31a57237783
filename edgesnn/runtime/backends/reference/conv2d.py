"""conv2d: see `convolution`."""

from edgesnn.runtime.backends.reference.convolution import Convolution


class Conv2d(Convolution):
    """See `edgesnn.graph.operators.conv2d`."""
