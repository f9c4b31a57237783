"""When states go back: the policies of a model file, what they are written as, and what a session makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesnn.errors import ModelError
from edgesnn.graph import Builder, Document, read
from edgesnn.graph.text import describe
from edgesnn.runtime import Model

POLICIES: list[tuple[Any, Any, str]] = [
    ("window", "window", "at every window"),
    ("line", "line", "at every line"),
    ({"policy": "line"}, "line", "at every line"),
    ({"policy": "tokens", "tokens": 64}, {"policy": "tokens", "tokens": 64}, "every 64 tokens"),
    ({"policy": "never", "idle_ms": 2000}, None, "only by reset(), and after 2,000 ms without input"),
    ({"policy": "tokens", "tokens": 1, "idle_ms": 1}, None, "every 1 tokens, and after 1 ms without input"),
]


def made(reset: Any) -> Document:
    b = Builder(input={"kind": "spikes", "shape": [2]}, reset=reset)
    b.add("count", "input", name="sum")
    return b.document(outputs=b.add("count", "input", name="second"))


@pytest.mark.parametrize(("given", "written", "words"), POLICIES)
def test_a_policy_survives_a_file_and_is_said_in_words(given: Any, written: Any, words: str, tmp_path: Path) -> None:
    document = made(given)
    assert [state["reset"] for state in document.body()["states"]] == [written or given] * 2
    document.save(tmp_path / "m.safetensors")
    again = read(tmp_path / "m.safetensors")
    assert (again.states, again.identity) == (document.states, document.identity)
    assert describe(again).count(f"  {words}") == 2


@pytest.mark.parametrize(
    ("reset", "message"),
    [
        ("sentence", "reset policy is not known: found 'sentence', expected window, line, tokens, never"),
        ({"tokens": 3}, "reset policy is not known"),
        ({"policy": ["line"]}, "reset policy is not known"),
        ("tokens", "no 'tokens'"),
        ({"policy": "line", "tokens": 3}, "unknown 'tokens'"),
        ({"policy": "line", "after": 3}, "unknown 'after'"),
        ({"policy": "tokens", "tokens": 0}, "reset.tokens is wrong: found 0, expected an integer from 1 to 2147483647"),
        ({"policy": "tokens", "tokens": True}, "reset.tokens is wrong"),
        ({"policy": "never", "idle_ms": 2**31}, "reset.idle_ms is wrong"),
        ({"policy": "never", "idle_ms": None}, "reset.idle_ms is wrong"),
    ],
)
def test_what_is_no_policy_is_refused(reset: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        made(reset)


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("reset", ["window", "line", {"policy": "tokens", "tokens": 2}, "never"])
def test_only_windows_are_the_sessions_own(reset: Any, backend: str) -> None:
    """Lines and tokens are for those who see them; a session goes on until it is told."""
    session = Model(made(reset), backend=backend).session()
    session.run(np.ones((3, 2), np.uint8))
    session.new_window()
    kept = 0 if reset == "window" else 3
    assert (session.state["sum.total"].tolist(), session.step_number) == ([kept] * 2, kept)
    session.reset()
    assert (session.state["sum.total"].tolist(), session.step_number) == ([0, 0], 0)
