"""An ONNX graph as it grows: nodes, constants, values in several types, and what one node of ours may ask.

Small integers ("int") are uint8, float32 or bool here, whichever the node that makes them has; a `Cast` is added once
where somebody needs another type. Nothing has a batch axis: shapes are those of docs/operators.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

from edgesnn.graph import Document, NodeView
from edgesnn.graph.layout import unpack

Array = npt.NDArray[Any]
Names = Mapping[str, str]

EXTRA = "com.microsoft"
"""Domain of onnxruntime's own operators."""

TYPES = {
    "bool": TensorProto.BOOL,
    "uint8": TensorProto.UINT8,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "float32": TensorProto.FLOAT,
}


_COUNTED = 18
"""The opset in which Split got the number of its parts, and ReduceMax its axes as an input."""


class Graph:
    """Nodes, constants and values of one step.

    Attributes:
        nodes: NodeProtos, in an order in which each one's inputs are made before it.
        constants: TensorProtos by name.
        first: name of a boolean that is true at step 0; asked for by `cold_start`, else None.
        rounds: whether a matrix rounds graded values to int8, so that last bits matter.
        finish: what is added when all values are there: delays take in what later nodes make.
        opset: the version of ONNX's own operators.
    """

    def __init__(self, document: Document, opset: int) -> None:
        self.document = document
        self.opset = opset
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.first: str | None = None
        self.rounds = any(_rounds(view) for _, view in document.analysis.operators)
        self.finish: list[Callable[[], None]] = []
        self._values: dict[str, dict[str, str]] = {}
        self._scalars: dict[tuple[str, bytes, tuple[int, ...]], str] = {}

    def op(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add an ONNX node of one output and return its name."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=f"n{name}", domain=domain, **attributes))
        return name

    def parts(self, tensor: str, count: int) -> list[str]:
        """Split the last axis in so many equal parts."""
        if count == 1:
            return [tensor]
        node = len(self.nodes)
        names = [f"t{node}.{i}" for i in range(count)]
        how: dict[str, Any] = {"axis": -1} if self.opset < _COUNTED else {"axis": -1, "num_outputs": count}
        self.nodes.append(helper.make_node("Split", [tensor], names, name=f"n{node}", **how))
        return names

    def cut(self, tensor: str, parts: Sequence[slice]) -> list[str]:
        """Cut the last axis in these parts, which follow each other."""
        if len(parts) == 1:
            return [tensor]
        node = len(self.nodes)
        names = [f"t{node}.{i}" for i in range(len(parts))]
        sizes = self.constant(np.array([part.stop - part.start for part in parts], np.int64))
        self.nodes.append(helper.make_node("Split", [tensor, sizes], names, name=f"n{node}", axis=-1))
        return names

    def largest(self, tensor: str, axis: int, keepdims: int) -> str:
        """Add the largest value along an axis."""
        if self.opset < _COUNTED:
            return self.op("ReduceMax", tensor, axes=[axis], keepdims=keepdims)
        return self.op("ReduceMax", tensor, self.constant(np.array([axis], np.int64)), keepdims=keepdims)

    def name(self, tensor: str, name: str) -> None:
        """Give a tensor a second name: that of an output of the graph."""
        self.nodes.append(helper.make_node("Identity", [tensor], [name], name=f"n{len(self.nodes)}"))

    def constant(self, value: Any) -> str:
        """Return the name of a small constant; equal ones are one."""
        array = np.asarray(value)
        key = (str(array.dtype), array.tobytes(), array.shape)
        if key not in self._scalars:
            self._scalars[key] = self.tensor(f"k{len(self._scalars)}", lambda: array)
        return self._scalars[key]

    def tensor(self, name: str, make: Callable[[], Array]) -> str:
        """Return the name of a constant, made once."""
        if name not in self.constants:
            array = make()
            self.constants[name] = numpy_helper.from_array(np.array(array, order="C"), name)
        return name

    def four_bits(self, name: str, make: Callable[[], Array]) -> str:
        """Return the name of a constant of integers from -8 to 7, two in a byte, the first one low; made once."""
        if name not in self.constants:
            array = make()
            nibbles = np.append(array.astype(np.uint8) & 15, np.zeros(array.size % 2, np.uint8))
            packed = (nibbles[0::2] | nibbles[1::2] << np.uint8(4)).tobytes()
            self.constants[name] = helper.make_tensor(name, TensorProto.INT4, array.shape, packed, raw=True)
        return name

    def put(self, value: str, dtype: str, tensor: str) -> None:
        """Say which tensor holds a value of the document."""
        self._values.setdefault(value, {})[dtype] = tensor

    def get(self, value: str, *dtypes: str) -> tuple[str, str]:
        """Return (tensor, type) of a value: of one of these types if it is there, else cast to the first."""
        forms = self._values[value]
        for dtype in dtypes:
            if dtype in forms:
                return forms[dtype], dtype
        own = next(iter(forms))
        if not dtypes:
            return forms[own], own
        forms[dtypes[0]] = self.op("Cast", forms[own], to=TYPES[dtypes[0]])
        return forms[dtypes[0]], dtypes[0]


class NodeGraph:
    """The graph, seen from one node of ours: its inputs, constants, states and outputs by their own words.

    Attributes:
        view: the node, its input types and its tensors.
        old: names of the tensors that hold its states before the step.
        new: what `keep` said of its states after the step.
    """

    def __init__(self, graph: Graph, view: NodeView, old: Names) -> None:
        self.graph = graph
        self.view = view
        self.old = old
        self.new: dict[str, str] = {}
        self.op, self.constant = graph.op, graph.constant
        self._skip = view.node.attributes.get("cold_start") == "skip"

    def attribute(self, name: str) -> Any:
        """Return an attribute of the node."""
        return self.view.attribute(name)

    def input(self, index: int = 0, *dtypes: str) -> str:
        """Return the tensor of an input, of one of these types; of whichever type it has where none is named."""
        return self.graph.get(self.view.node.inputs[index], *dtypes)[0]

    def own_type(self, index: int = 0) -> str:
        """Return the type that an input has."""
        return self.graph.get(self.view.node.inputs[index])[1]

    def plain(self, role: str) -> Array:
        """Return a tensor of the model in its plain form."""
        tensor = self.view.tensors[role]
        return unpack(tensor.layout, tensor.shape, tensor.data)

    def tensor(self, role: str, form: str, make: Callable[[Array], Array]) -> str:
        """Return a tensor of the model in a form that `make` gives of the plain one; nodes that share it share this."""
        name = f"{self.view.node.tensors[role]}/{form}" if form else self.view.node.tensors[role]
        return self.graph.tensor(f"tensor/{name}", lambda: make(self.plain(role)))

    def parameter(self, role: str) -> str | None:
        """Return a parameter vector that broadcasts over the first input; None where the node has none."""
        if role not in self.view.tensors:
            return None
        shape, axis = self.view.inputs[0].shape, self.attribute("axis")
        size = self.view.tensors[role].shape[0]
        if size == 1:
            wanted: Sequence[int] = ()
        elif size == shape[axis]:
            wanted = (-1,) + (1,) * (-axis - 1)
        else:
            wanted = shape
        return self.tensor(role, f"{len(wanted)} axes", lambda plain: plain.reshape(wanted))

    def keep(self, suffix: str, tensor: str) -> None:
        """Say what a state is after the step; with `cold_start` "skip" it stays as it was at step 0."""
        if self._skip:
            assert self.graph.first is not None
            tensor = self.op("Where", self.graph.first, self.old[suffix], tensor)
        self.new[suffix] = tensor

    def make(self, dtype: str, tensor: str, index: int = 0) -> None:
        """Say which tensor is an output; with `cold_start` "skip" it is 0 at step 0."""
        if self._skip:
            assert self.graph.first is not None
            if dtype == "bool":
                dtype, tensor = "float32", self.op("Cast", tensor, to=TYPES["float32"])
            zero = self.constant(np.zeros((), dtype))
            tensor = self.op("Where", self.graph.first, zero, tensor)
        self.graph.put(self.view.node.outputs[index], dtype, tensor)


def _rounds(view: NodeView) -> bool:
    return view.node.attributes.get("activations") == "int8"
