"""Random SpikeGPT models as documents, without torch."""

from __future__ import annotations

import numpy as np

from edgesnn.graph import Document
from edgesnn.importers.spikegpt import Plan, tensors_of, token_model


def spikegpt(layers: int, width: int, vocab: int, seed: int = 0, *, spiking: bool = True) -> Document:
    """Return a float32 model with random weights, in mode "author"."""
    plan = Plan(layers, width, 4 * width, vocab, spiking, rescale=True, binarise=False)
    shapes, rng = {name: shape[0] for name, shape in tensors_of(plan).items()}, np.random.default_rng(seed)

    def read(name: str) -> np.ndarray:
        shape = shapes[name]
        if "mix" in name:
            return rng.random(shape, dtype=np.float32)
        if len(shape) == 1 and "time" not in name:
            return np.full(shape, name.endswith("weight"), np.float32)
        gain = 4.0 if name.endswith(("output.weight", "value.weight")) else 1.0
        spread = gain / np.sqrt(shape[1]) if len(shape) == 2 else 1.0
        return rng.standard_normal(shape, dtype=np.float32) * np.float32(spread)

    return token_model(plan, read)
