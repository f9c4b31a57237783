"""A session of a token model, as this room uses it: which output has the logits, many tokens in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError
from edgesnn.tokens.registry import make_tokenizer
from edgesnn.tokens.tokenizers.base import Tokenizer

_MOST_LOGITS = 1 << 22  # that a call gives


class TokenSession(Protocol):
    """What this room needs of an `edgesnn.Session`."""

    model: Any

    @property
    def state(self) -> Any: ...

    @property
    def spikes(self) -> int: ...

    @property
    def synops(self) -> int: ...

    @property
    def macs(self) -> int: ...

    def step(self, x: Any = None) -> Any: ...

    def run(self, xs: Any = None, *, active: Any = None, keep: Any = "all") -> Any: ...


def logits_output(model: Any) -> str | None:
    """Return the name of the output that has a float32 value for each id of the vocabulary; None: there is none.

    Raises:
        ModelError: the model does not read tokens.
    """
    if model.input["kind"] != "tokens":
        found = f"input of kind {model.input['kind']!r}"
        raise ModelError("the model reads no tokens", where=model.document.where, found=found, expected="kind 'tokens'")
    readout = model.readout["node"] if model.readout is not None else None
    fits = [n for n, v in model.outputs.items() if v.kind == "float32" and v.shape == (model.input["vocab"],)]
    return next((name for name in fits if name != readout), None)


def need_logits(model: Any) -> str:
    """Return `logits_output`, or raise a ModelError."""
    name = logits_output(model)
    if name is None:
        expected = f"an output float32[{model.input['vocab']}], one value for each id"
        found = ", ".join(f"{name} {value}" for name, value in model.outputs.items())
        raise ModelError("the model predicts no tokens", where=model.document.where, found=found, expected=expected)
    return name


def tokenizer_of(model: Any) -> Tokenizer:
    """Return the model's tokenizer; raises as `make_tokenizer`."""
    return make_tokenizer(model.input["tokenizer"], model.input["vocab"], model.document.where)


def output(given: Any, name: str) -> npt.NDArray[Any]:
    """Return one output of what `step` or `run` gave."""
    array: npt.NDArray[Any] = given[name] if isinstance(given, dict) else given
    return array


def pieces(tokens: Sequence[int], vocab: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the tokens in pieces whose logits take little memory."""
    array = np.asarray(tokens, dtype=np.int64)
    size = max(1, _MOST_LOGITS // vocab)
    for start in range(0, len(array), size):
        yield array[start : start + size]
