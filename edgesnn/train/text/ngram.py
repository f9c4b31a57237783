"""The baseline beside a token model: an n-gram that backs off by Witten and Bell (1991, method C), interpolated.

    p_k(w | c) = (count(c w) + kinds(c) p_{k-1}(w | c without its first)) / (count(c) + kinds(c))
    p_{-1} = 1 / V

`c` are the k tokens before w, `kinds(c)` how many different tokens followed c. One never
seen has p_{k-1}.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
_KEYS = 2**62


@dataclass(frozen=True)
class _Counts:
    """Of one length of context: sorted keys of contexts and of contexts with their next token."""

    contexts: Ids
    seen: Ids
    kinds: Ids
    pairs: Ids
    pair_seen: Ids


class NGram:
    """Counts of a text's n-grams.

    Args:
        tokens: integers of 0 to vocab - 1, [T].
        vocab: V.
        order: n, the longest n-gram; fewer where vocab^n does not fit an integer.
    """

    def __init__(self, tokens: npt.NDArray[np.integer], vocab: int, order: int) -> None:
        self.vocab = vocab
        self.order = max(n for n in range(1, order + 1) if n == 1 or vocab**n < _KEYS)
        ids = np.asarray(tokens, np.int64)
        self._counts = [self._count(ids, k) for k in range(min(self.order, len(ids)))]

    def bits(self, tokens: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """Return the surprise of each token after those before it, -log2 p, float64 [T]."""
        ids = np.asarray(tokens, np.int64)
        p = np.full(len(ids), 1.0 / self.vocab)
        for k, counts in enumerate(self._counts[: len(ids)]):
            contexts = _keys(ids, k, self.vocab)
            pairs = contexts * self.vocab + ids[k:]
            seen, kinds = _look(counts.contexts, counts.seen, contexts), _look(counts.contexts, counts.kinds, contexts)
            with np.errstate(invalid="ignore"):
                better = (_look(counts.pairs, counts.pair_seen, pairs) + kinds * p[k:]) / (seen + kinds)
            p[k:] = np.where(seen > 0, better, p[k:])
        surprise: npt.NDArray[np.float64] = -np.log2(p)
        return surprise

    def _count(self, ids: Ids, k: int) -> _Counts:
        contexts = _keys(ids, k, self.vocab)
        pairs, pair_seen = np.unique(contexts * self.vocab + ids[k:], return_counts=True)
        owners, first, kinds = np.unique(pairs // self.vocab, return_index=True, return_counts=True)
        return _Counts(owners, np.add.reduceat(pair_seen, first), kinds, pairs, pair_seen)


def _keys(ids: Ids, k: int, vocab: int) -> Ids:
    """Return the k tokens before each token from the k-th on, as one integer [T - k]."""
    keys = np.zeros(len(ids) - k, np.int64)
    for j in range(k):
        keys = keys * vocab + ids[j : len(ids) - k + j]
    return keys


def _look(keys: Ids, values: Ids, wanted: Ids) -> Ids:
    """Return the values of the wanted keys, 0 of those that are absent."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)
