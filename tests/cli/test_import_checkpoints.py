"""`edgesnn import` of checkpoints of token models as a command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.cli.main import main
from edgesnn.graph import read


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    torch = pytest.importorskip("torch", reason="torch is not installed (extra test)")
    from tests import token_nets

    torch.save(token_nets.checkpoint(2, 16, 20), tmp_path / "net.pth")
    return str(tmp_path / "net.pth")


@pytest.mark.parametrize(
    ("flags", "mode", "words"),
    [
        (["--from", "spikegpt"], "author", "2 layers, width 16, 20 tokens, mode author, embedding as it is"),
        (["--from", "spikegpt", "--mode", "train", "--binarise", "yes"], "train", "mode train, embedding binarised"),
        (["--from", "rwkv4"], "train", "2 layers, width 16, 20 tokens, mode train, embedding as it is"),
    ],
)
def test_a_checkpoint_becomes_a_model_file(
    flags: list[str], mode: str, words: str, checkpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = checkpoint.replace(".pth", ".safetensors")
    assert main(["import", checkpoint, *flags, "-o", path]) == 0
    assert words in capsys.readouterr().out
    made = read(path).provenance["imported"]
    assert (made["mode"], made["from"], made["file"], len(made["sha256"])) == (mode, flags[1], "net.pth", 64)
    assert np.asarray(edgesnn.load(path).session().run([1, 2, 3])).shape == (3, 20)
    assert main(["import", checkpoint, *flags, "-o", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["provenance"]["imported"] == made


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--from", "spikegpt", "--profile", "norse"],
            "--profile: flag of another kind of file: found --from spikegpt",
        ),
        (["--from", "rwkv4", "--binarise", "yes"], "--binarise: flag of another kind of file: found --from rwkv4"),
        (["--from", "spikegpt", "--polarity-order", "off-on"], "--polarity-order: flag of another kind"),
        (["--from", "spikegpt", "--temperature", "2"], "--temperature: flag of another kind"),
        (["--from", "nir", "--profile", "norse", "--mode", "train"], "expected --from spikegpt, rwkv4"),
        (["--from", "nir"], "--profile: a NIR file needs a profile"),
        (["--from", "spikegpt", "--mode", "both"], "--mode"),
    ],
)
def test_flags_of_another_kind_of_file_are_refused(
    flags: list[str], message: str, checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", checkpoint, *flags, "-o", str(tmp_path / "no.safetensors")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "no.safetensors").exists()
