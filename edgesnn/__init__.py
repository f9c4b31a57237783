"""Event-camera and streaming edge runtime: stateful spiking models, step by step, exact, published over MQTT.

Start with `edgesnn.open` (recordings and live sources), `edgesnn.load` (models) and `edgesnn.Pipeline` (from one to
the other). Every public name is imported when it is first used (PEP 562): `import edgesnn` itself imports neither numpy
nor the native module.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgesnn.version import __version__

if TYPE_CHECKING:
    from edgesnn.errors import (
        BackendError,
        ConfigError,
        EdgeSnnError,
        ModelError,
        PublishError,
        RecordingError,
        UsageError,
    )
    from edgesnn.events.decoder import Decoder
    from edgesnn.events.opening import open
    from edgesnn.events.recording import Recording
    from edgesnn.events.sources.live import LiveSource
    from edgesnn.events.types import EVENT
    from edgesnn.events.writing import Writer, write
    from edgesnn.pipeline import Pipeline, TokenStream
    from edgesnn.prediction import Prediction
    from edgesnn.runtime import Model, Session, load

_PUBLIC = {
    "BackendError": "edgesnn.errors:BackendError",
    "ConfigError": "edgesnn.errors:ConfigError",
    "Decoder": "edgesnn.events.decoder:Decoder",
    "EVENT": "edgesnn.events.types:EVENT",
    "EdgeSnnError": "edgesnn.errors:EdgeSnnError",
    "LiveSource": "edgesnn.events.sources.live:LiveSource",
    "Model": "edgesnn.runtime:Model",
    "ModelError": "edgesnn.errors:ModelError",
    "Pipeline": "edgesnn.pipeline:Pipeline",
    "Prediction": "edgesnn.prediction:Prediction",
    "PublishError": "edgesnn.errors:PublishError",
    "Recording": "edgesnn.events.recording:Recording",
    "RecordingError": "edgesnn.errors:RecordingError",
    "Session": "edgesnn.runtime:Session",
    "TokenStream": "edgesnn.pipeline:TokenStream",
    "UsageError": "edgesnn.errors:UsageError",
    "Writer": "edgesnn.events.writing:Writer",
    "load": "edgesnn.runtime:load",
    "open": "edgesnn.events.opening:open",
    "write": "edgesnn.events.writing:write",
}

__all__ = [
    "EVENT",
    "BackendError",
    "ConfigError",
    "Decoder",
    "EdgeSnnError",
    "LiveSource",
    "Model",
    "ModelError",
    "Pipeline",
    "Prediction",
    "PublishError",
    "Recording",
    "RecordingError",
    "Session",
    "TokenStream",
    "UsageError",
    "Writer",
    "__version__",
    "load",
    "open",
    "write",
]


def __getattr__(name: str) -> Any:
    target = _PUBLIC.get(name)
    if name == "_native":  # `from edgesnn import _native` asks here first, then looks for a file of that name
        import_module("edgesnn.native_file").check()
    if target is None:
        raise AttributeError(f"module 'edgesnn' has no attribute {name!r}")
    module, _, attribute = target.partition(":")
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
