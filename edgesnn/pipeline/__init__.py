"""`Pipeline`: drives the native chain (`native/pipeline`) from a source to predictions (docs/pipeline.md).

Start at `pipeline.py`. `source.py` reads, `pace.py` keeps a recording's pace, `session_model.py` puts a model of any
backend into the chain, `records.py` makes the predictions, `threads.py` is the threaded mode. `token_stream.py`
is the same for lines of text (docs/tokens.md). Imports runtime, encode, tokens, events and the ground floor.
"""

from edgesnn.pipeline.pipeline import Pipeline
from edgesnn.pipeline.threads import Ring
from edgesnn.pipeline.token_stream import TokenStream

__all__ = ["Pipeline", "Ring", "TokenStream"]
