"""SpikeGPT and RWKV-4 checkpoints, official keys, become token models (docs/token-models.md).

`import_spikegpt` and `import_rwkv4` read a .pth file; `token_model` makes the graph of any source of tensors.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError, UsageError
from edgesnn.graph import Builder, Document
from edgesnn.importers.checkpoint import Checkpoint

Floats = npt.NDArray[np.float32]
Shapes = Mapping[str, tuple[int, ...]]

RESCALE_LAYERS = 6
"""In mode "author" the residual is halved after so many layers, and what is added to it before."""

BINARISED_VOCABULARY = 77
"""The author's inference binarises the embedding of models with so many tokens: the character model."""

MOST_DECAY = 88.0
"""e^-(e^88) is 0, as it is beyond, and e^88 is a float32."""

EPS = 1e-5
_ROWS = 4096  # of the table that are normed at once, in float64


@dataclass(frozen=True)
class Plan:
    """What a checkpoint holds, and how it is to be run.

    Attributes:
        layers, width, hidden, vocab: sizes: blocks, of the residual, of the channel mix, tokens.
        spiking: neurons after each block's output (SpikeGPT), or none (RWKV-4).
        rescale: halve the residual every six layers, as the author's inference does.
        binarise: the embedding is 1 where it is not below 0, else 0.
    """

    layers: int
    width: int
    hidden: int
    vocab: int
    spiking: bool
    rescale: bool
    binarise: bool


def import_spikegpt(
    path: str | os.PathLike[str],
    *,
    mode: Literal["author", "train"] = "author",
    binarise: Literal["auto", "yes", "no"] = "auto",
) -> Document:
    """Return the model of a SpikeGPT checkpoint, float32.

    Args:
        path: a .pth file with the official keys.
        mode: "author" halves the residual every six layers, as the published inference does; "train" does not, as in
            training. Beyond six layers these are two different models.
        binarise: the embedding: "yes", "no", or as the published inference does ("auto": where there are 77 tokens).

    Raises:
        ModelError: not a checkpoint, or another model's; names the tensor, its shape, and what was expected.
        UsageError: mode or binarise is none of these; no torch, or one that is too old.
    """
    if binarise not in ("auto", "yes", "no"):
        raise UsageError("no such choice", where="binarise", found=repr(binarise), expected="auto, yes or no")
    return _import(path, "spikegpt", mode, lambda vocab: binarise == "yes" or _auto(binarise, vocab))


def import_rwkv4(path: str | os.PathLike[str], *, mode: Literal["author", "train"] = "train") -> Document:
    """Return the model of an RWKV-4 checkpoint, float32: the same graph without neurons.

    Args:
        path: a .pth file with the official keys.
        mode: as of `import_spikegpt`; here the two differ by what `eps` of the layer norms makes of a halved residual.

    Raises:
        ModelError, UsageError: as `import_spikegpt`.
    """
    return _import(path, "rwkv4", mode, lambda vocab: False)


def _auto(binarise: str, vocab: int) -> bool:
    return binarise == "auto" and vocab == BINARISED_VOCABULARY


def _import(path: str | os.PathLike[str], kind: str, mode: str, binarise: Callable[[int], bool]) -> Document:
    if mode not in ("author", "train"):
        raise UsageError("no such mode", where="mode", found=repr(mode), expected="author or train")
    checkpoint = Checkpoint(path)
    vocab = _matrix(checkpoint.shapes, "emb.weight", checkpoint.where)[0]
    plan = plan_of(checkpoint.shapes, checkpoint.where, kind == "spikegpt", mode == "author", binarise(vocab))
    made = {
        "from": kind,
        "file": Path(path).name,
        "sha256": checkpoint.sha256,
        "mode": mode,
        "binarise": plan.binarise,
        "layers": plan.layers,
        "width": plan.width,
        "vocab": plan.vocab,
    }
    return token_model(plan, checkpoint.read, provenance={"imported": made})


