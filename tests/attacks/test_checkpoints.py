"""Checkpoints that are none, that lie, or that hold code: one clear refusal each, and nothing is executed."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed (extra test)")

import torch

from edgesnn.cli.main import main
from edgesnn.errors import ModelError, UsageError
from edgesnn.importers import import_rwkv4, import_spikegpt
from tests import token_nets
from tests.drawn import drawn
from tests.memory import measured

Change = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def tensors() -> dict[str, Any]:
    return token_nets.checkpoint(2, 16, 20)


@pytest.fixture(scope="module")
def good(tensors: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints") / "good.pth"
    torch.save(tensors, path)
    return path


def refused(path: Path) -> str:
    messages = []
    for importer in (import_spikegpt, import_rwkv4):
        with pytest.raises(ModelError) as caught:
            importer(path)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert str(path) in messages[0]
    assert len(messages[0]) < 800
    return messages[0]


class Payload:
    """Unpickled by anything that executes what it reads, it makes a file."""

    def __init__(self, marker: Path) -> None:
        self._command = f"touch {marker}"

    def __reduce__(self) -> Any:
        return os.system, (self._command,)


@pytest.mark.parametrize("hidden", ["alone", "beside the tensors", "in a list"])
def test_a_pickle_that_holds_code_is_refused_and_nothing_of_it_runs(
    hidden: str, tensors: dict[str, Any], tmp_path: Path
) -> None:
    marker, path = tmp_path / "executed", tmp_path / "evil.pth"
    evil = Payload(marker)
    torch.save({"alone": evil, "beside the tensors": {**tensors, "x": evil}, "in a list": [[evil]]}[hidden], path)
    words = refused(path)
    assert "holds more than tensors; nothing of it was executed: found posix.system" in words
    assert "weights_only" not in words
    assert not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.exists()  # the payload is a real one


def test_a_pickle_without_an_archive_is_refused_and_nothing_of_it_runs(tmp_path: Path) -> None:
    marker, path = tmp_path / "executed", tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(Payload(marker)))
    assert "byte 0: not a torch checkpoint" in refused(path)
    assert not marker.exists()


def put(name: str, value: Any) -> Change:
    return lambda t: {**t, name: value}


def drop(name: str) -> Change:
    return lambda t: {key: value for key, value in t.items() if key != name}


class Tensor(torch.nn.Parameter):
    """A class of somebody's own."""


