"""The model file: document, builder, reading, writing, validation (docs/model-file.md).

Start at `document.py` (what a model is), then `builder.py` (how one is made), `analysis.py` (what is checked),
`operators/` (the rules) and `container.py` (the bytes). Imports numpy and the ground floor only.
"""

from edgesnn.graph.analysis import Analysis
from edgesnn.graph.builder import Builder
from edgesnn.graph.document import FORMAT_VERSION, Document, read
from edgesnn.graph.fields import with_filters
from edgesnn.graph.head import with_head
from edgesnn.graph.readout import with_readout
from edgesnn.graph.tensors import Int4
from edgesnn.graph.tokenizer import with_alert, with_tokenizer
from edgesnn.graph.values import Node, NodeView, StateType, Tensor, ValueType

__all__ = [
    "FORMAT_VERSION",
    "Analysis",
    "Builder",
    "Document",
    "Int4",
    "Node",
    "NodeView",
    "StateType",
    "Tensor",
    "ValueType",
    "read",
    "with_alert",
    "with_filters",
    "with_head",
    "with_readout",
    "with_tokenizer",
]
