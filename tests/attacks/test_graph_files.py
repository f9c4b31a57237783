"""Wrong files of what format version 2 added: lists and floats as attributes, delays, packed weights, states."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.errors import ModelError
from tests.attacks.test_model_files import Json, drop, put, replace_tensor, rewrite, set_tensor
from tests.small_graphs import recurrent


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "recurrent.safetensors"
    recurrent().save(path)
    return path


def test_the_good_file_runs(good: Path) -> None:
    session = edgesnn.load(good, backend="reference").session()
    assert np.asarray(session.run(np.ones((5, 2, 8, 6), int))).any()
    assert session.spikes > 0


WRONG: dict[str, tuple[Callable[[Json, Any], None], str]] = {
    "float attribute is an integer": (put(0, "@lif", "attributes", "v_init"), "attribute 'v_init' is wrong: found 0"),
    "float attribute past float32": (put(1e200, "@lif", "attributes", "v_init"), "attribute 'v_init' is wrong"),
    "initial value is another": (put(0.5, "@lif", "attributes", "v_init"), "state 'lif.v': state is not the graph's"),
    "initial value is true": (put(True, "states", 0, "initial"), "state is not the graph's"),
    "list of floats": (put([1.0, 1.0], "@conv", "attributes", "stride"), "attribute 'stride' is wrong"),
    "list of texts": (put(["1", "1"], "@conv", "attributes", "stride"), "attribute 'stride' is wrong"),
    "list with true": (put([True, 1], "@conv", "attributes", "stride"), "attribute 'stride' is wrong"),
    "list is a number": (put(1, "@conv", "attributes", "stride"), "attribute 'stride' is wrong"),
    "list of one": (put([1], "@conv", "attributes", "stride"), "found [1], expected 2 integers from 1"),
    "empty list": (put([], "@conv", "attributes", "stride"), "expected 2 integers from 1"),
    "no stride": (put([0, 1], "@conv", "attributes", "stride"), "expected 2 integers from 1"),
    "negative padding": (put([-1, 0], "@conv", "attributes", "padding"), "expected 2 integers from 0"),
    "huge padding": (put([2**28, 2**28], "@conv", "attributes", "padding"), "expected 2 integers from 0 to 32768"),
    "far dilation": (put([2**15, 1], "@conv", "attributes", "dilation"), "kernel is larger than the input"),
    "huge dilation": (put([2**28, 1], "@conv", "attributes", "dilation"), "expected 2 integers from 1 to 32768"),
    "long list": (put([1] * 100_000, "@conv", "attributes", "stride"), "attribute 'stride' is wrong"),
    "odd groups": (put(3, "@conv", "attributes", "groups"), "node 'conv', tensor 'conv.weight'"),
    "groups of int input": (put(32, "@conv", "attributes", "group"), "attribute 'group' is wrong"),
    "no kernel": (put([0, 2], "@pool", "attributes", "kernel"), "attribute 'kernel' is wrong"),
    "other elements": (put([47], "@flat", "attributes", "shape"), "input cannot be reshaped"),
    "huge elements": (put([2**28, 2**28, 2**28], "@flat", "attributes", "shape"), "input cannot be reshaped"),
    "delay of another shape": (put([47], "@past", "attributes", "shape"), "node 'past', tensor 'past.delays'"),
    "delay of too small a bound": (put(7, "@past", "attributes", "bound"), "is not what the attributes say"),
    "delay of no steps": (put(0, "@past", "attributes", "steps"), "attribute 'steps' is wrong"),
    "delay of too few steps": (put(2, "@past", "attributes", "steps"), "delays are out of range"),
    "delay of now": (set_tensor("past.delays", 3, 0), "input 'both' is made by a later node: found 0"),
    "negative delay": (set_tensor("past.delays", 3, -1), "delays are out of range"),
    "cycle without a delay": (put(["fired"], "@back", "inputs"), "a cycle, or nodes out of order"),
    "delay of nothing": (put(["nothing"], "@past", "inputs"), "input 'nothing' is made by no node"),
    "axis that is not": (put(-3, "@fired", "attributes", "axis"), "axis is none of the value's"),
    "axis of a float": (put(-1.0, "@fired", "attributes", "axis"), "attribute 'axis' is wrong"),
    "cap past a byte": (put(256, "@fired", "attributes", "cap"), "expected an integer from 1 to 255"),
    "threshold of zero": (set_tensor("fired.v_th", 0, 0), "thresholds of counting neurons are not positive"),
    "missing optional current": (put("new", "@lif", "attributes", "current"), "node has other tensors"),
    "index past the end": (set_tensor("order.indices", 0, 4), "indices are out of range"),
    "int4 stored as int8": (replace_tensor("conv.weight", np.zeros((20, 16), np.int8)), "tensor type is not used"),
    "int4 stored too small": (replace_tensor("conv.weight", np.zeros((16, 16), np.uint8)), "stored shape is not"),
    "int4 of another layout": (put("om16x8", "tensors", "conv.weight", "layout"), "stored shape is not the layout's"),
    "groups of another size": (put(64, "@fc", "attributes", "group"), "tensor 'fc.multiplier'"),
    "groups longer than stored": (put(128, "@fc", "attributes", "group"), "weight is not padded to its groups"),
    "multiplier of zero": (set_tensor("fc.multiplier", (1, 2), 0), "multiplier is out of range"),
    "hundreds of axes": (put([2**31 - 1] * 500, "tensors", "fc.weight", "shape"), "tensor 'fc.weight'.shape is wrong"),
    "too many axes to multiply": (put([2**31 - 1] * 10**6, "tensors", "fc.weight", "shape"), "expected at most 9 axes"),
    "hundreds of axes of a state": (put([1] * 500, "states", 0, "shape"), "states[0].shape is wrong"),
    "no multiplier": (drop("@fc", "tensors", "multiplier"), "node has other tensors"),
    "line of floats": (put("float32", "states", 1, "dtype"), "state is not the graph's"),
    "state of no type": (put(3, "states", 1, "dtype"), "states[1].dtype is wrong"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_graph_is_refused_by_name(name: str, good: Path, tmp_path: Path) -> None:
    change, message = WRONG[name]
    path = rewrite(good, tmp_path / "wrong.safetensors", change)
    with pytest.raises(ModelError) as caught:
        edgesnn.load(path, backend="reference")
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 800
