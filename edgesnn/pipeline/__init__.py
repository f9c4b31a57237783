"""`Pipeline`: drives the native chain (`native/pipeline`) from a source to predictions (docs/pipeline.md).

Start at `pipeline.py`. `source.py` reads, `pace.py` keeps a recording's pace, `session_model.py` puts a model of any
backend into the chain, `records.py` makes the predictions, `threads.py` is the threaded mode. Imports runtime, encode,
events and the ground floor.
"""

from edgesnn.pipeline.pipeline import Pipeline
from edgesnn.pipeline.threads import Ring

__all__ = ["Pipeline", "Ring"]
