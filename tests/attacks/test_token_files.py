"""Wrong files of token models and of integer neurons: embedding, layer_norm, token_shift, wkv, cuba, bare sums."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.errors import ModelError
from tests.attacks.test_model_files import Json, drop, node, put, replace_tensor, rewrite, set_tensor
from tests.small_graphs import WIDE, integers, language, recurrent

GOOD = {"language": language, "integers": integers, "recurrent": recurrent}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    for name, make in GOOD.items():
        make().save(folder / f"{name}.safetensors")
    return {name: folder / f"{name}.safetensors" for name in GOOD}


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        edgesnn.load(path, backend="native")
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 800
    return str(caught.value)


@pytest.mark.parametrize("name", GOOD)
def test_the_good_files_run(name: str, good: dict[str, Path]) -> None:
    shape = {"language": (5,), "integers": (5, 20), "recurrent": (5, 2, 8, 6)}[name]
    answers = [edgesnn.load(good[name], backend=b).session().run(np.ones(shape, int)) for b in ("native", "reference")]
    np.testing.assert_array_equal(*answers)
    assert np.asarray(answers[0]).any()


WRONG: dict[str, dict[str, tuple[Callable[[Json, Any], None], str]]] = {
    "language": {
        "more words than rows": (put(18, "input", "vocab"), "node 'table', tensor 'table.weight'"),
        "fewer words than rows": (put(16, "input", "vocab"), "node 'table', tensor 'table.weight'"),
        "no words": (put(0, "input", "vocab"), "input.vocab is wrong"),
        "huge vocabulary": (put(2**40, "input", "vocab"), "input.vocab is wrong"),
        "tokens are counts": (
            put({"kind": "dense", "shape": [1], "value": "int", "bound": 16}, "input"),
            "node 'table': input is not a token",
        ),
        "table without scale": (drop("@table", "tensors", "scale"), "node 'table': node has other tensors"),
        "table input-major": (put("im", "tensors", "table.weight", "layout"), "tensor 'table.weight'"),
        "table stored short": (replace_tensor("table.weight", np.zeros((16, 16), np.int8)), "stored shape is not"),
        "table of unsigned bytes": (
            replace_tensor("table.weight", np.zeros((20, 16), np.uint8)),
            "tensor type is not used",
        ),
        "padding of the table": (set_tensor("table.weight", (17, 0), 1), "padding of the tensor is not zero"),
        "padding of a row": (set_tensor("table.weight", (0, WIDE), 1), "padding of the tensor is not zero"),
        "eps is an integer": (put(1, "@norm", "attributes", "eps"), "attribute 'eps' is wrong"),
        "eps is a text": (put("1e-5", "@norm", "attributes", "eps"), "attribute 'eps' is wrong"),
        "short norm": (put([9], "tensors", "norm.bias", "shape"), "tensor 'norm.bias'"),
        "shift of one input": (put(["norm"], "@shift", "inputs"), "other number of inputs"),
        "shift of a later value": (put(["norm", "mixed"], "@shift", "inputs"), "a cycle, or nodes out of order"),
        "delay of integers": (put("int", "@past", "attributes", "value"), "node 'past': attribute 'bound' is wrong"),
        "delay of small integers": (
            lambda d, _: node(d, "past")["attributes"].update(value="int", bound=1),
            "inputs cannot be mixed",
        ),
        "float with a bound": (put(1, "@past", "attributes", "bound"), "attribute 'bound' is wrong"),
        "delay of a huge shape": (put([2**28, 2**28], "@past", "attributes", "shape"), "attribute 'shape' is wrong"),
        "delay of a huge line": (
            lambda d, _: node(d, "past")["attributes"].update(steps=4096, shape=[2**20]),
            "value is too large",
        ),
        "delay of a negative shape": (put([-1], "@past", "attributes", "shape"), "attribute 'shape' is wrong"),
        "delay of no shape": (put([], "@past", "attributes", "shape"), "inputs cannot be mixed"),
        "wkv of one input": (put(["key"], "@mixed", "inputs"), "other number of inputs"),
        "wkv of tokens": (put(["input", "input"], "@mixed", "inputs"), "node 'mixed'"),
        "wkv begins otherwise": (put(0.0, "states", 4, "initial"), "state 'mixed.pp': state is not the graph's"),
        "quantised vectors of int": (put("int", "@key", "attributes", "activations"), "input is of another kind"),
        "groups of int8": (put(32, "@key", "attributes", "group"), "attribute 'group' is wrong"),
        "unknown function": (put("tanh", "@gate", "attributes", "function"), "attribute 'function' is wrong"),
        "concat of an axis that is not": (put(-2, "@both", "attributes", "axis"), "axis is none of the value's"),
        "concat of one": (put(["gate"], "@both", "inputs"), "other number of inputs"),
        "slice of nothing": (put(3, "@part", "attributes", "stop"), "node 'part'"),
        "slice backwards": (put(2, "@part", "attributes", "stop"), "node 'part'"),
        "slice past the end": (put(21, "@part", "attributes", "stop"), "node 'part'"),
        "slice before the start": (put(-1, "@part", "attributes", "start"), "attribute 'start' is wrong"),
        "unknown mode": (put("median", "@mean", "attributes", "mode"), "attribute 'mode' is wrong"),
        "leaky without alpha": (put("leaky", "@mean", "attributes", "mode"), "node has other tensors"),
    },
    "integers": {
        "decay past 4096": (put(4097, "@cuba", "attributes", "current_decay"), "attribute 'current_decay' is wrong"),
        "negative decay": (put(-1, "@cuba", "attributes", "voltage_decay"), "attribute 'voltage_decay' is wrong"),
        "decay is a float": (put(0.5, "@cuba", "attributes", "voltage_decay"), "attribute 'voltage_decay' is wrong"),
        "threshold of zero": (put(0, "@cuba", "attributes", "v_th"), "attribute 'v_th' is wrong"),
        "gain past 32 bits": (put(2**31, "@cuba", "attributes", "gain"), "attribute 'gain' is wrong"),
        "gain times input past 32 bits": (put(2**24, "@cuba", "attributes", "gain"), "gain times input is too large"),
        "at rest too long": (put(256, "@cuba", "attributes", "refractory"), "attribute 'refractory' is wrong"),
        "at rest without a counter": (put(0, "@cuba", "attributes", "refractory"), "states are not the graph's"),
        "cycle without a delay": (put(["cuba"], "@back", "inputs"), "a cycle, or nodes out of order"),
        "sum of bytes and words": (put(["fc", "past"], "@sum", "inputs"), "node 'sum'"),
        "bare sum with a scale": (put("float32", "@fc", "attributes", "output"), "node has other tensors"),
        "padding of the weights": (set_tensor("fc.weight", (0, 12), 1), "padding of the tensor is not zero"),
        "counts past the type": (
            put({"kind": "spikes", "shape": [20], "value": "count", "bound": 256, "events": None}, "input"),
            "input.bound is wrong",
        ),
        "shape of the input": (put([21], "input", "shape"), "tensor 'fc.weight'"),
        "negative input": (put([-20], "input", "shape"), "input.shape is wrong"),
        "huge input": (put([2**20, 2**20], "input", "shape"), "too large"),
    },
    "recurrent": {
        "padding of int4 weights": (set_tensor("conv.weight", (0, 4), 0x88 ^ 1), "padding of the tensor is not zero"),
        "zero bytes as padding of int4": (set_tensor("conv.weight", (19, 0), 0), "padding of the tensor is not zero"),
        "padding of grouped weights": (set_tensor("fc.weight", (0, 0, 4, 0), 0), "padding of the tensor is not zero"),
        "padding of groups": (set_tensor("fc.weight", (0, 7, 0, 3), 0), "padding of the tensor is not zero"),
        "padding of multipliers": (set_tensor("fc.multiplier", (0, 4), 9), "padding of the tensor is not zero"),
        "padding of a vector": (set_tensor("conv.scale", 4, 0.5), "padding of the tensor is not zero"),
        "padding of delays": (set_tensor("order.indices", 4, 1), "padding of the tensor is not zero"),
    },
}
CASES = [(name, case) for name, cases in WRONG.items() for case in cases]


@pytest.mark.parametrize(("name", "case"), CASES, ids=[f"{name}: {case}" for name, case in CASES])
def test_a_wrong_file_is_refused_by_name(name: str, case: str, good: dict[str, Path], tmp_path: Path) -> None:
    change, words = WRONG[name][case]
    assert words in refused(rewrite(good[name], tmp_path / "wrong.safetensors", change))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", GOOD)
def test_no_parameter_may_be_other_than_a_number(
    name: str, value: float, good: dict[str, Path], tmp_path: Path
) -> None:
    floats = [t for t, tensor in GOOD[name]().tensors.items() if tensor.data.dtype == np.float32]
    assert floats or name == "integers"
    for tensor in floats:
        path = rewrite(good[name], tmp_path / "wrong.safetensors", set_tensor(tensor, 0, value))
        assert f"tensor '{tensor}': tensor has values that are not numbers" in refused(path)


@pytest.mark.parametrize("name", GOOD)
def test_every_state_is_the_graphs(name: str, good: dict[str, Path], tmp_path: Path) -> None:
    for index, state in enumerate(GOOD[name]().states):
        wrong = {"initial": 0.5 * state.initial + 1.0, "shape": [*state.shape, 1], "dtype": "int8", "kind": "odd"}
        for field, value in wrong.items():
            path = rewrite(good[name], tmp_path / "wrong.safetensors", put(value, "states", index, field))
            assert f"state '{state.name}'" in refused(path)


ODD_VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    3,
    2**31,
    10**30,
    0.5,
    -1e300,
    "",
    "none",
    "int",
    [],
    [0],
    [-1, 2],
    [[1]],
    {},
]


@pytest.mark.parametrize("name", GOOD)
def test_no_attribute_of_another_type_or_range_is_more_than_refused(
    name: str, good: dict[str, Path], tmp_path: Path
) -> None:
    """What loads all the same steps on both backends to the same answer."""
    shape = {"language": (3,), "integers": (3, 20), "recurrent": (3, 2, 8, 6)}[name]
    path, refusals = tmp_path / "odd.safetensors", 0
    for at in GOOD[name]().nodes:
        for attribute in at.attributes:
            for value in ODD_VALUES:
                rewrite(good[name], path, put(value, f"@{at.name}", "attributes", attribute))
                try:
                    models = [edgesnn.load(path, backend=backend) for backend in ("native", "reference")]
                except ModelError:
                    refusals += 1
                    continue
                np.testing.assert_array_equal(*(model.session().run(np.ones(shape, int)) for model in models))
    assert refusals > 100


def test_a_copied_model_does_not_need_its_file(good: dict[str, Path], tmp_path: Path) -> None:
    path, xs = tmp_path / "m.safetensors", np.ones((4, 20), int)
    for backend in ("native", "reference"):
        path.write_bytes(good["integers"].read_bytes())
        model = edgesnn.load(path, backend=backend, copy=True)
        expected = model.session().run(xs)
        path.write_bytes(b"")
        np.testing.assert_array_equal(model.session().run(xs), expected)
        path.unlink()
        np.testing.assert_array_equal(model.session().run(xs), expected)


def test_saving_over_a_mapped_model_replaces_the_file(good: dict[str, Path], tmp_path: Path) -> None:
    path, xs = tmp_path / "m.safetensors", np.ones((4, 20), int)
    path.write_bytes(good["integers"].read_bytes())
    model = edgesnn.load(path, backend="native")
    before, expected = path.stat().st_ino, model.session().run(xs)
    language().save(path)
    assert path.stat().st_ino != before
    np.testing.assert_array_equal(model.session().run(xs), expected)
    assert edgesnn.load(path).identity == language().identity
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


@pytest.mark.parametrize("name", GOOD)
def test_a_file_cut_before_it_is_loaded_is_refused(name: str, good: dict[str, Path], tmp_path: Path) -> None:
    data, path = good[name].read_bytes(), tmp_path / "cut.safetensors"
    for size in sorted({*range(0, len(data), max(len(data) // 40, 1)), len(data) - 1}):
        path.write_bytes(data[:size])
        refused(path)
