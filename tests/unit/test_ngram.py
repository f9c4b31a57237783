"""The n-gram baseline against its equation, written with dictionaries."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from edgesnn.train.text.ngram import NGram


def literal(train, test, vocab, order):
    followers = defaultdict(Counter)
    for k in range(order):
        for i in range(k, len(train)):
            followers[tuple(train[i - k : i])][train[i]] += 1
    bits = []
    for i, token in enumerate(test):
        p = 1 / vocab
        for k in range(min(order, i + 1)):
            after = followers.get(tuple(test[i - k : i]))
            if after:
                p = (after[token] + len(after) * p) / (sum(after.values()) + len(after))
        bits.append(-math.log2(p))
    return bits


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize(("length", "vocab"), [(1, 4), (3, 2), (200, 3), (500, 40)])
def test_the_equation(order, length, vocab):
    rng = np.random.default_rng([order, length, vocab])
    train, test = rng.integers(0, vocab, length) ** 2 % vocab, rng.integers(0, vocab, 60)
    found = NGram(train, vocab, order).bits(test)
    np.testing.assert_allclose(found, literal(train.tolist(), test.tolist(), vocab, order), rtol=1e-12)


def test_probabilities_sum_to_one():
    rng = np.random.default_rng(5)
    model = NGram(rng.integers(0, 6, 300), 6, 3)
    ends = [model.bits(np.array([2, 3, last]))[-1] for last in range(6)]
    assert sum(2.0**-bits for bits in ends) == pytest.approx(1)


def test_an_order_that_no_integer_holds_is_shortened():
    assert NGram(np.arange(100), 50_000, 9).order == 3
    assert NGram(np.zeros(0, np.int64), 5, 3).bits(np.array([1, 2])).tolist() == [math.log2(5)] * 2
