"""Choosing tokens: which ones remain, how often each is drawn, and what the probabilities are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn.errors import ModelError, UsageError
from edgesnn.tokens import Sampler, Sampling
from edgesnn.tokens.probability import surprise_bits, weights

LOGITS = np.array([1.0, 3.0, 2.0, -1.0, 3.0, 0.5], dtype=np.float32)


def softmax(x: Any) -> Any:
    e = np.exp(np.asarray(x, np.float64) - np.max(x))
    return e / e.sum()


def drawn(sampling: Sampling, logits: Any = LOGITS, count: int = 4000) -> np.ndarray[Any, Any]:
    sampler = Sampler(sampling)
    return np.bincount([sampler.pick(logits) for _ in range(count)], minlength=len(logits)) / count


@settings(max_examples=200)
@given(st.lists(st.floats(-200, 200, width=32), min_size=1, max_size=40), st.data())
def test_probabilities_are_those_of_the_softmax(values: list[float], data: st.DataObject) -> None:
    logits = np.array([values], dtype=np.float32)
    token = data.draw(st.integers(0, len(values) - 1))
    exact = softmax(logits[0])
    assert np.allclose(weights(logits)[0] / weights(logits)[0].sum(), exact, atol=1e-11)
    x = logits[0].astype(np.float64)
    wanted = (np.log(np.exp(x - x.max()).sum()) - (x[token] - x.max())) / np.log(2)
    assert surprise_bits(logits, np.array([token]))[0] == pytest.approx(wanted, rel=1e-12, abs=1e-10)


def test_surprise_of_sure_and_of_hopeless_tokens_is_finite() -> None:
    logits = np.array([[0.0, -3e38], [0.0, -3e38]], dtype=np.float32)
    bits = surprise_bits(logits, np.array([0, 1]))
    assert bits[0] == 0
    assert 1e38 < bits[1] < np.inf


def test_greedy_takes_the_first_of_the_most_probable_and_draws_nothing() -> None:
    sampler = Sampler(Sampling(temperature=0))
    assert [sampler.pick(LOGITS) for _ in range(3)] == [1, 1, 1]
    assert sampler.draws == 0


def test_tokens_are_drawn_as_often_as_they_are_probable() -> None:
    assert np.allclose(drawn(Sampling(seed=3)), softmax(LOGITS), atol=0.03)
    assert np.allclose(drawn(Sampling(temperature=2.0, seed=4)), softmax(LOGITS / 2), atol=0.03)


def test_top_k_leaves_the_most_probable_and_ties_go_to_the_lower_id() -> None:
    share = drawn(Sampling(top_k=1), count=50)
    assert share[1] == 1
    share = drawn(Sampling(top_k=3, seed=1))
    assert np.allclose(share[[1, 4, 2]], softmax([3, 3, 2]), atol=0.03)
    assert share[[0, 3, 5]].sum() == 0


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("top_p", [0.05, 0.4, 0.8, 0.95])
def test_the_usual_order_cuts_what_the_temperature_has_made(temperature: float, top_p: float) -> None:
    p = softmax(LOGITS / np.float32(temperature))
    ranked = sorted(range(len(p)), key=lambda i: (-p[i], i))
    kept, total = [], 0.0
    for token in ranked:
        kept.append(token)
        total += p[token]
        if total >= top_p:
            break
    share = drawn(Sampling(temperature, top_p=top_p), count=1500)
    assert set(np.flatnonzero(share)) <= set(kept)
    assert np.allclose(share[kept], p[kept] / p[kept].sum(), atol=0.06)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("top_p", [0.05, 0.4, 0.8, 0.95])
def test_the_published_order_cuts_first_and_then_applies_the_temperature(temperature: float, top_p: float) -> None:
    """Sorted probabilities, the first whose sum exceeds top_p is the cut-off, less probable ones go, p^(1/T)."""
    p = softmax(LOGITS)
    ranked = np.sort(p)[::-1]
    cut = ranked[np.argmax(np.cumsum(ranked) > top_p)]
    p = np.where(p < cut, 0, p) ** (1 / temperature)
    share = drawn(Sampling(temperature, top_p=top_p, order="published"), count=1500)
    assert set(np.flatnonzero(share)) <= set(np.flatnonzero(p))
    assert np.allclose(share, p / p.sum(), atol=0.06)


def test_both_orders_are_the_same_without_a_temperature_and_differ_with_one() -> None:
    logits = np.array([4.0, 3.0, 2.0, 1.0], np.float32)
    usual, published = (Sampling(4.0, top_p=0.7, order=order) for order in ("usual", "published"))
    assert np.count_nonzero(drawn(usual, logits)) == 3
    assert np.count_nonzero(drawn(published, logits)) == 2


def test_the_same_seed_draws_the_same_and_goes_on_from_its_count() -> None:
    one, other, third = (Sampler(Sampling(seed=seed)) for seed in (9, 9, 10))
    first = [one.pick(LOGITS) for _ in range(60)]
    assert [other.pick(LOGITS) for _ in range(60)] == first
    assert [third.pick(LOGITS) for _ in range(60)] != first
    other.draws = 20
    assert [other.pick(LOGITS) for _ in range(40)] == first[20:]


def test_draws_are_the_words_of_philox() -> None:
    """Random123's known answer for key 0 and counter 0: 6627e8d5 e169c58d: 0xe169c58d6627e8d5 of 2^64 is 0.8805."""
    uniform = np.zeros(1 << 12, np.float32)
    assert Sampler(Sampling(seed=0)).pick(uniform) == (0xE169C58D6627E8D5 << 12) >> 64


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_are_an_error(bad: float) -> None:
    with pytest.raises(ModelError, match="logits: the model gives values that are not numbers"):
        Sampler(Sampling()).pick(np.array([0.0, bad], np.float32))


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1},
        {"temperature": 1e-308},
        {"temperature": False},
        {"temperature": "1"},
        {"temperature": float("nan")},
        {"top_p": 0},
        {"top_p": 1.5},
        {"top_k": -1},
        {"top_k": 1.0},
        {"seed": -1},
        {"seed": 2**64},
        {"order": "random"},
    ],
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Sampling(**wrong)
