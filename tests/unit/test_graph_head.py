"""A head on pooled state: what it computes, what it leaves as it was, and what cannot have one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgesnn import TokenStream
from edgesnn.errors import ModelError, UsageError
from edgesnn.graph import Document, read, with_head
from edgesnn.quantize import quantize
from edgesnn.runtime import Model
from edgesnn.tokens import encode, generate, make_tokenizer, score
from tests.one_operator import document as one
from tests.token_models import TOKENIZER, classifier, writer

LINES = ["gate ready", "", "pump 12 is on", "gate ready"]
RNG = np.random.default_rng(5)
WEIGHT, BIAS = RNG.normal(0, 1, (3, 48)).astype(np.float32), RNG.normal(0, 1, 3).astype(np.float32)
LABELS = ["idle", "fine", "hot"]


def with_three(document: Document, **changes: Any) -> Document:
    return with_head(document, LABELS, WEIGHT, BIAS, **changes)


def by_hand(document: Document, pool: str, begins_anew: bool) -> list[np.ndarray]:
    """Return the scores of each line from the value that is pooled, token by token, in float64."""
    session, tokenizer = Model(document).session(record=["both"]), make_tokenizer(TOKENIZER)
    made, first = [], True
    for line in filter(None, LINES):
        if begins_anew:
            session.reset()
        front = "\n" if first or begins_anew else ""
        first = False
        seen = []
        for token in encode(tokenizer, f"{front}{line}\n"):
            session.step(token)
            seen.append(np.asarray(session.recorded["both"], np.float64))
        x = np.mean(seen, axis=0) if pool == "mean" else seen[-1]
        made.append(WEIGHT.astype(np.float64) @ x + BIAS)
    return made


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("pool", ["mean", "last"])
@pytest.mark.parametrize("reset", ["never", "line"])
def test_scores_are_a_matrix_times_the_mean_of_the_lines_tokens(reset: str, pool: Any, backend: str) -> None:
    document = writer(reset=reset)
    session = Model(with_three(document, pool=pool), backend=backend).session()
    made = [line.scores for line in score(session, LINES) if line.count]
    for found, wanted in zip(made, by_hand(document, pool, reset == "line"), strict=True):
        assert found == pytest.approx(wanted, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("reset", ["never", "line"])
@pytest.mark.parametrize("weights", ["float32", "int8", "int4"])
def test_the_surprise_is_what_it_was_before(weights: Any, reset: str) -> None:
    before = writer(reset=reset)
    after = with_three(before)
    if weights != "float32":
        before, after = quantize(before, weights), quantize(after, weights)
    for old, new in zip(*(score(Model(each).session(), LINES) for each in (before, after)), strict=True):
        assert (old.bits.tolist(), old.mean, old.spans) == (new.bits.tolist(), new.mean, new.spans)


@pytest.mark.parametrize("weights", ["float32", "int8", "int4"])
def test_both_backends_give_the_same_bits(weights: Any) -> None:
    document = with_three(writer())
    document = document if weights == "float32" else quantize(document, weights)
    native, reference = (
        [line.scores for line in score(Model(document, backend=name).session(), LINES) if line.count]
        for name in ("native", "reference")
    )
    for one_score, other in zip(native, reference, strict=True):
        np.testing.assert_array_equal(one_score, other)


def test_without_surprise_what_only_logits_need_is_left_out() -> None:
    document = with_three(writer(), logits=False)
    assert document.outputs == ("scores",)
    assert "head" not in {node.name for node in document.nodes}
    assert not any(name.startswith("head.") for name in document.tensors)
    slow, quick = (TokenStream(None, Model(with_three(writer(), logits=logits))) for logits in (True, False))
    for line in LINES:
        one_row, other = slow.push(line), quick.push(line)
        assert (one_row.label, one_row.topk) == (other.label, other.topk)
        assert other.tokens is not None
        assert other.tokens.bits_per_token is None


def test_it_still_writes_the_text_that_it_wrote() -> None:
    texts = [
        "".join(piece.text for piece in generate(Model(document).session(), "gate", tokens=20, seed=3))
        for document in (writer(), with_three(writer()))
    ]
    assert texts[0] == texts[1]
    with pytest.raises(ModelError, match="the model predicts no tokens"):
        generate(Model(with_three(writer(), logits=False)).session(), "gate")


def test_a_mean_over_so_many_tokens() -> None:
    """Policy tokens: the mean begins anew after every seven, wherever lines end."""
    document = with_three(writer(), reset={"policy": "tokens", "tokens": 7})
    session = Model(writer()).session(record=["both"])
    ids = encode(make_tokenizer(TOKENIZER), "\n" + "".join(f"{line}\n" for line in LINES if line))
    session.run(ids)
    ends = np.flatnonzero(np.array(ids) == 0)[1:]
    made = [line.scores for line in score(Model(document).session(), LINES) if line.count]
    for end, found in zip(ends.tolist(), made, strict=True):
        first = end // 7 * 7  # of the tokens since the last reset; one at the line's very end is of those before it
        x = session.recorded["both"][first : end + 1].astype(np.float64).mean(axis=0)
        assert found == pytest.approx(WEIGHT.astype(np.float64) @ x + BIAS, rel=1e-4, abs=1e-4)


def test_a_prediction_has_label_and_confidence(tmp_path: Any) -> None:
    with_three(writer(), readout={"temperature": 2.0, "rejection": 0.5}).save(tmp_path / "head.safetensors")
    document = read(tmp_path / "head.safetensors")
    stream = TokenStream(None, Model(document))
    lines = [line for line in score(Model(document).session(), LINES) if line.count]
    rows = [row for row in map(stream.push, LINES) if row.decision != "idle"]
    for row, line in zip(rows, lines, strict=True):
        p = np.exp(np.asarray(line.scores, np.float64) / 2)
        p /= p.sum()
        best = int(p.argmax())
        assert row.topk is not None
        assert row.topk[0] == (LABELS[best], pytest.approx(p[best], rel=1e-5))
        if p[best] >= 0.5:
            assert (row.label, row.class_index, row.confidence) == (LABELS[best], best, row.topk[0][1])
        else:
            assert (row.decision, row.label) == ("none", None)


WRONG: list[tuple[Any, dict[str, Any], str]] = [
    (classifier(), {}, "the model decides already"),
    (one("accumulate", [3]), {}, "input.kind is wrong"),
    (writer(), {"of": "nowhere"}, "input 'nowhere' is made by no node"),
    (writer(), {"of": "key"}, "scores"),
    (writer(), {"reset": "word"}, "reset policy is not known"),
    (writer(), {"readout": {"rejection": 2}}, "readout.rejection is wrong"),
]


@pytest.mark.parametrize(("document", "changes", "message"), WRONG)
def test_what_cannot_have_a_head_is_refused(document: Document, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        with_three(document, **changes)


def test_labels_and_pools_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ModelError, match=r"readout.labels is wrong"):
        with_head(writer(), LABELS[:2], WEIGHT, BIAS)
    with pytest.raises(ModelError):
        with_head(writer(), LABELS, WEIGHT[:, :-1], BIAS)
    with pytest.raises(UsageError, match="no such pool"):
        with_three(writer(), pool="most")
