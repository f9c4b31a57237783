"""Tokens: text, log lines and numbers as token ids, and back.

`registry.py` lists the tokenizers, `tokenizers/` has one file each; `masks.py` is what a model does not see of a line.
`generation.py` writes text with `sampling.py`, over `probability.py`; `surprise.py` scores lines.
`lines.py` cuts bytes into lines, `sources/` has one file a kind of source.
docs/tokens.md is the page. May import encode (random numbers), events (addresses), mqtt and the ground floor. The names
here are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgesnn.tokens.generation import generate
    from edgesnn.tokens.masks import MASKS, mask
    from edgesnn.tokens.registry import make_tokenizer
    from edgesnn.tokens.sampling import Sampler, Sampling
    from edgesnn.tokens.surprise import LineScore, alert_threshold, score
    from edgesnn.tokens.tokenizers.base import decode, encode

_PUBLIC = {
    "LineScore": "edgesnn.tokens.surprise",
    "MASKS": "edgesnn.tokens.masks",
    "Sampler": "edgesnn.tokens.sampling",
    "Sampling": "edgesnn.tokens.sampling",
    "alert_threshold": "edgesnn.tokens.surprise",
    "decode": "edgesnn.tokens.tokenizers.base",
    "encode": "edgesnn.tokens.tokenizers.base",
    "generate": "edgesnn.tokens.generation",
    "make_tokenizer": "edgesnn.tokens.registry",
    "mask": "edgesnn.tokens.masks",
    "score": "edgesnn.tokens.surprise",
}

__all__ = [
    "MASKS",
    "LineScore",
    "Sampler",
    "Sampling",
    "alert_threshold",
    "decode",
    "encode",
    "generate",
    "make_tokenizer",
    "mask",
    "score",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'edgesnn.tokens' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
