"""A model file in words names everything that is in it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from edgesnn.cli.main import main
from edgesnn.graph import Int4, read
from edgesnn.graph.text import dense_macs, describe
from tests.graphs import random_document
from tests.one_operator import counts, document
from tests.small_models import LABELS, small_document


@pytest.fixture
def path(tmp_path: Path) -> Path:
    small_document().save(tmp_path / "small.safetensors")
    return tmp_path / "small.safetensors"


def test_info_names_every_node_state_and_label(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(path)]) == 0
    text = capsys.readouterr().out
    made = read(path)
    names = [output for node in made.nodes for output in node.outputs if "." not in output]
    states = [state.name for state in made.states]
    for word in (made.identity, *names, *states, *LABELS, "window_us 100000", "int8 32x16", "at every window"):
        assert word in text
    steps, bits = made.input["steps"], sum(rules.bit_budget(view) for rules, view in made.analysis.operators)
    assert f"bit budget  {bits:,} a step, {steps * bits:,} a prediction of {steps} steps\n" in text
    assert main(["info", str(path), "--json"]) == 0
    assert sum(json.loads(capsys.readouterr().out)["bit_budget_per_step"].values()) == bits > 0


def test_sizes_and_multiply_adds_are_those_of_the_graph() -> None:
    attributes = {"activations": "int", "stride": [2, 2]}
    tensors = {"weight": Int4(np.ones((4, 2, 3, 3), np.int8)), "scale": np.ones(4), "bias": np.ones(4)}
    made = document("conv2d", counts([2, 9, 9]), attributes, tensors)
    ((rules, view),) = made.analysis.operators
    assert dense_macs(rules, view) == 4 * 4 * 4 * 2 * 9
    text = describe(made)
    assert re.search(r"op +conv2d +input +float32\[4x4x4\] +int4 4x2x3x3 +448 +1,152 +4\n", text)
    assert "MACs        1,152 a step" in text
    assert "bit budget  4 a step\n" in text  # 4 bits of a weight times 1 of a spike


@pytest.mark.parametrize("seed", range(30))
def test_every_graph_can_be_described(seed: int) -> None:
    made = random_document(seed)
    lines = describe(made).splitlines()
    assert len(lines) >= len(made.nodes) + len(made.states)
    assert all(any(line.startswith(node.name) for line in lines) for node in made.nodes)


def test_info_verifies_checksums(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(path), "--verify"]) == 0
    assert "tensors have their checksums" in capsys.readouterr().out
    assert main(["info", str(path), "--verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verified"] is True
    data = bytearray(path.read_bytes())
    data[-64] ^= 1  # the last vector begins there; padding follows
    path.write_bytes(data)
    assert main(["info", str(path)]) == 0
    capsys.readouterr()
    assert main(["info", str(path), "--verify"]) == 4
    assert "bytes are not the document's" in capsys.readouterr().err


def test_info_knows_the_zoo_and_verifies_no_recordings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "gestures"]) == 0
    assert "version 2" in capsys.readouterr().out
    (tmp_path / "a.raw").write_bytes(b"% evt 3.0\n")
    assert main(["info", str(tmp_path / "a.raw"), "--verify"]) == 2


def test_info_of_a_file_that_is_no_model_is_a_model_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wrong.safetensors"
    path.write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    assert main(["info", str(path)]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("edgesnn: error: ")
    assert err.count("\n") == 1
