"""`from_torch`: a live, Sequential-like torch module of a spiking framework becomes a document of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from edgesnn.errors import ModelError, UsageError
from edgesnn.events.filters import FilterLike
from edgesnn.graph import Builder, Document
from edgesnn.importers.description import add_readout, input_section
from edgesnn.importers.neuron import MAX_COUNT, Float64, Shape, channel_axis, compress
from edgesnn.importers.torch_neurons import CELLS, Cell, array, class_name, is_neuron, read_cell


def from_torch(
    module: Any,
    example_input: Any,
    *,
    input: str = "dense",
    value: str | None = None,
    events: Mapping[str, Any] | None = None,
    labels: Sequence[str] | None = None,
    filters: Iterable[FilterLike] = (),
) -> Document:
    """Return the model of a torch module, float32; every neuron's flags are read from the module as it is.

    Args:
        module: layers in a row: nn.Sequential, norse's SequentialState and Lift, SpikingJelly's containers, nested as
            you like. Batch norms are folded with their running statistics; dropout is left out, as in evaluation.
        example_input: tensor of one step of one sample: the input's shape without batch and time.
        input, value, events, labels, filters: as of `import_nir` (docs/import.md).

    Raises:
        ModelError: a layer that is not known (named), or an option of one that has no counterpart here.
        UsageError: a wrong argument.
    """
    layers = list(_layers(module, ""))
    _check_shared(layers)
    if not isinstance(getattr(example_input, "shape", None), Sequence):
        found = type(example_input).__name__
        raise UsageError("not an input", where="example_input", found=found, expected="a tensor of one step")
    shape = tuple(int(n) for n in example_input.shape)
    section = input_section(input, value, events, shape, _room(layers, 0), filters)
    builder = Builder(input=section, reset="never" if events is None else "window")
    row = Row(builder, shape, section["bound"])
    for number, (name, layer) in enumerate(layers):
        _add(row, name, layer, _room(layers, number + 1))
    row.flush()
    output, readout = row.value, None
    if labels is not None:
        output, readout = add_readout(builder, output, row.bound, labels)
    made = {"imported": {"from": "torch", "layers": {name: class_name(layer) for name, layer in layers}}}
    return builder.document(outputs=output, readout=readout, provenance=made)


CONTAINERS = (
    "norse.SequentialState",
    "norse.Lift",
    "spikingjelly.SeqToANNContainer",
    "spikingjelly.MultiStepContainer",
)


class Row:
    """The last value of the row that is being built, and a matrix that a batch norm may yet be folded into."""

    def __init__(self, builder: Builder, shape: Shape, bound: int) -> None:
        self.value = "input"
        self.shape = shape
        self.bound = bound
        self._builder = builder
        self._matrix: tuple[str, str, dict[str, Any], dict[str, Float64]] | None = None

    def add(self, op: str, name: str, shape: Shape, bound: int, inputs: Any = None, **parts: Any) -> None:
        """Add a node after the last value (or after `inputs`); it becomes the last value."""
        self.flush()
        self.value = self._builder.add(op, inputs or self.value, name=name, **parts)
        self.shape, self.bound = shape, bound

    def matrix(self, op: str, name: str, attributes: dict[str, Any], layer: Any, shape: Shape) -> None:
        """Hold a Linear or convolution back."""
        self.flush()
        weight = array(layer.weight)
        bias = np.zeros(len(weight)) if layer.bias is None else array(layer.bias)
        attributes = {"activations": "int" if self.bound else "float32", **attributes}
        tensors = {"weight": weight, "scale": np.ones(len(weight)), "bias": bias}
        self._matrix = (op, name, attributes, tensors)
        self.shape, self.bound = shape, 0

    def scale(self, name: str, factor: Float64, offset: Float64) -> None:
        """Fold y = x * factor + offset, by channel, into the matrix before it; without one, or where its outputs are
        not the channels (a Linear of rows), it is a node."""
        if self._matrix is not None and (self._matrix[0] != "linear" or channel_axis(self.shape) == -1):
            tensors = self._matrix[3]
            tensors["bias"] = tensors["bias"] * factor + offset
            tensors["scale"] = tensors["scale"] * factor
            return
        tensors32 = {"scale": factor.astype(np.float32), "bias": offset.astype(np.float32)}
        attributes = {"axis": channel_axis(self.shape)}
        self.add("scale", name, self.shape, 0, attributes=attributes, tensors=tensors32)

    def flush(self) -> None:
        """Add the matrix that was held back."""
        if self._matrix is None:
            return
        op, name, attributes, tensors = self._matrix
        self._matrix = None
        plain = {role: tensor.astype(np.float32) for role, tensor in tensors.items()}
        self.add(op, name, self.shape, 0, attributes=attributes, tensors=plain)

    def to_float(self, name: str) -> None:
        """Make the last value float32."""
        self.flush()
        if self.bound:
            self.scale(name, np.ones(1), np.zeros(1))


def _layers(module: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the layers of nested containers in order, with their dotted names."""
    import torch

    plain = isinstance(module, torch.nn.Sequential) and type(module).forward is torch.nn.Sequential.forward
    if not plain and class_name(module) not in CONTAINERS:
        yield name or type(module).__name__, module
        return
    for child_name, child in module._modules.items():  # named_children leaves out one that stands there again
        if child is not None:
            yield from _layers(child, f"{name}.{child_name}" if name else child_name)


