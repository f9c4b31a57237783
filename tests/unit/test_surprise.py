"""How surprising lines are: against steps by hand, through resets, and with a threshold."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgesnn.errors import ModelError, UsageError
from edgesnn.runtime import Model
from edgesnn.tokens import alert_threshold, encode, make_tokenizer, score
from edgesnn.tokens.resets import Resets
from edgesnn.tokens.surprise import LineScorer
from tests.token_models import TABLE, TOKENIZER, chain, classifier, writer

LINES = ["the valve is open", "", "the valve is shut", "zzzz 99", "the valve is open"]


def by_hand(model: Model, lines: list[str], reset: str) -> list[list[float]]:
    """Return the bits of each line's tokens by single steps and a plain softmax."""
    session, tokenizer = model.session(), make_tokenizer(TOKENIZER)
    made: list[list[float]] = []
    known = None
    for line in filter(str.strip, lines):
        if reset == "line" or known is None:
            session.reset()
            known = np.asarray(session.step(encode(tokenizer, "\n")[0]), np.float64)
        bits = []
        for token in encode(tokenizer, line + "\n"):
            p = np.exp(known - known.max())
            bits.append(-math.log2(p[token] / p.sum()))
            known = np.asarray(session.step(token), np.float64)
        made.append(bits)
    return made


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("reset", ["line", "never"])
def test_bits_are_those_of_steps_by_hand(reset: str, backend: str) -> None:
    model = Model(writer(reset=reset), backend=backend)
    made = [one for one in score(model.session(), LINES) if one.count]
    wanted = by_hand(model, LINES, reset)
    for one, bits in zip(made, wanted, strict=True):
        assert one.bits == pytest.approx(bits, rel=1e-9)
        assert one.total_bits == pytest.approx(sum(bits), rel=1e-9)
        assert one.bits_per_token == pytest.approx(statistics.fmean(bits), rel=1e-9)
    assert (made[0].bits.tolist() == made[-1].bits.tolist()) == (reset == "line")


def test_mean_and_deviation_are_of_the_lines_before() -> None:
    made = list(score(Model(writer()).session(), LINES))
    assert (made[1].count, made[1].total_bits, made[1].bits_per_token, made[1].spans) == (0, None, None, ())
    before = [one.bits_per_token for one in made[:4] if one.bits_per_token is not None]
    assert made[0].mean is None
    assert made[2].deviation is None
    assert made[4].mean == pytest.approx(statistics.fmean(before))
    assert made[4].deviation == pytest.approx(statistics.stdev(before))
    assert [one.first for one in made] == [0, 18, 18, 36, 44]


def test_what_a_model_knows_does_not_surprise_it_and_the_word_that_it_does_not_is_named() -> None:
    text = "ab cd\n"
    following = dict(zip("\n" + text, text, strict=False))
    known, other = score(Model(chain(following)).session(), ["ab cd", "ab xx ab"])
    assert known.total_bits == pytest.approx(0, abs=1e-5)
    assert [span.text for span in known.spans] == ["ab", "cd"]
    assert other.spans[0].text == "xx"
    assert (other.spans[0].first, other.spans[0].last) == (9, 10)
    assert other.spans[0].bits > 30 > other.spans[1].bits


def test_masked_and_dropped_parts_change_nothing() -> None:
    model = Model(writer({"drop_fields": [0], "masks": ["numbers", "addresses"]}))
    one, other = (next(score(model.session(), [line])) for line in ("x 10.0.0.1 took 15", "long 192.168.0.77 took 3"))
    assert one.text == other.text == "<addr> took <num>"
    assert one.bits.tolist() == other.bits.tolist()


@pytest.mark.parametrize("n", [1, 3, 7, 40])
def test_a_reset_after_n_tokens_is_one_whatever_the_lines(n: int) -> None:
    model = Model(writer(reset={"policy": "tokens", "tokens": n}))
    made = [one for one in score(model.session(), LINES) if one.count]
    session, tokenizer = model.session(), make_tokenizer(TOKENIZER)
    ids = encode(tokenizer, "\n" + "".join(line + "\n" for line in LINES if line))
    known, bits = None, []
    for number, token in enumerate(ids):
        if known is not None:
            p = np.exp(known - known.max())
            bits.append(-math.log2(p[token] / p.sum()))
        if number % n == 0:
            session.reset()
        known = np.asarray(session.step(token), np.float64)
    assert np.concatenate([one.bits for one in made]) == pytest.approx(bits, rel=1e-9)