def plan_of(shapes: Shapes, where: str, spiking: bool, rescale: bool, binarise: bool) -> Plan:
    """Return what a checkpoint with tensors of these shapes holds.

    Raises:
        ModelError: a tensor is missing, unknown, or of another shape; names it.
    """
    vocab, width = _matrix(shapes, "emb.weight", where)
    hidden = _matrix(shapes, "blocks.0.ffn.key.weight", where)[0]
    numbers = {name.split(".")[1] for name in shapes if name.startswith("blocks.")}
    plan = Plan(len(numbers), width, hidden, vocab, spiking, rescale, binarise)
    expected = tensors_of(plan)
    for name in expected:
        if name not in shapes:
            raise ModelError("checkpoint lacks a tensor", where=f"{where}, {name}", hint=_kinds())
    for name, shape in shapes.items():
        if name not in expected:
            raise ModelError("checkpoint has a tensor of another model", where=f"{where}, {name}", hint=_kinds())
        if shape not in expected[name]:
            found, wanted = str(list(shape)), " or ".join(str(list(s)) for s in expected[name])
            raise ModelError("tensor has another shape", where=f"{where}, {name}", found=found, expected=wanted)
    return plan


def tensors_of(plan: Plan) -> dict[str, tuple[tuple[int, ...], ...]]:
    """Return the shapes that each tensor of a checkpoint may have, by its official key."""
    d, h, v = plan.width, plan.hidden, plan.vocab
    vector, mix = ((d,),), ((1, 1, d), (d,))
    norm = {"weight": vector, "bias": vector}
    block = {
        **{f"ln{n}.{role}": shape for n in (1, 2) for role, shape in norm.items()},
        **{f"att.time_{name}": vector for name in ("decay", "first")},
        **{f"att.time_mix_{name}": mix for name in "kvr"},
        **{f"att.{name}.weight": ((d, d),) for name in ("key", "value", "receptance", "output")},
        **{f"ffn.time_mix_{name}": mix for name in "kr"},
        "ffn.key.weight": ((h, d),),
        "ffn.receptance.weight": ((d, d),),
        "ffn.value.weight": ((d, h),),
    }
    return {
        "emb.weight": ((v, d),),
        **{f"blocks.0.ln0.{role}": shape for role, shape in norm.items()},
        **{f"blocks.{i}.{name}": shape for i in range(plan.layers) for name, shape in block.items()},
        **{f"ln_out.{role}": shape for role, shape in norm.items()},
        "head.weight": ((v, d),),
    }


def _matrix(shapes: Shapes, name: str, where: str) -> tuple[int, int]:
    shape = shapes.get(name)
    if shape is None:
        raise ModelError("checkpoint lacks a tensor", where=f"{where}, {name}", hint=_kinds())
    if len(shape) != 2 or 0 in shape:
        raise ModelError("tensor is no matrix", where=f"{where}, {name}", found=str(list(shape)))
    return shape[0], shape[1]


def _kinds() -> str:
    return "SpikeGPT and RWKV-4 checkpoints with the official keys are read (docs/token-models.md)"


