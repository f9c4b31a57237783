"""The shipped text model as a checkpoint: the tensors of its float32 file by their official keys.

ln0 is folded into its table of embeddings: `emb.weight` is that table and the ln0 beside it is not its own. Who takes
the table as it is computes the shipped network; who norms it (the package rwkv) another of the same weights.
"""

from __future__ import annotations

import numpy as np
import torch

from edgesnn.graph import Document, read
from edgesnn.runtime.model import locate
from tests.token_nets import Tensors

FILES = {"float32": "shakespeare-float32", "int8": "shakespeare"}
MIXES = {"att": "kvr", "ffn": "kr"}
MATRICES = {"att": ("key", "value", "receptance", "output"), "ffn": ("key", "receptance", "value")}


def document() -> Document:
    """Return the float32 model."""
    return read(locate(FILES["float32"]))


def checkpoint() -> Tensors:
    """Return the tensors by their official keys."""
    made = document()
    width = made.tensors["emb.weight"].shape[1]
    tensors = {"emb.weight": made.unpack("emb.weight"), "head.weight": made.unpack("head.weight")}
    tensors |= {"blocks.0.ln0.weight": np.ones(width, np.float32), "blocks.0.ln0.bias": np.zeros(width, np.float32)}
    layers = range(sum(node.op == "wkv" for node in made.nodes))
    norms = ("ln_out", *(f"blocks.{i}.ln{n}" for i in layers for n in (1, 2)))
    tensors |= {f"{norm}.{role}": made.unpack(f"{norm}.{role}") for norm in norms for role in ("weight", "bias")}
    for half, names in MATRICES.items():
        for at in (f"blocks.{i}.{half}" for i in layers):
            tensors |= {f"{at}.{name}.weight": made.unpack(f"{at}.{name}.weight") for name in names}
            for mix in MIXES[half]:
                tensors[f"{at}.time_mix_{mix}"] = made.unpack(f"{at}.shift_{mix}.mix")[None, None]
    for at in (f"blocks.{i}.att" for i in layers):
        tensors[f"{at}.time_first"] = made.unpack(f"{at}.wkv.bonus")
        tensors[f"{at}.time_decay"] = np.log(-made.unpack(f"{at}.wkv.decay"))
    return {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in tensors.items()}
