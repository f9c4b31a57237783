"""Percentiles of measured values, without numpy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the smallest of these rising values that `percent` of them do not exceed (nearest rank).

    >>> percentile([1.0, 2.0, 3.0], 50)
    2.0
    """
    rank = max(1, -(-len(ordered) * percent // 100))
    return float(ordered[int(rank) - 1])


def spread(values: Iterable[float]) -> dict[str, float] | None:
    """Return {"p50", "p99"}, None of no values.

    >>> spread([3.0, 1.0, 2.0])
    {'p50': 2.0, 'p99': 3.0}
    """
    ordered = sorted(values)
    return {"p50": percentile(ordered, 50), "p99": percentile(ordered, 99)} if ordered else None
