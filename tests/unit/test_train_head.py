"""A head on a token model: the lines and their labels, the regression, and what the command writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra test)")

import edgesnn  # noqa: E402
from edgesnn.cli.main import main  # noqa: E402
from edgesnn.errors import ConfigError  # noqa: E402
from edgesnn.graph import with_tokenizer  # noqa: E402
from edgesnn.quantize import quantize  # noqa: E402
from edgesnn.tokens import score  # noqa: E402
from edgesnn.train.text.head import fit, pooled  # noqa: E402
from edgesnn.train.text.labelled import FitConfig, LinesConfig, load_head_config, load_labelled  # noqa: E402
from tests.token_models import TOKENIZER, classifier, writer  # noqa: E402

KINDS = {"fine": "gate {} opened", "slow": "pump {} is late by 3", "bad": "disk {} failed, no space"}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    names = rng.choice(list(KINDS), 160)
    path = tmp_path / "some.log"
    path.write_text("".join(f"{name} {KINDS[name].format(rng.integers(100))}\n" for name in names))
    return path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    writer({"drop_fields": [0]}).save(tmp_path / "base.safetensors")
    return tmp_path / "base.safetensors"


def test_labels_never_reach_the_model(tmp_path: Path) -> None:
    path = tmp_path / "some.log"
    path.write_text("- 10 fine\n\nBAD 11 broken\n- 12 fine\nWORSE 13 broken\n- 14 fine\n")
    config = LinesConfig(str(path), normal="-", test=0.2)
    shown = load_labelled(config, (0, 1))
    assert shown.texts == ("- 10 fine", "BAD 11 broken", "- 12 fine", "WORSE 13 broken", "- 14 fine")
    assert shown.labels == ("normal", "alert", "normal", "alert", "normal")
    assert shown.classes == ("alert", "normal")
    assert shown.first_test == 4
    hidden = load_labelled(LinesConfig(str(path), test=0.2), (1,))
    assert hidden.texts == ("10 fine", "11 broken", "12 fine", "13 broken", "14 fine")
    assert hidden.classes == ("-", "BAD", "WORSE")


def test_the_regression_is_at_its_minimum() -> None:
    """The gradient of the loss, written out, is zero there; of features of any size and offset."""
    rng = np.random.default_rng(1)
    x = rng.normal(3, [[0.1, 5, 1]], (90, 3)).astype(np.float32)
    x = np.concatenate([x, np.full((90, 1), 7, np.float32)], axis=1)  # one that never varies
    classes = rng.integers(0, 3, 90)
    decay = 0.02
    weight, bias = fit(x, classes, 3, FitConfig(decay=decay))
    scores = x.astype(np.float64) @ weight.T + bias
    p = np.exp(scores - scores.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    error = (p - np.eye(3)[classes]) / len(x)
    spread = np.append(x[:, :3].std(0, dtype=np.float64), 1)
    centred = (x - x.mean(0, dtype=np.float64)) / spread
    assert error.sum(0) == pytest.approx(np.zeros(3), abs=1e-6)
    assert error.T @ centred + decay * weight * spread == pytest.approx(np.zeros((3, 4)), abs=1e-6)


def test_features_are_the_mean_of_what_the_logits_are_made_of(log: Path) -> None:
    texts = load_labelled(LinesConfig(str(log)), (0,)).texts[:5]
    document = writer({"drop_fields": [0]})
    found = pooled(document, texts, FitConfig())
    session = edgesnn.Model(document).session(record=["both"])
    from edgesnn.tokens import encode, make_tokenizer

    for number, (text, row) in enumerate(zip(texts, found, strict=True)):
        ids = encode(make_tokenizer(TOKENIZER), ("" if number else "\n") + text.split(" ", 1)[1] + "\n")
        session.run(ids)
        assert row == pytest.approx(session.recorded["both"].mean(0), rel=1e-5, abs=1e-6)


def test_the_command_writes_models_that_decide_by_line(
    log: Path, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(["train", "head", "--base", str(base), "--data", str(log), "--out", str(out)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["float32"]["accuracy"] >= 0.9 > told["always_one_class"]
    assert told == json.loads((out / "metrics.json").read_text())
    lines = log.read_text().splitlines()
    for name, file in (("float32", "model.safetensors"), ("int8", "model-int8.safetensors")):
        assert main(["replay", str(log), "-m", str(out / file), "--json"]) == 0
        rows = [json.loads(row) for row in capsys.readouterr().out.splitlines()]
        right = [row["label"] == line.split(" ")[0] for row, line in zip(rows, lines, strict=True)]
        assert np.mean(right[120:]) == pytest.approx(told[name]["accuracy"])
        scores = [line.scores for line in score(edgesnn.load(str(out / file)).session(), lines)]
        for row, x in zip(rows, scores, strict=True):
            p = np.exp(np.asarray(x, np.float64) - np.max(x))
            assert row["confidence"] == pytest.approx(p.max() / p.sum(), rel=1e-5)
            assert row["tokens"]["bits_per_token"] is not None


def test_an_integer_model_gets_a_head_on_its_own_states(
    log: Path, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quantize(edgesnn.load(str(base)).document, "int8").save(tmp_path / "int8.safetensors")
    toml = tmp_path / "head.toml"
    toml.write_text("[data]\ntest = 0.5\n[head]\nsurprise = false\nrejection = 0.4\npool = 'last'\n")
    arguments = ["train", "head", "--base", str(tmp_path / "int8.safetensors"), "--config", str(toml)]
    assert main([*arguments, "--data", str(log), "--out", str(tmp_path / "run")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["int8"]["accuracy"] > told["always_one_class"]
    assert not (tmp_path / "run" / "model-int8.safetensors").exists()
    model = edgesnn.load(str(tmp_path / "run" / "model.safetensors"))
    assert (list(model.outputs), model.readout["rejection"]) == (["scores"], 0.4)  # type: ignore[index]


WRONG: list[tuple[list[str], int, str]] = [
    ([], 2, "--base: a head needs a token model"),
    (["--base", "missing.safetensors"], 4, "missing.safetensors"),
    (["--base", "CLASSIFIER"], 4, "the model decides already"),
    (["--base", "NONE"], 4, "the model has no tokenizer"),
    (["--base", "BASE", "--data", "missing.log"], 5, "missing.log: text cannot be read"),
    (["--base", "BASE", "--data", "ONE"], 5, "lines cannot train a head: found 1 classes in 2 lines"),
    (["--base", "BASE", "--steps", "3"], 2, "head has no --steps"),
    (["--base", "BASE", "--resume"], 2, "head has no --resume"),
]


@pytest.mark.parametrize(("flags", "code", "message"), WRONG)
def test_what_cannot_be_is_one_clear_line(
    flags: list[str], code: int, message: str, log: Path, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classifier().save(tmp_path / "classifier.safetensors")
    writer({"tokenizer": None}).save(tmp_path / "none.safetensors")
    (tmp_path / "one.log").write_text("a b\na c\na d\n")
    names = {"BASE": base, "CLASSIFIER": "classifier.safetensors", "NONE": "none.safetensors", "ONE": "one.log"}
    given = [str(tmp_path / names[flag]) if flag in names else flag for flag in flags]
    data = [] if "--data" in given else ["--data", str(log)]
    assert main(["train", "head", *given, *data, "--out", str(tmp_path / "run")]) == code
    assert message in capsys.readouterr().err


def test_a_wrong_config_is_named(tmp_path: Path) -> None:
    path = tmp_path / "head.toml"
    for text, message in (
        ("[head]\npool = 'sum'", "one of mean, last"),
        ("[head]\ndecay = -1", "head.decay = -1"),
        ("[data]\nlabel = 9999", "data.label = 9999"),
        ("[train]\n", "unknown section"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            load_head_config(path)


def test_a_tokenizer_of_another_kind_works_too(log: Path) -> None:
    texts: Any = load_labelled(LinesConfig(str(log)), ()).texts[:3]
    document = with_tokenizer(writer({"vocab": 256, "tokenizer": None}), {"kind": "bytes"})
    assert pooled(document, texts, FitConfig()).shape == (3, 48)
