"""From a float32 model to an int8 or int4 one (numpy). Imports the graph room only."""

from edgesnn.quantize.weights import quantize

__all__ = ["quantize"]
