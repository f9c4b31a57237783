"""The peer: the best form of SpikePoint that we could write in torch.

Step by step, batch norm folded into the weights, channels last so that a layer is one addmm into a kept buffer,
membranes updated in place, spikes as float32 (what addmm wants), no gradient. Spikes, thresholds and resets are three
in-place passes; masks are kept buffers. Layers whose input does not change over the steps (direct coding) run once.
"""

from __future__ import annotations

import numpy as np
import torch

from edgesnn.encode.coding import PointCoding, direct_values, rate_bits
from edgesnn.encode.points import PointWindow
from edgesnn.graph import Document, Node

torch.set_num_threads(1)


class StepByStep:
    """A document's graph with all buffers made before the first step."""

    def __init__(self, document: Document, window: PointWindow) -> None:
        self.document = document
        self.steps = document.input["steps"]
        self.types = document.analysis.values
        self.weights: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        self.lif: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        self.values: dict[str, torch.Tensor] = {}
        self.masks: dict[str, torch.Tensor] = {}
        self.inputs = self._code(window)
        self.constant: set[str] = set()
        for node in document.nodes:
            self._prepare(node)

    def _code(self, window: PointWindow) -> list[tuple[torch.Tensor, ...]]:
        node = self.document.nodes[0]
        coding = PointCoding(**node.attributes)
        rate = coding.coding == "rate"
        drawn = []
        for t in range(self.steps if rate else 1):
            pair = rate_bits(window, coding, t, self.document.input["seed"]) if rate else direct_values(window, coding)
            drawn.append(tuple(torch.from_numpy(a.astype(np.float32).reshape(-1, a.shape[-1])) for a in pair))
        return drawn

    def _prepare(self, node: Node) -> None:
        unpack = self.document.unpack
        if node.op == "point_code" and len(self.inputs) == 1:
            self.constant.update(node.outputs)
        if node.op == "linear":
            scale = unpack(node.tensors["scale"])
            folded = unpack(node.tensors["weight"]).astype(np.float32) * scale[:, None]
            self.weights[node.name] = (
                torch.from_numpy(folded.T.copy()),
                torch.from_numpy(unpack(node.tensors["bias"])),
            )
            self.constant.update(node.outputs if node.inputs[0] in self.constant else ())
        if node.op == "lif":
            self.lif[node.name] = tuple(torch.from_numpy(unpack(node.tensors[r])) for r in ("alpha", "v_th"))
            shape = self.types[node.name].shape
            rows = (self.types[node.name].rows, shape[-1])
            self.masks[node.name] = torch.empty(rows, dtype=torch.bool)
            self.values[f"{node.name}.v"] = torch.zeros(rows)
        if node.op != "vote" and node.op != "point_code":
            self.values[node.name] = torch.empty(self.types[node.name].rows, self.types[node.name].shape[-1])

    @torch.no_grad()
    def run(self) -> np.ndarray:
        """Return the votes after all steps of the window."""
        for node in self.document.nodes:
            if node.op == "lif":
                self.values[f"{node.name}.v"].zero_()
        votes = torch.zeros(self.types[self.document.outputs[0]].shape)
        for t in range(self.steps):
            for node in self.document.nodes:
                if t == 0 or node.outputs[0] not in self.constant:
                    self._node(node, t, votes)
        return votes.numpy()

    def _node(self, node: Node, t: int, votes: torch.Tensor) -> None:
        values = self.values
        if node.op == "point_code":
            values.update(zip(node.outputs, self.inputs[t], strict=True))
        elif node.op == "linear":
            weight, bias = self.weights[node.name]
            torch.addmm(bias, values[node.inputs[0]], weight, out=values[node.name])
        elif node.op == "lif":
            self._lif(node)
        elif node.op == "add":
            torch.add(values[node.inputs[0]], values[node.inputs[1]], out=values[node.name])
        elif node.op == "max":
            pooled = self.types[node.inputs[0]].shape[-2]
            x = values[node.inputs[0]]
            torch.amax(x.view(-1, pooled, x.shape[-1]), dim=1, out=values[node.name])
        else:
            x = values[node.inputs[0]].view(node.attributes["classes"], node.attributes["voters"])
            votes += x.mean(dim=1) / self.steps

    def _lif(self, node: Node) -> None:
        alpha, v_th = self.lif[node.name]
        v, mask, spikes = self.values[f"{node.name}.v"], self.masks[node.name], self.values[node.name]
        v.mul_(alpha).add_(self.values[node.inputs[0]])
        torch.ge(v, v_th, out=mask)
        spikes.copy_(mask)
        if node.attributes["reset"] == "zero":
            v.masked_fill_(mask, 0.0)
        elif node.attributes["reset"] == "subtract":
            v.addcmul_(spikes, v_th, value=-1.0)
