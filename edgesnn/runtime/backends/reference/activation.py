"""activation: elementwise functions (docs/arithmetic.md, section 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesnn.runtime.arithmetic import exp32, sigmoid32
from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator, larger


class Activation(ReferenceOperator):
    """See `edgesnn.graph.operators.activation`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        return (_FUNCTIONS[self.view.attribute("function")](inputs[0]),)


def _relu(x: Array) -> Array:
    return larger(x, np.float32(0))


def _relu2(x: Array) -> Array:
    positive = _relu(x)
    return np.asarray(positive * positive)


def _silu(x: Array) -> Array:
    return np.asarray(x * sigmoid32(x))


_FUNCTIONS = {"relu": _relu, "relu2": _relu2, "sigmoid": sigmoid32, "silu": _silu, "exp": exp32}