def test_silence_resets_what_the_model_says() -> None:
    model = Model(writer(reset={"policy": "never", "idle_ms": 100}))
    scorer = LineScorer(model.session())
    first = scorer.line(b"the valve").bits.tolist()
    assert scorer.line(b"the valve", 100.0).bits.tolist() != first
    assert scorer.line(b"the valve", None).bits.tolist() != first
    assert scorer.line(b"the valve", 100.5).bits.tolist() == first


def test_only_states_of_a_policy_are_reset() -> None:
    session = Model(writer()).session()
    session.run([3, 4, 5])
    states = session.model.document.states
    before = {name: array.copy() for name, array in session.state.items()}
    mixed = [replace(state, reset="line" if i == 0 else "never") for i, state in enumerate(states)]
    assert not Resets(session, mixed).line(None)  # the others hold what stands before the line
    changed = [name for name, array in session.state.items() if not np.array_equal(array, before[name])]
    assert changed == [states[0].name]
    assert not Resets(session, mixed[1:]).line(None)
    assert Resets(session, [replace(state, reset="line") for state in states]).line(None)
    assert not any(array.any() for name, array in session.state.items() if name != "mixed.pp")


def test_a_classifier_gives_scores_of_the_last_token() -> None:
    model = Model(classifier())
    (line,) = score(model.session(), ["the end"])
    session = model.session()
    for token in encode(make_tokenizer(TOKENIZER), "\nthe end\n"):
        out: Any = session.step(token)
    np.testing.assert_array_equal(line.scores, out["scores"])


@pytest.mark.parametrize("cut", range(6))
def test_saved_and_restored_it_goes_on_with_the_same_bits(cut: int) -> None:
    model = Model(writer())
    lines = [line.encode() for line in LINES]
    whole = [LineScorer(model.session())]
    wanted = [whole[0].line(line) for line in lines]
    session = model.session()
    scorer = LineScorer(session)
    for line in lines[:cut]:
        scorer.line(line)
    other = model.session()
    second = LineScorer(other)
    other.restore(session.snapshot())
    second.load(scorer.save())
    for line, old in zip(lines[cut:], wanted[cut:], strict=True):
        new = second.line(line)
        assert (new.first, new.mean, new.deviation, new.spans) == (old.first, old.mean, old.deviation, old.spans)
        np.testing.assert_array_equal(new.bits, old.bits)


@pytest.mark.parametrize(
    "wrong", [{"counts": np.zeros(2, np.int64)}, {"known": np.zeros(3, np.float32)}, {"running": np.full(3, np.nan)}]
)
def test_what_is_no_saved_scorer_is_refused(wrong: dict[str, Any]) -> None:
    scorer = LineScorer(Model(writer()).session())
    with pytest.raises(ModelError, match="not a saved scorer"):
        scorer.load({**scorer.save(), **wrong})


def test_a_threshold_gives_at_most_so_many_alerts_on_the_normal_log() -> None:
    normal = [float(x) for x in np.random.default_rng(0).normal(3, 1, 500)] + [3.0] * 20
    for alerts in (0, 0.9, 1, 5, 77):
        threshold = alert_threshold(normal, alerts)
        count = sum(bits > threshold for bits in normal)
        assert count <= alerts
        assert count == int(alerts) or threshold == 3.0
    with pytest.raises(UsageError, match="fewer alerts than lines, 1"):
        alert_threshold([1.0], 1)
    with pytest.raises(UsageError, match="the normal log says no threshold"):
        alert_threshold([], 0)


def test_bytes_of_any_kind_are_a_line() -> None:
    made = list(score(Model(writer()).session(), [b"\xff\x00\xfe\r\n", b"a" * 60_000, "\ud800"]))
    assert [one.count for one in made] == [4, 60_001, 4]
    assert all(one.total_bits is not None and math.isfinite(one.total_bits) for one in made)
    assert len(TABLE) > 3