def _check_shared(layers: Sequence[tuple[str, Any]]) -> None:
    """Refuse one layer of neurons in two places: both would share one membrane (Norse keeps one a place)."""
    places: dict[int, str] = {}
    for name, layer in layers:
        first = places.setdefault(id(layer), name)
        if first != name and is_neuron(layer) and not class_name(layer).startswith("norse."):
            where = f"module, layer {name!r}"
            raise ModelError("neurons stand in two places and share their state", where=where, found=f"layer {first!r}")


def _room(layers: Sequence[tuple[str, Any]], start: int) -> int:
    """Return the largest count that a value may have so that the sum pools right after it still fit a byte."""
    area = 1
    for _, layer in layers[start:]:
        if class_name(layer) == "sinabs.SumPool2d":
            area *= prod(_pair(layer.kernel_size))
        elif _kind(layer) not in ("flatten", "nothing"):
            break
    return MAX_COUNT // area or MAX_COUNT


def _kind(layer: Any) -> str:
    """Return which of our handlers a layer needs."""
    import torch.nn as nn

    if is_neuron(layer):
        return "neuron"
    if class_name(layer) in ("sinabs.FlattenTime", "sinabs.UnflattenTime"):
        return "nothing"
    if class_name(layer) == "sinabs.SumPool2d":
        return "sum"
    kinds: dict[str, tuple[type, ...]] = {
        "linear": (nn.Linear,),
        "conv": (nn.Conv1d, nn.Conv2d),
        "norm": (nn.BatchNorm1d, nn.BatchNorm2d),
        "avg": (nn.AvgPool2d,),
        "max": (nn.MaxPool2d,),
        "flatten": (nn.Flatten,),
        "nothing": (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d),
    }
    if not _computes_as(layer, ("torch", "spikingjelly", "sinabs")):
        return "unknown"
    return next((kind for kind, types in kinds.items() if isinstance(layer, types)), "unknown")


def _computes_as(layer: Any, packages: tuple[str, ...]) -> bool:
    """Say whether a layer's forward is one of these packages', not of a class that was derived from theirs."""
    made = next((cls for cls in type(layer).__mro__ if "forward" in vars(cls)), object)
    return made.__module__.split(".")[0] in packages and "forward" not in vars(layer)


