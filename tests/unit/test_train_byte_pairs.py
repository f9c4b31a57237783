"""A vocabulary of byte pairs, trained by the package `tokenizers`, from the text to predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra test)")
tokenizers = pytest.importorskip("tokenizers", reason="extra `tokens` is not installed")

import edgesnn  # noqa: E402
from edgesnn.cli.main import main  # noqa: E402
from edgesnn.tokens import generate, score  # noqa: E402
from tests import token_nets  # noqa: E402

LINES = [f"señor, valve {i % 9} is at {i * 7 % 50} € 🙂" for i in range(80)]
TOML = """
[data]
tokenizer = "bpe"
vocab = 300
test = 0.2
[model]
layers = 2
width = 32
[train]
steps = 6
batch = 4
context = 12
threads = 1
evaluate_every = 3
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bpe")
    (folder / "text.txt").write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    (folder / "bpe.toml").write_text(TOML)
    config, data = str(folder / "bpe.toml"), str(folder / "text.txt")
    assert main(["train", "spikegpt", "--config", config, "--data", data, "--out", str(folder)]) == 0
    return folder


def package_of(model: Any) -> Any:
    return tokenizers.Tokenizer.from_str(model.input["tokenizer"]["json"])


def test_the_vocabulary_has_the_size_asked_for_and_is_of_the_training_part(run: Path) -> None:
    model = edgesnn.load(str(run / "model.safetensors"))
    package = package_of(model)
    assert (package.get_vocab_size(), model.input["vocab"]) == (300, 300)
    ids = package.encode(LINES[0]).ids
    assert len(ids) < len(LINES[0].encode()) / 2
    assert package.decode(ids) == LINES[0]


@pytest.mark.parametrize("file", ["model.safetensors", "model-int8.safetensors"])
def test_surprise_is_of_the_packages_ids(run: Path, file: str) -> None:
    model = edgesnn.load(str(run / file))
    package, session = package_of(model), model.session()
    stands = package.encode("\n").ids
    for line in score(model.session(), LINES[:4]):
        ids = package.encode(line.text + "\n").ids
        logits = np.asarray(session.run([*stands, *ids[:-1]]), np.float64)[-len(ids) :]
        p = np.exp(logits - logits.max(1, keepdims=True))
        wanted = -np.log2(p[np.arange(len(ids)), ids] / p.sum(1))
        assert line.bits == pytest.approx(wanted, rel=1e-9, abs=1e-12)
        stands = ids[-1:]
    assert {span.text for span in line.spans} <= set(LINES[3].split())


@pytest.mark.parametrize("seed", range(6))
def test_what_is_written_is_the_packages_text_of_all_tokens(
    run: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(run / "model-int8.safetensors")
    model = edgesnn.load(path)
    pieces = list(generate(model.session(), "señor", tokens=60, seed=seed, temperature=1.5))
    text = "".join(piece.text for piece in pieces)
    assert text == package_of(model).decode([piece.token for piece in pieces], skip_special_tokens=False)
    assert main(["generate", "-m", path, "señor", "--tokens", "60", "--temperature", "1.5", "--seed", str(seed)]) == 0
    assert capsys.readouterr().out == text + "\n"


def test_lines_are_predicted(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(run / "model-int8.safetensors")
    assert main(["replay", str(run / "text.txt"), "-m", path, "--json", "--publish-text"]) == 0
    rows = [json.loads(row) for row in capsys.readouterr().out.splitlines()]
    assert [row["tokens"]["text"] for row in rows] == LINES
    package = package_of(edgesnn.load(path))
    assert [row["tokens"]["count"] for row in rows] == [len(package.encode(line + "\n").ids) for line in LINES]
    assert main(["info", path]) == 0
    assert "tokenizer   huggingface, json of " in capsys.readouterr().out


def test_a_checkpoint_gets_the_packages_file(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(token_nets.checkpoint(2, 32, 300), tmp_path / "net.pth")
    package = package_of(edgesnn.load(str(run / "model.safetensors")))
    package.save(str(tmp_path / "tokenizer.json"))
    out = str(tmp_path / "net.safetensors")
    flags = ["--from", "spikegpt", "--tokenizer", str(tmp_path / "tokenizer.json"), "--masks", "all", "-o", out]
    assert main(["import", str(tmp_path / "net.pth"), *flags]) == 0
    capsys.readouterr()
    assert main(["generate", "-m", out, "señor", "--tokens", "20", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["text"] == package.decode(made["tokens"], skip_special_tokens=False)
