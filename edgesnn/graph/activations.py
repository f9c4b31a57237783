"""The same weights with other activations: what integer matrices do with graded (float32) input."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from edgesnn.errors import UsageError
from edgesnn.graph.document import FORMAT_VERSION, Document
from edgesnn.graph.layout import weight_layout
from edgesnn.graph.tensors import free_name, store


def with_activations(document: Document, activations: str) -> Document:
    """Return the document whose integer matrices take graded input as "float32" (nothing rounded) or "int8".

    Only `linear` can quantise its input; int8 weights are stored anew, as the kernels of the other form read them (a
    tensor that several nodes share, for each by itself). A document that has no such matrix is returned as it is; else
    the new one is another model, with its own identity.

    Raises:
        UsageError: activations is neither.
    """
    if activations not in ("float32", "int8"):
        raise UsageError(
            "activations are not known", where="activations", found=repr(activations), expected="float32, int8"
        )
    nodes, tensors = list(document.nodes), dict(document.tensors)
    uses = Counter(name for node in nodes for name in node.tensors.values())
    for i, node in enumerate(document.nodes):
        if node.op != "linear" or node.attributes["activations"] in ("int", activations):
            continue
        name = node.tensors["weight"]
        weight = document.tensors[name]
        if weight.number == "float32":
            continue
        layout = weight_layout(weight.number, activations)
        own = name
        if layout != weight.layout:
            own = name if uses[name] == 1 else free_name(f"{node.name}.weight", tensors)
            uses[name] -= 1
            tensors[own] = store(document.unpack(name), layout)
        attributes = {**node.attributes, "activations": activations}
        nodes[i] = replace(node, attributes=attributes, tensors={**node.tensors, "weight": own})
    if nodes == list(document.nodes):
        return document
    return replace(document, nodes=tuple(nodes), tensors=tensors, format_version=FORMAT_VERSION)
