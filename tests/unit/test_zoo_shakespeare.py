"""What builds the text model and its card, on a tiny text."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra test)")

import edgesnn  # noqa: E402
from edgesnn.cli.main import main as edgesnn_main  # noqa: E402
from edgesnn.train.zoo.__main__ import main  # noqa: E402

TINY = """
[model]
layers = 2
width = 16
[train]
steps = 8
batch = 4
context = 12
evaluate_every = 4
threads = 1
"""


def test_model_and_card_say_the_same(tmp_path, capsys):
    data, toml, run, out = (tmp_path / name for name in ("text.txt", "tiny.toml", "run", "zoo"))
    data.write_text("".join(f"line {i % 9} of a text\n" for i in range(80)), encoding="utf-8")
    toml.write_text(TINY, encoding="utf-8")
    out.mkdir()
    assert edgesnn_main(["train", "spikegpt", "--config", str(toml), "--data", str(data), "--out", str(run)]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert main(["shakespeare", "--run", str(run), "--data", str(data), "--out", str(out)]) == 0
    built = json.loads(capsys.readouterr().out)
    for name in ("float32", "int8", "int4", "ngram", "ngram_order"):
        assert built[name] == trained[name]
    card = (out / "shakespeare.md").read_text(encoding="utf-8")
    model = edgesnn.load(str(out / "shakespeare.safetensors"))
    assert model.identity in card
    assert model.document.provenance["metrics"]["test"]["bits_per_character"] == built["int8"]
    told = [float(bits) for bits in re.findall(r"\| (\d+\.\d{3}) \|", card)]
    assert told == [round(built[name], 3) for name in ("float32", "int8", "int4", "ngram")]
    trained_file, built_file = (
        edgesnn.load(str(f)) for f in (run / "model.safetensors", out / "shakespeare-float32.safetensors")
    )
    tokens = np.arange(10) % model.input["vocab"]
    assert (trained_file.session().run(tokens) == built_file.session().run(tokens)).all()
