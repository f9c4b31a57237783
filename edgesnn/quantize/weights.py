"""Weights to int8, round to nearest, one scale per output channel (docs/arithmetic.md, section 3).

q = max|w[n]| / 127 in float64; w8 = rint(w / q), half to even; the new scale is scale[n] * q, in float64, rounded to
float32. Biases, thresholds and decays stay float32. A channel of zeros keeps its scale.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgesnn.graph import FORMAT_VERSION, Document
from edgesnn.graph.tensors import store


def quantize(document: Document, weights: Literal["int8"] = "int8") -> Document:
    """Return a new document whose float32 matrices are int8; the given one is not changed.

    Args:
        document: any model; matrices that are int8 already are kept.
        weights: "int8".

    Returns:
        The document, with `provenance["quantized"]` saying from which model.
    """
    tensors = dict(document.tensors)
    for node in document.nodes:
        if "weight" not in node.tensors or document.tensors[node.tensors["weight"]].data.dtype != np.float32:
            continue
        weight, scale = node.tensors["weight"], node.tensors["scale"]
        matrix, step = quantize_rows(document.unpack(weight))
        tensors[weight] = store(matrix, "im")
        tensors[scale] = store((document.unpack(scale).astype(np.float64) * step).astype(np.float32), "vector")
    provenance = {**document.provenance, "quantized": {"from": document.identity, "weights": weights}}
    return dataclasses.replace(document, tensors=tensors, provenance=provenance, format_version=FORMAT_VERSION)


def quantize_rows(matrix: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]:
    """Return (int8 [N, K] in [-127, 127], float64 [N] quantisation steps) of a float32 matrix [N, K].

    >>> q, step = quantize_rows(np.array([[1.0, -0.5], [0.0, 0.0]], dtype=np.float32))
    >>> q.tolist(), step.round(6).tolist()
    ([[127, -64], [0, 0]], [0.007874, 1.0])
    """
    wide = matrix.astype(np.float64)
    largest = np.abs(wide).max(axis=1)
    step = np.where(largest > 0, largest / 127.0, 1.0)
    return np.clip(np.rint(wide / step[:, None]), -127, 127).astype(np.int8), step
