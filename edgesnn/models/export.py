"""From a trained SpikePoint to the model file's graph and back: float32 weights, the batch norms as scale and bias.

Folding, in float64, rounded once: linear y = W x + b0, batch norm (y - mean) / sqrt(var + eps) * gamma + beta becomes
acc * scale + bias with scale = gamma / sqrt(var + eps) and bias = (b0 - mean) * scale + beta. alpha = 1 - sigmoid(w).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from edgesnn.encode.points import PointEncoding
from edgesnn.errors import ModelError
from edgesnn.events.filters import FilterLike
from edgesnn.graph import Builder, Document, with_filters
from edgesnn.models.plif import EPS, V_TH
from edgesnn.models.spikepoint import CBL, Residual, SpikePoint, SpikePointConfig

Vector = npt.NDArray[np.float64]


def export(
    model: SpikePoint,
    encoding: PointEncoding,
    sensor: tuple[int, int],
    labels: Sequence[str],
    *,
    filters: Iterable[FilterLike] = (),
    readout: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Document:
    """Return the model file's document; nodes are named as the torch modules (`local_in`, `trunk.1.layers.0.lif`, ...).

    Args:
        model: a trained network with spiking neurons.
        encoding: its input.
        sensor: (width, height) that the model's recordings have, after the filters.
        labels: names of the classes.
        filters: that events go through before the windows.
        readout: more fields of the file's `readout` section (temperature, rejection, onset, offset).
        provenance: any JSON object.

    Raises:
        ModelError: the non-spiking twin, which has no graph.
    """
    config = model.config
    if config.neuron != "plif":
        raise ModelError("the non-spiking twin is for training only", where="export")
    section = {"kind": "points", "sensor": list(sensor), **asdict(encoding)}
    section = with_filters(section, filters)
    graph = _Graph(Builder(input=section), config.reset)
    coding = {"coding": config.coding, "features": config.features, "polarity": config.polarity}
    local, centre = graph.builder.add("point_code", "input", name="code", attributes=coding)
    first = "float32" if config.coding == "direct" else "int"
    x = graph.pool(
        "local_max", graph.residual(model.local_res, "local_res", graph.cbl(model.local_in, local, "local_in", first))
    )
    y = graph.residual(model.centre_res, "centre_res", graph.cbl(model.centre_in, centre, "centre_in", first))
    x = graph.builder.add("add", [x, y], name="merge")
    for i, layer in enumerate(model.trunk):
        x = graph.layer(layer, x, f"trunk.{i}")
    x = graph.cbl(model.hidden, graph.pool("group_max", x), "hidden")
    x = graph.cbl(model.out, x, "out")
    votes = {"classes": config.classes, "voters": config.voters}
    scores = graph.builder.add("vote", x, name="vote", attributes=votes)
    readout = {"node": scores, "labels": list(labels), **(readout or {})}
    return graph.builder.document(outputs=[scores], readout=readout, provenance=provenance)


def restore(document: Document) -> SpikePoint:
    """Return the float network of a document that `export` made (int8 weights as their scaled values), in eval mode.

    The batch norms are left as scale and bias: layer by layer W x * scale + bias, as the model file computes it.

    Raises:
        ModelError: a graph that is not a SpikePoint's.
    """
    nodes = {node.name: node for node in document.nodes}
    try:
        code, votes, hidden = nodes["code"], nodes["vote"].attributes, nodes["hidden.lif"].attributes
        widths = tuple(document.unpack(f"{name}.bias").size for name in ("local_in", "trunk.0", "trunk.2", "trunk.4"))
    except KeyError as error:
        raise ModelError("not a SpikePoint", where=document.where, found=f"no node {error}") from None
    config = SpikePointConfig(
        classes=votes["classes"],
        voters=votes["voters"],
        widths=widths,  # type: ignore[arg-type]
        steps=document.input["steps"],
        reset=hidden["reset"],
        readout="spikes" if "out.lif" in nodes else "currents",
        **code.attributes,
    )
    model = SpikePoint(config).eval()
    for name, layer in model.named_modules():
        if isinstance(layer, CBL):
            _set_layer(layer, name, document)
    return model


def _set_layer(layer: CBL, name: str, document: Document) -> None:
    def tensor(role: str) -> torch.Tensor:
        return torch.from_numpy(np.array(document.unpack(f"{name}.{role}"), dtype=np.float32))

    with torch.no_grad():
        layer.linear.weight.copy_(tensor("weight"))
        layer.linear.bias.zero_()
        layer.gamma.copy_(tensor("scale"))
        layer.beta.copy_(tensor("bias"))
        layer.var.fill_(1.0 - EPS)
        if layer.w is not None:
            alpha = np.float64(document.unpack(f"{name}.lif.alpha")[0])
            layer.w.fill_(float(np.log((1.0 - alpha) / alpha)))


class _Graph:
    """Adds the network's blocks to a builder."""

    def __init__(self, builder: Builder, reset: str) -> None:
        self.builder, self.reset = builder, reset

    def layer(self, layer: Any, x: str, name: str) -> str:
        return self.residual(layer, name, x) if isinstance(layer, Residual) else self.cbl(layer, x, name)

    def cbl(self, layer: CBL, x: str, name: str, activations: str = "int") -> str:
        weight, scale, bias = folded(layer)
        y: str = self.builder.add(
            "linear",
            x,
            name=name,
            attributes={"activations": activations},
            tensors={"weight": weight, "scale": scale, "bias": bias},
        )
        if layer.w is None:
            return y
        tensors = {"alpha": decay(layer), "v_th": np.array([V_TH], dtype=np.float32)}
        attributes = {"compare": "ge", "reset": self.reset, "spike": "binary"}
        spikes: str = self.builder.add("lif", y, name=f"{name}.lif", attributes=attributes, tensors=tensors)
        return spikes

    def residual(self, block: Residual, name: str, x: str) -> str:
        y = x
        for i, layer in enumerate(block.layers):
            assert isinstance(layer, CBL)
            y = self.cbl(layer, y, f"{name}.layers.{i}")
        total: str = self.builder.add("add", [y, x], name=f"{name}.add")
        return total

    def pool(self, name: str, x: str) -> str:
        y: str = self.builder.add("max", x, name=name)
        return y


def folded(layer: CBL) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return weight [N, K], scale [N] and bias [N] of a layer with its batch norm folded in."""
    gamma, beta, mean, var, offset = (
        _plain(t) for t in (layer.gamma, layer.beta, layer.mean, layer.var, layer.linear.bias)
    )
    scale = gamma / np.sqrt(var + EPS)
    weight = _plain(layer.linear.weight).astype(np.float32)
    return weight, scale.astype(np.float32), ((offset - mean) * scale + beta).astype(np.float32)


def decay(layer: CBL) -> npt.NDArray[np.float32]:
    """Return the neuron's alpha = 1 - sigmoid(w): float32 [1]."""
    assert layer.w is not None
    w = float(layer.w.detach())
    return np.array([1.0 - 1.0 / (1.0 + np.exp(-w))], dtype=np.float32)


def _plain(tensor: Any) -> Vector:
    values: Vector = tensor.detach().numpy().astype(np.float64)
    return values
