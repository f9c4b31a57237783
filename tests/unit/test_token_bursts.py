"""Lines of several keys that wait at once: one pass over the weights for all of them, and nothing else changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn import TokenStream
from edgesnn.errors import ModelError
from edgesnn.graph import with_head
from edgesnn.pipeline import token_stream
from edgesnn.quantize import quantize
from edgesnn.runtime import Model
from edgesnn.tokens.lines import Line
from edgesnn.tokens.sources.base import Mark, Place
from edgesnn.tokens.surprise import LineScorer
from edgesnn.tokens.together import Ran, Work, alone, together
from tests.token_models import classifier, writer
from tests.unit.test_token_stream import facts

HEAD = with_head(writer(), ["a", "b"], np.random.default_rng(3).normal(0, 1, (2, 48)), [0, 0])
MODELS = {
    "float32": Model(writer(reset={"policy": "tokens", "tokens": 5})),
    "int8 by line": Model(quantize(writer(reset="line"), "int8")),
    "reference": Model(writer(), backend="reference"),
    "head": Model(quantize(HEAD, "int4")),
    "leaky head": Model(classifier("never")),
    "without logits": Model(with_head(writer(), ["a", "b"], np.ones((2, 48)), [0, 0], logits=False)),
}


class Bursts:
    """Lines of topics that come in lists."""

    where, live, coming = "bursts", False, 0

    def __init__(self, bursts: list[list[tuple[str, str]]]) -> None:
        self._bursts = [[Line(text.encode(), key) for key, text in burst] for burst in bursts]

    @property
    def counters(self) -> dict[str, int]:
        return {}

    def read(self, wait_s: float) -> list[Line] | None:
        return self._bursts.pop(0) if self._bursts else None

    def mark(self, place: Place) -> Mark | None:
        return None

    def seek(self, mark: Mark | None) -> Place | None:
        return None

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def small_models_are_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_stream, "_WIDE_BYTES", 0)


def one_by_one(model: Model, bursts: list[list[tuple[str, str]]], **options: Any) -> tuple[list[Any], list[bytes]]:
    """Return the facts of each prediction of pushed lines, and the snapshots before and after each."""
    stream = TokenStream(None, model, key="origin", **options)
    made, blobs = [], [stream.snapshot()]
    for burst in bursts:
        for key, text in burst:
            made.append(facts(stream.push(text, key)))
            blobs.append(stream.snapshot())
    return made, blobs


LINES = st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["x", "7 8", "", "ok", "a longer line of words"]))
BURSTS = st.lists(st.lists(LINES, max_size=20), max_size=4)


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=25)
@given(bursts=BURSTS, sessions=st.integers(1, 9))
def test_bursts_are_predicted_as_lines_one_by_one(name: str, bursts: Any, sessions: int) -> None:
    model = MODELS[name]
    wanted, blobs = one_by_one(model, bursts, sessions=sessions)
    stream = TokenStream(Bursts(bursts), model, key="origin", sessions=sessions)
    assert [facts(row) for row in stream] == wanted
    assert stream.snapshot() == blobs[-1]
    counters = stream.counters
    assert (counters["lines"], counters["pending"]) == (len(wanted), 0)


@settings(max_examples=25)
@given(bursts=BURSTS, cut=st.integers(0, 60), again=st.booleans())
def test_a_snapshot_between_predictions_of_a_burst_is_of_the_lines_given(bursts: Any, cut: int, again: bool) -> None:
    model = MODELS["head"]
    wanted, blobs = one_by_one(model, bursts, sessions=6)
    cut = min(cut, len(wanted))
    stream = TokenStream(Bursts(bursts), model, key="origin", sessions=6)
    begun = [facts(next(stream)) for _ in range(cut)]
    assert stream.counters["lines"] == cut
    assert stream.snapshot() == blobs[cut]
    rest = [line for burst in bursts for line in burst][cut:]
    if again:
        stream = TokenStream(Bursts([rest]), model, key="origin", sessions=6)
        stream.restore(blobs[cut])
    assert begun + [facts(row) for row in stream] == wanted


def test_short_lines_of_many_keys_share_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    plain = Model.step_many

    def counted(self: Model, sessions: Any, xs: Any = None, *, active: Any = None) -> Any:
        calls.append(len(sessions))
        return plain(self, sessions, xs, active=active)

    monkeypatch.setattr(Model, "step_many", counted)
    burst = [(key, "7") for key in "abcdefgh"]
    made = list(TokenStream(Bursts([burst, burst]), MODELS["float32"], key="origin"))
    assert len(made) == 16
    assert calls == [8] * 5  # a line's end in front of the first lines, then two tokens a line
    calls.clear()
    list(TokenStream(Bursts([[(key, "a long line " * 9) for key in "abcdefgh"]]), MODELS["float32"], key="origin"))
    list(TokenStream(Bursts([burst]), MODELS["float32"]))
    monkeypatch.setattr(token_stream, "_WIDE_BYTES", 1 << 40)
    list(TokenStream(Bursts([burst]), MODELS["float32"], key="origin"))
    assert calls == []  # runs of long lines read the weights less often
    monkeypatch.setattr(token_stream, "_WIDE_BYTES", 0)
    mixed = [*((key, "long line " * 9) for key in "abcd"), *burst]
    wanted = one_by_one(MODELS["float32"], [mixed])[0]
    assert [facts(row) for row in TokenStream(Bursts([mixed]), MODELS["float32"], key="origin")] == wanted
    assert max(calls) == 8  # the short ones, after the long ones one by one


def test_an_error_comes_after_the_predictions_before_it_and_the_sessions_stay() -> None:
    model = Model(writer())

    class Failing(LineScorer):
        def work(self, data: bytes, idle_ms: float | None = None) -> Any:
            made = yield from super().work(data, idle_ms)
            if data == b"bad":
                raise ModelError("the model gives values that are not numbers", where="logits")
            return made

    burst = [("a", "x"), ("b", "y"), ("c", "bad"), ("d", "z")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgesnn.pipeline.token_sessions.LineScorer", Failing)
        stream = TokenStream(Bursts([burst]), model, key="origin")
        begun = [facts(next(stream)) for _ in range(2)]
        with pytest.raises(ModelError, match="not numbers"):
            next(stream)
        assert (stream.counters["lines"], stream.counters["sessions"]) == (2, 3)
    assert begun == one_by_one(model, [burst[:2]])[0]


@pytest.mark.parametrize("name", ["float32", "int8 by line", pytest.param("reference", marks=pytest.mark.full)])
@settings(max_examples=25)
@given(lengths=st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=3), min_size=1, max_size=20))
def test_work_together_gives_the_bits_and_counts_of_work_alone(name: str, lengths: list[list[int]]) -> None:
    model = MODELS[name]
    rng = np.random.default_rng(sum(map(sum, lengths)))
    tokens = [[rng.integers(0, 40, n) for n in own] for own in lengths]

    def work(own: list[Any]) -> Work[list[Ran]]:
        ran = []
        for piece in own:
            ran.append((yield piece))
        return ran

    sessions = [model.session() for _ in tokens]
    made = together([work(own) for own in tokens], sessions, "all")
    for own, session, ran in zip(tokens, sessions, made, strict=True):
        other = model.session()
        for one, wanted in zip(ran, alone(work(own), other, "all"), strict=True):
            np.testing.assert_array_equal(one.outputs, wanted.outputs)
            assert one[1:] == wanted[1:]
        assert session.snapshot() == other.snapshot()