def _add(row: Row, name: str, layer: Any, room: int) -> None:
    kind = _kind(layer)
    where = f"module, layer {name!r}"
    if kind == "unknown":
        known = ", ".join([*CELLS, "Linear, Conv1d, Conv2d, BatchNorm, AvgPool2d, MaxPool2d, Flatten, Dropout"])
        raise ModelError("layer is not known", where=where, found=class_name(layer), expected=known)
    if kind == "neuron":
        _add_neuron(row, name, read_cell(layer, where), where, room)
    elif kind != "nothing":
        HANDLERS[kind](row, name, layer, where)


def _linear(row: Row, name: str, layer: Any, where: str) -> None:
    row.matrix("linear", name, {}, layer, _shape_after(layer, row.shape, where))


def _conv(row: Row, name: str, layer: Any, where: str) -> None:
    shape = _shape_after(layer, row.shape, where)
    row.matrix(f"conv{len(layer.kernel_size)}d", name, _conv_attributes(layer, where), layer, shape)


def _conv_attributes(layer: Any, where: str) -> dict[str, Any]:
    if layer.padding_mode != "zeros":
        raise ModelError("padding is not known", where=where, found=layer.padding_mode, expected="zeros")
    padding = layer.padding
    if isinstance(padding, str):
        whole = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        if padding == "same" and any(w % 2 for w in whole):
            raise ModelError("padding is not the same on both sides", where=where, found=f"kernel {layer.kernel_size}")
        padding = [w // 2 if padding == "same" else 0 for w in whole]
    lists = {"stride": layer.stride, "padding": padding, "dilation": layer.dilation}
    return {**{key: [int(n) for n in values] for key, values in lists.items()}, "groups": int(layer.groups)}


def _norm(row: Row, name: str, layer: Any, where: str) -> None:
    if layer.running_mean is None or layer.running_var is None:
        raise ModelError("batch norm keeps no running statistics", where=where)
    factor = 1 / np.sqrt(array(layer.running_var) + layer.eps)
    offset = -array(layer.running_mean) * factor
    if layer.affine:
        factor, offset = factor * array(layer.weight), offset * array(layer.weight) + array(layer.bias)
    row.scale(name, factor, offset)


def _pool(row: Row, name: str, layer: Any, where: str) -> None:
    row.flush()
    kind = _kind(layer)
    odd = {"ceil_mode": False, "divisor_override": None, "count_include_pad": True, "return_indices": False}
    for option, usual in odd.items():
        if getattr(layer, option, usual) != usual:
            raise ModelError(f"{option} is not known", where=where, found=str(getattr(layer, option)))
    if any(n != 1 for n in _pair(getattr(layer, "dilation", 1))):
        raise ModelError("dilated pools are not known", where=where)
    kernel = _pair(layer.kernel_size)
    if kind == "sum" and row.bound * prod(kernel) > MAX_COUNT:
        row.to_float(f"{name}.float")
    bound = {"sum": row.bound * prod(kernel), "max": row.bound, "avg": 0}[kind]
    stride = _pair(layer.kernel_size if layer.stride is None else layer.stride)
    padding = _pair(getattr(layer, "padding", 0))
    attributes = {"mode": kind, "kernel": kernel, "stride": stride, "padding": padding}
    row.add("pool2d", name, _shape_after(layer, row.shape, where), bound, attributes=attributes)


def _flatten(row: Row, name: str, layer: Any, where: str) -> None:
    row.flush()
    shape = _shape_after(layer, row.shape, where)
    row.add("reshape", name, shape, row.bound, attributes={"shape": list(shape)})


def _add_neuron(row: Row, name: str, cell: Cell, where: str, room: int) -> None:
    if cell.inputs is not None:
        shape = (*row.shape[:-1], len(cell.inputs))
        row.flush()
        activations = {"activations": "int" if row.bound else "float32"}
        row.add("linear", f"{name}.inputs", shape, 0, attributes=activations, tensors=_weights(cell.inputs))
    row.to_float(f"{name}.input")
    attributes = {**cell.neuron.attributes, "axis": channel_axis(row.shape)}
    if "cap" in attributes:
        attributes["cap"] = min(attributes["cap"], room)
    spike = attributes.get("spike", "binary")
    bound = 0 if spike == "none" else 1 if spike == "binary" else attributes["cap"]
    if cell.recurrent is not None:
        _add_recurrence(row, name, cell, bound, where)
    try:
        tensors = {role: compress(tensor, row.shape) for role, tensor in cell.neuron.tensors.items()}
    except ValueError as error:
        raise ModelError("constants do not fit the layer", where=where, found=str(error)[:120]) from None
    row.add("lif", name, row.shape, bound, attributes=attributes, tensors=tensors)


def _add_recurrence(row: Row, name: str, cell: Cell, bound: int, where: str) -> None:
    """Add the layer's spikes of the step before, through its recurrent connection, to its input."""
    current, shape = row.value, row.shape
    line = {"steps": 1, "shape": list(shape), "value": "int" if bound else "float32", "bound": bound}
    row.add("delay", f"{name}.delay", shape, bound, inputs=name, attributes=line)
    if not isinstance(cell.recurrent, np.ndarray):
        for inner_name, layer in _layers(cell.recurrent, f"{name}.recurrent"):
            _add_recurrent_layer(row, inner_name, layer, cell.cold_start, where)
    elif cell.recurrent.ndim == 1:
        row.scale(f"{name}.recurrent", cell.recurrent, np.zeros(1))
    else:
        attributes = {"activations": "int" if bound else "float32"}
        row.add("linear", f"{name}.recurrent", shape, 0, attributes=attributes, tensors=_weights(cell.recurrent))
    row.flush()
    if row.shape != shape:
        row.add("reshape", f"{name}.shape", shape, row.bound, attributes={"shape": list(shape)})
    row.add("add", f"{name}.sum", shape, 0, inputs=[current, row.value])


def _add_recurrent_layer(row: Row, name: str, layer: Any, cold_start: str, where: str) -> None:
    kind = _kind(layer)
    if kind in ("flatten", "nothing"):
        _add(row, name, layer, MAX_COUNT)
        return
    if kind not in ("linear", "conv"):
        raise ModelError("recurrent layer is not known", where=where, found=class_name(layer))
    attributes = {} if kind == "linear" else _conv_attributes(layer, where)
    op = "linear" if kind == "linear" else f"conv{len(layer.kernel_size)}d"
    start = {"cold_start": cold_start} if layer.bias is not None else {}
    row.matrix(op, name, {**attributes, **start}, layer, _shape_after(layer, row.shape, where))


def _weights(weight: Float64) -> dict[str, Any]:
    outputs = len(weight)
    ones, zeros = np.ones(outputs, np.float32), np.zeros(outputs, np.float32)
    return {"weight": weight.astype(np.float32), "scale": ones, "bias": zeros}


def _shape_after(layer: Any, shape: Shape, where: str) -> Shape:
    """Return the shape of a stateless layer's output: it is run once on zeros."""
    import torch

    leading = (1, 1) if getattr(layer, "step_mode", "s") == "m" else (1,)
    parameter = next(layer.parameters(), None)
    zeros = torch.zeros((*leading, *shape), dtype=torch.float32 if parameter is None else parameter.dtype)
    try:
        with torch.no_grad():
            return tuple(layer(zeros).shape[len(leading) :])
    except (RuntimeError, ValueError, IndexError) as error:
        raise ModelError("layer does not take its input", where=where, found=f"{list(shape)}: {error}") from None


def _pair(value: Any) -> list[int]:
    values = [int(n) for n in value] if isinstance(value, (tuple, list)) else [int(value)]
    return values * 2 if len(values) == 1 else values


HANDLERS: dict[str, Callable[[Row, str, Any, str], None]] = {
    "linear": _linear,
    "conv": _conv,
    "norm": _norm,
    "sum": _pool,
    "avg": _pool,
    "max": _pool,
    "flatten": _flatten,
}
