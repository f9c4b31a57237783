"""Types of the native module: one stub a room, as its bindings file has it."""

from edgesnn._native import encode as encode
from edgesnn._native import events as events
from edgesnn._native import executor as executor
from edgesnn._native import pipeline as pipeline
