"""Whether an engine computes the network: its answers beside those of the equations in float64.

float32 logits are within LOGITS. Integer weights cannot give them: where a current is by a threshold, rounding turns a
spike over, and with random weights everything after it changes. Their states of the first block after the first token
are as near as rounding lets them be (STATES; all seven matrices of a block are in them), and their first logits
correlate. Our own also have the bits of the slow reference.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import shapes

LOGITS = 1e-4
STATES = {"int8": 0.2, "int4": 0.5}  # of the length of a state; that of nothing at all is 1 away
CORRELATION = 0.3


def compare(
    expected: shapes.Trace, precision: str, logits: Any, spikes: Any = None, first: Any = None
) -> dict[str, float]:
    """Return how near the answers are.

    Args:
        expected: what they should be.
        precision: of the weights.
        logits: [T, V].
        spikes: [T, 2 L, D] of all neurons, if they are known.
        first: states of the first block after the first token, [6, D]; needed for integer weights.

    Raises:
        AssertionError: too far away.
    """
    found = {
        "gap": float(np.abs(logits - expected.logits).max()),
        "correlation": float(np.corrcoef(logits[0], expected.logits[0])[0, 1]),
    }
    if spikes is not None:
        wanted = np.concatenate([expected.att, expected.ffn], axis=1)
        assert 0.02 < wanted.mean() < 0.8, f"{wanted.mean():.1%} of the neurons fire"
        found["spikes"] = float((spikes == wanted).mean())
    if precision == "float32":
        assert found["gap"] <= LOGITS, f"float32 logits are {found['gap']:.2g} away"
        return found
    gaps = np.linalg.norm(first - expected.first, axis=1) / np.linalg.norm(expected.first, axis=1)
    found["states"] = float(gaps.max())
    assert found["states"] <= STATES[precision], f"{precision} states are {gaps} away"
    assert found["correlation"] >= CORRELATION, f"{precision} logits correlate by {found['correlation']:.2g}"
    return found
