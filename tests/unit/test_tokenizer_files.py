"""Tokenizers of other tools' files, and a model that gets one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.cli.main import main
from edgesnn.errors import ModelError
from edgesnn.graph import with_tokenizer
from edgesnn.tokens import encode, generate, make_tokenizer
from edgesnn.tokens.tokenizers.files import describe
from tests.one_operator import document as one
from tests.token_models import writer
from tests.token_texts import byte_pairs

CHECKPOINT = "conformance/spikegpt/sgpt_v77_L4_D64.pth"


def write(path: Path, content: Any, encoding: str = "utf-8") -> str:
    path.write_bytes(json.dumps(content, ensure_ascii=False).encode(encoding))
    return str(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8", "utf-8-sig"])
def test_a_vocabulary_of_characters_is_a_table(encoding: str, tmp_path: Path) -> None:
    characters = ["\n", " ", "a", "é", "\ue083"]
    path = write(tmp_path / "vocab.json", {str(i): one for i, one in enumerate(characters)}, encoding)
    assert describe(path) == {"kind": "characters", "table": "\n aé\ue083", "unknown": 4}
    assert encode(make_tokenizer(describe(path)), "é?") == [3, 4]
    assert describe(write(tmp_path / "v.json", {"0": "a", "1": "b"}))["unknown"] is None


def test_other_tokenizers_are_told_by_their_content(tmp_path: Path) -> None:
    assert describe("bytes") == {"kind": "bytes"}
    numbers = {"kind": "numbers", "edges": [[1, 2]]}
    assert describe(write(tmp_path / "n.json", numbers)) == numbers
    path = tmp_path / "tokenizer.json"
    path.write_text(byte_pairs())
    assert describe(str(path)) == {"kind": "huggingface", "json": byte_pairs()}


WRONG: list[tuple[bytes, str]] = [
    (b"{", "not a tokenizer: found no JSON"),
    (b"[1]", "found list, expected a tokenizer.json, a vocab.json of characters, or bytes"),
    (b"{}", "found an object of 0 names"),
    (b'{"0": "ab"}', "found an object of 1 names"),
    (b'{"1": "a"}', "found an object of 1 names"),
    (b'{"a": 0, "b": 1}', "found an object of 2 names"),
    (b"\xff\xfe\x00", "tokenizer cannot be read"),
    (b"\xff", "tokenizer cannot be read"),
    (b"[" * 100_000, "not a tokenizer"),
]


@pytest.mark.parametrize(("data", "message"), WRONG)
def test_what_is_no_tokenizer_is_one_clear_line(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=message) as caught:
        describe(str(path))
    assert len(str(caught.value)) < 400
    with pytest.raises(ModelError, match="tokenizer cannot be read: found no such file"):
        describe("missing.json")


def test_a_model_gets_a_tokenizer_that_fits_and_becomes_another() -> None:
    plain = writer({"tokenizer": None})
    made = with_tokenizer(plain, {"kind": "characters", "table": "ab", "unknown": 0}, masks=["hex"], drop_fields=[1])
    assert made.identity != plain.identity
    assert (made.input["masks"], made.input["drop_fields"]) == (["hex"], [1])
    with pytest.raises(ModelError, match="more ids than the model: found 256 ids"):
        with_tokenizer(plain, {"kind": "bytes"})
    with pytest.raises(ModelError, match=r"input.kind is wrong: found 'dense', expected 'tokens', for a tokenizer"):
        with_tokenizer(one("accumulate", [3]), {"kind": "bytes"})


@pytest.mark.conformance
def test_the_official_character_model_writes_with_its_vocabulary(
    shared: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="torch, which reads the checkpoint, is not installed (extra test)")
    characters = "\n !\"'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[:77]
    vocabulary = write(tmp_path / "vocab.json", {str(i): one for i, one in enumerate(characters)}, "utf-16")
    out = str(tmp_path / "m.safetensors")
    assert len(characters) == 77
    assert main(["import", str(shared(CHECKPOINT)), "--from", "spikegpt", "--tokenizer", vocabulary, "-o", out]) == 0
    session = edgesnn.load(out).session()
    text = "".join(piece.text for piece in generate(session, "The ", tokens=30, temperature=0))
    again = edgesnn.load(out).session()
    logits = again.run([characters.index(one) for one in "The "], keep="last")
    wanted = ""
    for _ in range(30):
        wanted += characters[int(np.argmax(logits))]
        logits = again.step(characters.index(wanted[-1]))
    assert text == wanted
    capsys.readouterr()


def test_flags_of_text_need_a_tokenizer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "m.safetensors")
    assert main(["import", "x.nir", "--from", "nir", "--profile", "norse", "--tokenizer", "bytes", "-o", out]) == 2
    assert "--tokenizer: flag of another kind of file" in capsys.readouterr().err
    assert main(["import", "x.pth", "--from", "rwkv4", "--drop-fields", "a", "-o", out]) == 2
    assert "--drop-fields: not numbers of fields" in capsys.readouterr().err
