"""Temperature, rejection and early exit of a written model: `edgesnn import` and `edgesnn quantize`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesnn.cli.main import main
from edgesnn.errors import ModelError, UsageError
from edgesnn.graph import Builder, read, with_readout
from edgesnn.pipeline import Pipeline
from edgesnn.runtime import Model
from tests.nir_files import chain, ends, write
from tests.small_models import spikes_document
from tests.unit.test_pipeline_spikes import make_events

FLAGS = ["--temperature", "4", "--rejection", "0.25", "--early-exit", "0.9", "--min-steps", "3"]
EXIT = {"confidence": 0.9, "min_steps": 3}


@pytest.fixture
def nir(tmp_path: Path) -> list[str]:
    nodes = {**ends(8, 2), "fc": {"type": "Linear", "weight": np.ones((2, 8), np.float32)}}
    (tmp_path / "labels").write_text("no\nyes\n")
    path = write(tmp_path / "net.nir", nodes, chain("fc"))
    events = ["--input", "spikes", "--bin", "1ms", "--sensor", "2x2", "--steps", "4"]
    return [str(path), "--from", "nir", "--profile", "norse", *events, "-o", str(tmp_path / "net.safetensors")]


def test_import_writes_what_the_flags_say(nir: list[str], tmp_path: Path) -> None:
    assert main(["import", *nir, "--labels", str(tmp_path / "labels"), *FLAGS]) == 0
    readout = read(tmp_path / "net.safetensors").readout
    assert readout is not None
    assert (readout["temperature"], readout["rejection"], readout["early_exit"]) == (4.0, 0.25, EXIT)
    assert not readout["calibrated"]


def test_quantize_changes_only_what_is_named(tmp_path: Path) -> None:
    before = spikes_document()
    path, out = tmp_path / "m.safetensors", tmp_path / "q.safetensors"
    before.save(path)
    assert main(["quantize", str(path), "--weights", "int8", "-o", str(out), "--early-exit", "0.9"]) == 0
    after = read(out)
    assert before.readout is not None
    assert after.readout == {**before.readout, "early_exit": {"confidence": 0.9, "min_steps": 1}}
    assert after.body()["graph"] == before.body()["graph"]
    assert after.identity != before.identity


def test_the_numbers_are_what_a_pipeline_stops_by() -> None:
    document, events = spikes_document(), [make_events()]
    early = with_readout(document, temperature=0.5, early_exit=0.6, min_steps=5)
    by_hand = spikes_document(early_exit={"confidence": 0.6, "min_steps": 5})
    by_hand = with_readout(by_hand, temperature=0.5)
    steps = [[p.steps for p in Pipeline(events, Model(made))] for made in (document, early, by_hand)]
    assert {n for n in steps[0] if n is not None} == {20}
    assert steps[1] == steps[2]
    assert 5 <= min(n for n in steps[1] if n is not None) < 20


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (
            ["--temperature", "0"],
            2,
            "numbers asked for: readout.temperature is wrong: found 0.0, expected a number from 1e-06 to 1e+06",
        ),
        (["--temperature", "nan"], 2, "readout.temperature is wrong"),
        (["--rejection", "1.5"], 2, "readout.rejection is wrong: found 1.5"),
        (["--early-exit", "2"], 2, "readout.early_exit.confidence is wrong"),
        (["--early-exit", "0.5", "--min-steps", "0"], 2, "readout.early_exit.min_steps is wrong"),
        (["--min-steps", "2"], 2, "min_steps: steps of no early exit"),
        (["--temperature", "hot"], 2, "--temperature"),
    ],
)
def test_numbers_that_are_none_are_refused_and_nothing_is_written(
    nir: list[str], tmp_path: Path, capsys: Any, flags: list[str], code: int, message: str
) -> None:
    labels = ["--labels", str(tmp_path / "labels")]
    assert main(["import", *nir, *labels, *flags]) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "net.safetensors").exists()


def test_a_model_that_cannot_decide_has_no_readout_to_set(nir: list[str], capsys: Any) -> None:
    assert main(["import", *nir, "--temperature", "2"]) == 4
    assert "readout: the model cannot decide: found none; import it with --labels" in capsys.readouterr().err


def test_nothing_said_is_the_same_document() -> None:
    document = spikes_document()
    assert with_readout(document) is document
    b = Builder(input={"kind": "spikes", "shape": [2]})
    bare = b.document(outputs=b.add("count", "input", name="sum"))
    assert with_readout(bare) is bare
    with pytest.raises(ModelError, match="cannot decide"):
        with_readout(bare, rejection=0.5)
    with pytest.raises(UsageError, match="temperature is wrong"):
        with_readout(document, temperature="2")  # type: ignore[arg-type]


def test_an_early_exit_of_states_that_go_on_is_refused(nir: list[str], tmp_path: Path, capsys: Any) -> None:
    nodes = {**ends(8, 2), "fc": {"type": "Linear", "weight": np.ones((2, 8), np.float32)}}
    ones = np.ones(2)
    nodes["lif"] = {"type": "LIF", "tau": ones, "r": ones, "v_leak": 0 * ones, "v_threshold": ones}
    write(tmp_path / "net.nir", nodes, chain("fc", "lif"))
    command, labels = ["import", nir[0], "--from", "nir", "--profile", "norse"], ["--labels", str(tmp_path / "labels")]
    out = ["-o", str(tmp_path / "net.safetensors")]
    assert main([*command, *labels, "--early-exit", "0.9", *out]) == 4
    message = capsys.readouterr().err
    assert "windows of this model cannot stop early: found state 'lif.v' of reset policy 'never'" in message
    assert "--bin, --sensor and --steps" in message
    assert not (tmp_path / "net.safetensors").exists()
    assert main([*command, *labels, *out]) == 0
    assert main(["import", *nir, *labels, "--early-exit", "0.9"]) == 0
    with pytest.raises(ModelError, match="cannot stop early"):
        with_readout(spikes_document(reset="never"), early_exit=0.5)


def test_groups_that_nothing_takes_are_refused(tmp_path: Path, capsys: Any) -> None:
    b = Builder(input={"kind": "spikes", "shape": [64]})
    vectors = {"scale": np.ones(4, "f4"), "bias": np.zeros(4, "f4")}
    weight = {"weight": np.ones((4, 64), "f4"), **vectors}
    b.add("linear", "input", name="fc", attributes={"activations": "int"}, tensors=weight)
    path, out = tmp_path / "m.safetensors", tmp_path / "q.safetensors"
    b.document(outputs="fc").save(path)
    command = ["quantize", str(path), "-o", str(out), "--group", "32", "--weights"]
    assert main([*command, "int8"]) == 2
    assert "--group: groups of inputs belong to int4: found --weights int8" in capsys.readouterr().err
    assert main([*command, "int4"]) == 2
    assert "--group: the model has no matrix that takes groups" in capsys.readouterr().err
    assert not out.exists()
    b.add(
        "linear",
        "fc",
        name="out",
        attributes={"activations": "float32"},
        tensors={**weight, "weight": np.ones((4, 4), "f4")},
    )
    b.document(outputs="out").save(path)
    assert main([*command, "int4"]) == 0
    assert [node.attributes["group"] for node in read(out).nodes] == [0, 32]