def token_model(
    plan: Plan,
    read: Callable[[str], npt.NDArray[Any]],
    *,
    input: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Document:
    """Return the document: one node an operation, named after the checkpoint's keys; the output is `head`.

    Args:
        plan: sizes and switches.
        read: gives a tensor by its official key; called once for each, so that one at a time is in memory.
        input: more fields of the `input` section, such as the tokenizer.
        provenance: any JSON object.
    """
    builder = Builder(input={"kind": "tokens", "vocab": plan.vocab, **(input or {})})
    graph = _Graph(builder, plan, read)
    x = builder.add("embedding", "input", name="emb", tensors={"weight": _table(plan, read)})
    for i in range(plan.layers):
        x = graph.block(f"blocks.{i}", x, 2.0 ** -(i // RESCALE_LAYERS) if plan.rescale else 1.0)
        if plan.rescale and (i + 1) % RESCALE_LAYERS == 0:
            halved = {"scale": np.array([0.5], np.float32), "bias": np.zeros(1, np.float32)}
            x = builder.add("scale", x, name=f"blocks.{i}.halved", tensors=halved)
    x = graph.norm("ln_out", x)
    return builder.document(outputs=graph.linear("head", x), provenance=provenance)


def _table(plan: Plan, read: Callable[[str], npt.NDArray[Any]]) -> Floats:
    """Return ln0(embedding) [V, D], what the first block sees of each token; in float64, rounded once."""
    embedding = np.asarray(read("emb.weight"))
    weight, bias = (np.asarray(read(f"blocks.0.ln0.{role}"), np.float64) for role in ("weight", "bias"))
    table = np.empty(embedding.shape, np.float32)
    for first in range(0, len(table), _ROWS):
        x = embedding[first : first + _ROWS].astype(np.float64)
        if plan.binarise:
            x = (x >= 0).astype(np.float64)
        x -= x.mean(axis=1, keepdims=True)
        table[first : first + _ROWS] = x / np.sqrt(np.square(x).mean(axis=1, keepdims=True) + EPS) * weight + bias
    return table


class _Graph:
    """Adds a block's operations to a builder."""

    def __init__(self, builder: Builder, plan: Plan, read: Callable[[str], npt.NDArray[Any]]) -> None:
        self._builder, self._plan, self._read = builder, plan, read

    def block(self, name: str, x: str, share: float) -> str:
        """Return the residual after a block; what it adds comes from matrices that are multiplied by `share`."""
        x = self._residual(f"{name}.att", x, self._time_mix(f"{name}.att", self.norm(f"{name}.ln1", x), share))
        return self._residual(f"{name}.ffn", x, self._channel_mix(f"{name}.ffn", self.norm(f"{name}.ln2", x), share))

    def norm(self, name: str, x: str) -> str:
        tensors = {role: self._vector(f"{name}.{role}") for role in ("weight", "bias")}
        return self._add("layer_norm", x, name, tensors, eps=EPS)

    def linear(self, name: str, x: str, share: float = 1.0) -> str:
        weight = np.asarray(self._read(f"{name}.weight"))
        if share != 1.0:  # a power of two: exact
            weight = weight * np.float32(share)
        n = len(weight)
        tensors = {"weight": weight, "scale": np.ones(n, np.float32), "bias": np.zeros(n, np.float32)}
        return self._add("linear", x, name, tensors, activations="float32")

    def _time_mix(self, name: str, h: str, share: float) -> str:
        past = self._past(name, h)
        gate = self._gate(name, self._shift(name, "r", h, past))
        key = self.linear(f"{name}.key", self._shift(name, "k", h, past))
        value = self.linear(f"{name}.value", self._shift(name, "v", h, past))
        decay = -np.exp(np.minimum(self._vector(f"{name}.time_decay").astype(np.float64), MOST_DECAY))
        tensors = {"bonus": self._vector(f"{name}.time_first"), "decay": decay.astype(np.float32)}
        mixed = self._add("wkv", [key, value], f"{name}.wkv", tensors)
        return self.linear(f"{name}.output", self._add("multiply", [gate, mixed], f"{name}.gated"), share)

    def _channel_mix(self, name: str, h: str, share: float) -> str:
        past = self._past(name, h)
        gate = self._gate(name, self._shift(name, "r", h, past))
        key = self.linear(f"{name}.key", self._shift(name, "k", h, past))
        squared = self._add("activation", key, f"{name}.squared", function="relu2")
        return self._add("multiply", [gate, self.linear(f"{name}.value", squared, share)], f"{name}.gated")

    def _residual(self, name: str, x: str, z: str) -> str:
        if self._plan.spiking:
            tensors = {"alpha": np.array([0.5], np.float32), "v_th": np.array([1.0], np.float32)}
            z = self._add("lif", z, f"{name}.lif", tensors, decay="euler", reset="zero", compare="ge")
        return self._add("add", [x, z], f"{name}.sum")

    def _past(self, name: str, h: str) -> str:
        shape: dict[str, Any] = {"steps": 1, "shape": [self._plan.width], "value": "float32", "bound": 0}
        return self._add("delay", h, f"{name}.past", **shape)

    def _shift(self, name: str, which: str, h: str, past: str) -> str:
        mix = self._vector(f"{name}.time_mix_{which}")
        keep = (1.0 - mix.astype(np.float64)).astype(np.float32)
        return self._add("token_shift", [h, past], f"{name}.shift_{which}", {"mix": mix, "keep": keep})

    def _gate(self, name: str, x: str) -> str:
        return self._add("activation", self.linear(f"{name}.receptance", x), f"{name}.gate", function="sigmoid")

    def _vector(self, name: str) -> Floats:
        return np.asarray(self._read(name), np.float32).reshape(-1)

    def _add(
        self, op: str, x: str | list[str], name: str, tensors: Mapping[str, Any] | None = None, **attributes: Any
    ) -> str:
        made: str = self._builder.add(op, x, name=name, attributes=attributes, tensors=tensors)
        return made
