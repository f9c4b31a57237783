"""The networks: SpikeGPT of published sizes with random weights, and the shipped one; a cache outside the repository.

Random weights are those of `tests/token_nets.py`, drawn with a seed so that a part of the neurons fires; mode "author".
The cache (EDGESNN_BENCH_CACHE, else edgesnn-bench in the user's) has a folder by the hash of the code that makes its
files, one for our models and one for what does not change with the package; one unused for a day is removed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import common
import numpy as np
import numpy.typing as npt
import shipped
import torch

from edgesnn.graph import Document
from edgesnn.importers.spikegpt import EPS, Plan, token_model
from edgesnn.models.spikegpt import SpikeGPT, SpikeGPTConfig
from edgesnn.quantize import quantize
from edgesnn.runtime.model import locate
from edgesnn.tokens.registry import make_tokenizer
from edgesnn.tokens.tokenizers.base import encode
from tests import token_nets

SEED = 1
TEXT = "What light is this that breaks upon the hill?\nA watchman's, sir; he counts the ships at sea.\n"
TOKENS = 4  # that answers are compared on
SHIPPED = "tiny"
WEIGHTS = ("tests/token_nets.py", "bench/tokens/shapes.py", "bench/tokens/shipped.py", "edgesnn/zoo")
MAKERS = {
    "ours": (*WEIGHTS, "edgesnn/graph", "edgesnn/quantize", "edgesnn/importers/spikegpt.py"),
    "others": (*WEIGHTS, "bench/tokens/onnx_graph.py", "edgesnn/models/spikegpt.py"),
}
UNUSED_S = 86400


class Shape(NamedTuple):
    """Blocks, width, number of tokens."""

    layers: int
    width: int
    vocab: int


SHAPES = {"tiny": Shape(4, 128, 66), "46M": Shape(12, 512, 6064), "216M": Shape(18, 768, 50277)}


FIRST = {  # states of the first block: ours, and the name in `edgesnn.models.spikegpt`
    "att.past.line": "att_xx",
    "att.wkv.pp": "pp",
    "att.wkv.aa": "aa",
    "att.lif.v": "v_att",
    "ffn.past.line": "ffn_xx",
    "ffn.lif.v": "v_ffn",
}


class Trace(NamedTuple):
    """What the equations give in float64: logits [T, V], spikes [T, L, D], the least distance to a threshold.

    `first`: states [6, D] of the first block after the first token, in the order of FIRST, by the torch form.
    """

    tokens: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float64]
    att: npt.NDArray[np.bool_]
    ffn: npt.NDArray[np.bool_]
    margin: float
    first: npt.NDArray[np.float32]


@lru_cache(maxsize=1)
def checkpoint(name: str) -> token_nets.Tensors:
    """Return the tensors by their official keys."""
    return shipped.checkpoint() if name == SHIPPED else token_nets.checkpoint(*SHAPES[name], seed=SEED)


def table(name: str) -> npt.NDArray[np.float32]:
    """Return LN(embedding; ln0) [V, D]."""
    tensors = checkpoint(name)
    if name == SHIPPED:
        return np.asarray(tensors["emb.weight"].numpy())
    norm = (tensors[f"blocks.0.ln0.{role}"].double() for role in ("weight", "bias"))
    x = torch.nn.functional.layer_norm(tensors["emb.weight"].double(), (SHAPES[name].width,), *norm, EPS)
    return np.asarray(x.float().numpy())


def model_file(name: str, precision: str) -> Path:
    """Return the model file of a shape in "float32", "int8", "int4" (groups of 32) or "int4/128"."""

    def make(path: Path) -> None:
        made = shipped.document() if name == SHIPPED else _document(name)
        weights, _, group = precision.partition("/")
        (made if weights == "float32" else quantize(made, weights, group=int(group or 32))).save(path)

    if name == SHIPPED and precision in shipped.FILES:
        return locate(shipped.FILES[precision])
    return cached(f"{name}-{precision.replace('/', '-')}.safetensors", make, "ours")


def _document(name: str) -> Document:
    shape, tensors = SHAPES[name], checkpoint(name)
    plan = Plan(shape.layers, shape.width, 4 * shape.width, shape.vocab, spiking=True, rescale=True, binarise=False)
    return token_model(plan, lambda key: tensors[key].numpy())


def trace(name: str, *, spiking: bool = True) -> Trace:
    """Return what the first tokens should give; without neurons there is no rescaling either."""

    def make(path: Path) -> None:
        tokens = tokens_of(name, TOKENS)
        own = table(name) if spiking and name == SHIPPED else None
        found = token_nets.run(checkpoint(name), tokens, rescale=spiking, spiking=spiking, table=own)
        values = {key: found.stacked(key) for key in ("logits", "att", "ffn")}
        if spiking:
            values |= {key: values[key] > 0 for key in ("att", "ffn")}
        net = torch_form(name)
        state = net.state()
        net.step(int(tokens[0]), state)
        first = np.stack([state[0][key].numpy() for key in FIRST.values()])
        np.savez(path, tokens=tokens, margin=found.margin, first=first, **values)

    with np.load(cached(f"{name}-{'trace' if spiking else 'rwkv4'}.npz", make)) as file:
        return Trace(**{key: file[key] for key in Trace._fields})


def torch_form(name: str) -> SpikeGPT:
    """Return the module of `edgesnn.models.spikegpt`."""
    shape = SHAPES[name]
    with torch.device("meta"):
        net = SpikeGPT(SpikeGPTConfig(shape.vocab, shape.layers, shape.width, binarise=False, rescale=True))
    net.load_state_dict(checkpoint(name), assign=True)
    if name == SHIPPED:
        net.blocks[0].ln0 = torch.nn.Identity()  # it is in the table
    return net


def tokens_of(name: str, count: int) -> npt.NDArray[np.int64]:
    """Return random tokens, or text for the shipped model."""
    if name == SHIPPED:
        tokenizer = make_tokenizer(shipped.document().input["tokenizer"])
        return np.resize(np.asarray(encode(tokenizer, TEXT), np.int64), count)
    return np.random.default_rng(SEED).integers(0, SHAPES[name].vocab, count)


def cached(file: str, make: Callable[[Path], None], makers: str = "others") -> Path:
    """Return the path of a file in the cache, made first where it is not there."""
    path = folder(makers) / file
    if not path.is_file():
        print(f"  making {file}", flush=True)
        draft = path.with_name(f"draft-{file}")
        make(draft)
        draft.rename(path)
    return path


@lru_cache
def folder(makers: str) -> Path:
    """Return the folder of these makers as they are now."""
    base = Path(os.environ.get("EDGESNN_BENCH_CACHE") or Path.home() / ".cache/edgesnn-bench")
    digest = hashlib.sha256()
    for maker in MAKERS[makers]:
        path = common.ROOT / maker
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(source.read_bytes())
    own = base / f"tokens-{makers}-{digest.hexdigest()[:12]}"
    own.mkdir(parents=True, exist_ok=True)
    os.utime(own)
    for old in base.glob("tokens-*"):
        if old.stat().st_mtime < time.time() - UNUSED_S:
            shutil.rmtree(old)
    return own
