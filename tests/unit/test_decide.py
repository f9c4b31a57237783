"""Decide: the native form equals the readable one bit for bit, and both follow the written rule."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn import _native
from edgesnn.errors import ModelError
from edgesnn.runtime.arithmetic import exp32, lane_sum, softmax32
from edgesnn.runtime.decide import Decide, Readout

shares = st.floats(0, 1, width=32)
finite = st.floats(-200, 200, width=32)


@st.composite
def readouts(draw: st.DrawFn) -> Readout:
    return Readout(
        labels=tuple("abcdefghijklmnopqrstuvwxyz"[: draw(st.integers(1, 20))]),
        temperature=draw(st.floats(0.015625, 8, width=32)),
        rejection=draw(shares),
        onset_confidence=draw(shares),
        onset_windows=draw(st.integers(1, 4)),
        offset_confidence=draw(shares),
        offset_windows=draw(st.integers(1, 4)),
    )


@settings(max_examples=200)
@given(readouts(), st.data())
def test_native_and_readable_decide_agree_bit_for_bit(readout: Readout, data: st.DataObject) -> None:
    native, plain = _native.pipeline.Decide(readout), Decide(readout)
    row = st.lists(finite, min_size=len(readout.labels), max_size=len(readout.labels))
    for scores in data.draw(st.lists(st.none() | row, max_size=12)):
        given_scores = None if scores is None else np.array(scores, dtype=np.float32)
        verdict, active, probabilities = native.push(given_scores)
        expected = plain.push(given_scores)
        assert (verdict, active) == (expected.verdict, expected.active)
        wanted = np.zeros(0, np.float32) if expected.probabilities is None else expected.probabilities
        assert np.array(probabilities, np.float32).tobytes() == wanted.tobytes()


def scores(best: int, margin: float = 9.0) -> np.ndarray:
    row = np.zeros(3, dtype=np.float32)
    row[best] = margin
    return row


def test_a_label_begins_after_its_onset_windows_and_ends_after_its_offset_windows() -> None:
    readout = Readout(("a", "b", "c"), rejection=0.5, onset_confidence=0.6, onset_windows=2, offset_windows=2)
    decide = Decide(readout)
    inputs = [scores(0), scores(0), None, scores(0), None, None, scores(1), scores(2), scores(2), scores(2, 0.1)]
    got = [decide.push(row) for row in inputs]
    i, n, y = "idle", "none", "label"
    assert [d.verdict for d in got] == [n, y, i, y, i, i, n, n, y, y]
    assert [d.active for d in got] == [None, 0, None, 0, None, None, None, None, 2, 2]


def test_another_label_takes_over_without_a_gap() -> None:
    decide = Decide(Readout(("a", "b", "c"), onset_windows=2, offset_windows=9))
    assert [decide.push(scores(i)).active for i in (0, 0, 1, 1, 1)] == [None, 0, 0, 1, 1]


def test_scores_that_are_not_numbers_are_refused() -> None:
    decide = _native.pipeline.Decide(Readout(("a", "b")))
    for bad in (math.nan, math.inf):
        with pytest.raises(ModelError, match="not finite"):
            decide.push(np.array([0.0, bad], dtype=np.float32))
    with pytest.raises(ModelError, match="another number of scores"):
        decide.push(np.zeros(3, dtype=np.float32))


@pytest.mark.parametrize(
    "field", [{"temperature": 0.0}, {"temperature": math.nan}, {"rejection": 1.5}, {"onset_windows": 0}]
)
def test_a_readout_that_cannot_decide_is_refused(field: dict[str, float]) -> None:
    with pytest.raises(ModelError, match=next(iter(field)).replace("_", ".")):
        _native.pipeline.Decide(Readout(("a", "b"), **field))  # type: ignore[arg-type]


def test_exp32_is_within_one_ulp_of_the_true_exponential() -> None:
    x = np.linspace(-87.3, 88.7, 200_001, dtype=np.float32)
    true = np.exp(x.astype(np.float64))
    error = np.abs(exp32(x).astype(np.float64) - true) / np.spacing(true.astype(np.float32))
    assert error.max() <= 1.0
    assert exp32(np.float32(-88)) == 0
    assert np.isinf(exp32(np.float32(89)))


def test_softmax_sums_to_one_and_ignores_a_common_shift() -> None:
    row = np.random.default_rng(0).normal(0, 5, 11).astype(np.float32)
    assert lane_sum(softmax32(row)) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(softmax32(row), softmax32(row + np.float32(16)), rtol=1e-5)