WRONG: dict[str, tuple[Change, str]] = {
    "a list": (lambda t: list(t.values()), "not a checkpoint: found list, expected tensors by name"),
    "nothing": (lambda t: {}, "not a checkpoint: found dict"),
    "a number": (lambda t: 3, "not a checkpoint: found int"),
    "wrapped": (lambda t: {"model": t}, "model: not a tensor: found dict, expected a tensor; save the state_dict"),
    "numbers for names": (lambda t: dict(enumerate(t.values())), "0: a tensor's name is no text: found int"),
    "no head": (drop("head.weight"), "head.weight: checkpoint lacks a tensor"),
    "no embedding": (drop("emb.weight"), "emb.weight: checkpoint lacks a tensor"),
    "no block": (lambda t: {n: v for n, v in t.items() if not n.startswith("blocks.0")}, "lacks a tensor"),
    "a hole": (lambda t: {n.replace("blocks.1", "blocks.7"): v for n, v in t.items()}, "blocks.1.ln1.weight: checkp"),
    "another model's": (put("blocks.0.att.q_proj.weight", torch.ones(2)), "blocks.0.att.q_proj.weight: checkpoint has"),
    "only another model's": (lambda t: {"conv1.weight": torch.ones(2, 2)}, "emb.weight: checkpoint lacks a tensor"),
    "short norm": (put("ln_out.bias", torch.ones(15)), "ln_out.bias: tensor has another shape: found [15], expected"),
    "turned matrix": (lambda t: {**t, "blocks.0.ffn.value.weight": t["blocks.0.ffn.value.weight"].T.contiguous()},
                      "blocks.0.ffn.value.weight: tensor has another shape: found [64, 16], expected [16, 64]"),
    "flat embedding": (put("emb.weight", torch.ones(320)), "emb.weight: tensor is no matrix: found [320]"),
    "no tokens": (put("emb.weight", torch.ones(0, 16)), "emb.weight: tensor is no matrix"),
    "integers": (put("ln_out.bias", torch.ones(16, dtype=torch.int64)), "ln_out.bias: not plain numbers"),
    "complex": (put("ln_out.bias", torch.ones(16, dtype=torch.complex64)), "ln_out.bias: not plain numbers"),
    "sparse": (put("head.weight", torch.eye(20, 16).to_sparse()), "head.weight: not plain numbers"),
    "NaN": (put("ln_out.bias", torch.full((16,), np.nan)), "ln_out.bias: tensor has values that are not numbers"),
    "infinity": (put("head.weight", torch.full((20, 16), np.inf)), "head.weight: tensor has values that are not"),
    "a number in a large shape": (put("head.weight", torch.ones(1).expand(2**15, 2**15)), "head.weight: not plain"),
    "one storage many times": (lambda t: {**t, **{f"x{i}": t["blocks.0.ffn.key.weight"] for i in range(99)}},
                               "tensors are larger than their file"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_checkpoint_is_refused_by_name(case: str, tensors: dict[str, Any], tmp_path: Path) -> None:
    change, words = WRONG[case]
    torch.save(change(tensors), tmp_path / "wrong.pth")
    assert words in refused(tmp_path / "wrong.pth")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b"\x80\x02}q\x00.", "not a torch checkpoint"),
        (b"PK\x03\x04", "4 bytes: the file is cut"),
    ],
)
def test_what_is_no_archive_is_refused(data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(data)
    assert words in refused(tmp_path / "x.pth")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "checkpoint cannot be read: found No such file" in refused(tmp_path / "no.pth")
    assert "checkpoint cannot be read: found Is a directory" in refused(tmp_path)


def test_a_cut_checkpoint_is_refused_wherever_it_is_cut(good: Path, tmp_path: Path) -> None:
    data, path = good.read_bytes(), tmp_path / "cut.pth"
    for size in sorted({*range(0, len(data), max(len(data) // 60, 1)), len(data) - 1}):
        path.write_bytes(data[:size])
        refused(path)


def test_damaged_bytes_are_refused_or_make_another_model(good: Path, tmp_path: Path) -> None:
    """Whatever bytes change: a ModelError, or a network that loads (a weight's bytes are as good as any)."""
    data, path, rng = good.read_bytes(), tmp_path / "damaged.pth", np.random.default_rng(3)
    refusals, tried = 0, drawn(150)
    for _ in range(tried):
        changed = bytearray(data)
        for at in rng.integers(0, len(data), rng.integers(1, 9)):
            changed[at] = rng.integers(0, 256)
        path.write_bytes(changed)
        try:
            import_spikegpt(path)
        except ModelError:
            refusals += 1
    assert 0 < refusals < tried


_IMPORT = """
from edgesnn.importers import import_spikegpt
def warm(small, path): work(small, small)
def work(small, path):
    document = import_spikegpt(path)
    document.save(path + ".safetensors")
    return sum(tensor.data.nbytes for tensor in document.tensors.values())
"""


def test_an_import_holds_its_output_and_a_tensor_or_two(good: Path, tmp_path: Path) -> None:
    """Not the whole checkpoint, and not the output twice when it is written."""
    big = token_nets.checkpoint(4, 512, 8192)  # 55 MB of blocks, and two matrices of 17 MB
    torch.save(big, tmp_path / "big.pth")
    largest = max(t.numel() * 4 for t in big.values())
    output, grown_kib = measured(_IMPORT, good, tmp_path / "big.pth")
    assert output > 4 * largest
    assert grown_kib * 1024 < output + 1.5 * largest


@pytest.mark.parametrize(
    ("version", "reads"), [("2.9.1+cpu", False), ("2.10.0", True), ("3.0.0a1", True), ("x", False)]
)
def test_only_a_torch_that_reads_safely_is_used(
    version: str, reads: bool, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "__version__", version)
    if reads:
        assert import_spikegpt(good).precision == "float32"
        return
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("it was read"))
    with pytest.raises(UsageError, match=rf"found torch {version[:3]}.*expected 2.10 or newer .CVE-2026-24747"):
        import_spikegpt(good)


def test_without_torch_the_command_says_what_to_install(
    good: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["import", str(good), "--from", "spikegpt", "-o", "x.safetensors"]) == 2
    assert "reading a torch checkpoint needs torch; pip install 'torch>=2.10'" in capsys.readouterr().err


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_read_as_float32(dtype: Any, tensors: dict[str, Any], tmp_path: Path) -> None:
    torch.save({name: value.to(dtype) for name, value in tensors.items()}, tmp_path / "other.pth")
    torch.save({name: value.to(dtype).float() for name, value in tensors.items()}, tmp_path / "same.pth")
    other, same = (import_spikegpt(tmp_path / f"{name}.pth") for name in ("other", "same"))
    assert other.identity == same.identity
