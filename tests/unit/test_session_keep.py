"""`run(keep=)`: what only outputs need that nobody keeps is not computed; states and kept outputs are the same bits.

And `step_many` with sessions that count: through one pass over the weights, each session counts its own work.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgesnn.graph import Document
from edgesnn.quantize import quantize
from edgesnn.runtime import Model, Session
from tests.small_graphs import recurrent
from tests.token_graphs import spikegpt

TOKENS = np.random.default_rng(0).integers(0, 40, 37)  # more than two chunks of the native executor
HEAD_MACS = 40 * 32


@pytest.fixture(scope="module", params=["float32", "int8", "int4"])
def document(request: pytest.FixtureRequest) -> Document:
    made = spikegpt(2, 32, 40)
    return made if request.param == "float32" else quantize(made, request.param)


@pytest.fixture(params=["native", "reference"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def macs(session: Session, node: str) -> int:
    return next(layer.macs for layer in session.layers if layer.node == node)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("xs", [TOKENS, TOKENS.tolist()], ids=["array", "list"])
def test_the_head_runs_for_what_is_kept_only(document: Document, backend: str, xs: Any, threads: int) -> None:
    model = Model(document, backend=backend)
    every, last, none = (model.session(threads=threads) for _ in range(3))
    outputs = np.asarray(every.run(xs))
    np.testing.assert_array_equal(last.run(xs, keep="last"), outputs[-1])
    assert none.run(xs, keep="none") is None
    assert every.snapshot() == last.snapshot() == none.snapshot()
    assert [macs(s, "head") for s in (every, last, none)] == [37 * HEAD_MACS, HEAD_MACS, 0]
    assert macs(every, "blocks.1.ffn.value") == macs(none, "blocks.1.ffn.value") == 37 * 32 * 128
    np.testing.assert_array_equal(none.step(3), every.step(3))


def test_what_is_recorded_is_computed(document: Document, backend: str) -> None:
    model = Model(document, backend=backend)
    expected = model.session().run(TOKENS)
    session = model.session(record=["head", "ln_out"])
    for keep in ("none", "last"):
        session.reset()
        session.run(TOKENS, keep=keep)  # type: ignore[arg-type]
        np.testing.assert_array_equal(session.recorded["head"], expected)
        assert session.recorded["ln_out"].shape == (37, 32)
        assert macs(session, "head") == 37 * HEAD_MACS


def test_what_a_state_depends_on_lasts() -> None:
    document = spikegpt(2, 32, 40)
    assert {node.name for node in document.nodes} - document.analysis.lasting == {"blocks.1.ffn.sum", "ln_out", "head"}
    graph = recurrent()
    assert {node.name for node in graph.nodes} - graph.analysis.lasting == {"fc", "order"}


@pytest.mark.parametrize("count", [3, 20])
def test_sessions_that_count_share_one_pass_over_the_weights(document: Document, backend: str, count: int) -> None:
    model = Model(document, backend=backend)
    alone, together = ([model.session(account=i != 1) for i in range(count)] for _ in range(2))
    for tokens in TOKENS[: 2 * count].reshape(-1, count) if count == 3 else [TOKENS[:count], TOKENS[-count:]]:
        outputs = model.step_many(together, tokens)
        for i, session in enumerate(alone):
            np.testing.assert_array_equal(session.step(tokens[i]), np.asarray(outputs)[i])
            assert session.layers == together[i].layers
        assert together[1].macs == 0 < together[2].macs
