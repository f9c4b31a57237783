"""From a float32 model to an int8 or int4 one (numpy). `calibrate` runs it over recordings first."""

from edgesnn.quantize.calibrate import Calibration, calibrate
from edgesnn.quantize.weights import quantize

__all__ = ["Calibration", "calibrate", "quantize"]
