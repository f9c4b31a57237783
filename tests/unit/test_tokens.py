"""Tokenizers and masks: what each gives, and what a model file may not say of them."""

from __future__ import annotations

import doctest
import json
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesnn.cli.main import main
from edgesnn.errors import BackendError, ModelError, UsageError
from edgesnn.tokens import decode, encode, make_tokenizer, mask
from edgesnn.tokens.masks import MASKS, drop_fields, field_of
from edgesnn.tokens.tokenizers.huggingface import MOST_CHARACTERS
from tests.one_operator import document as one
from tests.token_texts import CORPUS, byte_pairs

SENSORS = {"kind": "numbers", "edges": [[0, 10, 20], [5]]}


@pytest.mark.parametrize(
    "name", ["masks", "registry", "probability", "sampling", "surprise", "lines", "tokenizers.base", "generation"]
)
def test_examples_in_docstrings_hold(name: str) -> None:
    assert doctest.testmod(import_module(f"edgesnn.tokens.{name}")).failed == 0


def test_characters_are_the_places_of_their_table() -> None:
    made = make_tokenizer({"kind": "characters", "table": "\n ab", "unknown": None})
    assert encode(made, "ab\nxa") == [2, 3, 0, 2]
    assert decode(made, [3, 1, 2]) == "b a"
    unknown = make_tokenizer({"kind": "characters", "table": "\n ab", "unknown": 1})
    assert encode(unknown, b"a\x00\xff") == [2, 1, 1]


@pytest.mark.parametrize(
    ("line", "ids"),
    [
        ("-1,4.9", [0, 5]),
        ("0;5", [1, 6]),
        (" 19.99  1e3 ", [2, 6]),
        ("20\t-5", [3, 5]),
        ("nan,", [4, 7]),
        (",3", [4, 5]),
        ("12", [2, 7]),
        ("1,2,3", [1, 5]),
        ("1_0,0x3", [4, 7]),
        ("   ", []),
    ],
)
def test_numbers_are_bins_of_their_channel_and_what_is_none_is_missing(line: str, ids: list[int]) -> None:
    assert encode(make_tokenizer(SENSORS), line) == ids


def test_bins_have_names() -> None:
    assert decode(make_tokenizer(SENSORS), [0, 5, 2, 6, 3, 7, 4]) == "<0,<5\n10..20,5..\n20..,missing\nmissing,"


def test_a_tokenizer_of_the_package_gives_what_the_package_gives_for_a_line() -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="extra `tokens` is not installed")
    foreign = tokenizers.Tokenizer.from_str(byte_pairs())
    made = make_tokenizer({"kind": "huggingface", "json": byte_pairs()})
    for text in [*CORPUS, "\n\nthe", "no line's end", "é€ " * 50]:
        assert encode(made, text) == foreign.encode(text).ids
        assert decode(made, encode(made, text)) == text


def test_a_text_without_lines_does_not_wait_for_ever() -> None:
    encoder = make_tokenizer({"kind": "huggingface", "json": byte_pairs()}).encoder()
    for _ in range(20):
        encoder.feed(b"the engine" * 1000)
        assert len(encoder.save()) <= MOST_CHARACTERS


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(BackendError, match=r"needs the package tokenizers; pip install 'edgesnn\[tokens\]'"):
        make_tokenizer({"kind": "huggingface", "json": '{"model": {}}'})


WRONG: list[tuple[Any, str]] = [
    (None, "the model has no tokenizer"),
    ("bytes", "no such tokenizer"),
    ({"kind": ["bytes"]}, "no such tokenizer"),
    ({"kind": "words"}, "found 'words', expected bytes, characters, huggingface, numbers"),
    ({"kind": "bytes", "size": 3}, r"input.tokenizer.fields is wrong: found \['kind', 'size'\], expected kind"),
    ({"kind": "characters", "table": "", "unknown": None}, "table is wrong"),
    ({"kind": "characters", "table": "aba", "unknown": None}, "expected each character once"),
    ({"kind": "characters", "table": ["a"], "unknown": None}, "table is wrong"),
    ({"kind": "characters", "table": "ab", "unknown": 2}, "unknown is wrong"),
    ({"kind": "characters", "table": "ab", "unknown": True}, "unknown is wrong"),
    ({"kind": "numbers", "edges": []}, "edges is wrong"),
    ({"kind": "numbers", "edges": [[]]}, r"edges\[0\] is wrong"),
    ({"kind": "numbers", "edges": [[1, 1]]}, "expected ascending numbers"),
    ({"kind": "numbers", "edges": [[1, float("inf")]]}, "expected finite numbers"),
    ({"kind": "numbers", "edges": [[1], ["2"]]}, r"edges\[1\] is wrong"),
    ({"kind": "huggingface", "json": "{"}, "json is wrong"),
    ({"kind": "huggingface", "json": '{"model": 1}'}, "json is wrong"),
    ({"kind": "huggingface", "json": "[" * 100_000}, "json is wrong"),
    ({"kind": "huggingface", "json": {}}, "json is wrong"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_a_wrong_tokenizer_is_one_clear_line(given: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        make_tokenizer(given, where="m.safetensors")
    assert str(caught.value).startswith("m.safetensors: ")
    assert len(str(caught.value)) < 600


def test_a_long_table_is_checked_in_time_that_grows_with_it() -> None:
    table = "".join(map(chr, range(0x10000, 0x110000)))
    before_s = time.monotonic()
    with pytest.raises(ModelError, match="twice', expected each character once"):
        make_tokenizer({"kind": "characters", "table": table + table[-1], "unknown": None})
    assert time.monotonic() - before_s < 20


def test_json_that_the_package_refuses_is_an_error_of_the_model() -> None:
    byte_pairs()  # skips without the package
    with pytest.raises(ModelError, match=r"input.tokenizer.json is wrong"):
        make_tokenizer({"kind": "huggingface", "json": '{"model": {"type": "none"}}'})


FOREIGN: dict[str, dict[str, Any]] = {
    "a word without unknown": {"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "[UNK]"}},
    "a piece without unknown": {"model": {"type": "Unigram", "unk_id": None, "vocab": [["a", -1.0]]}},
    "a pattern that never ends": {
        "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": "(a+)+$"},
            "behavior": "Isolated",
            "invert": False,
        },
    },
    "a damaged table": {
        "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"},
    },
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_the_package_cannot_do_is_an_error_of_the_model(case: str) -> None:
    pytest.importorskip("tokenizers", reason="extra `tokens` is not installed")
    plain: dict[str, Any] = {"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "Whitespace"}}
    given = {"kind": "huggingface", "json": json.dumps({**plain, **FOREIGN[case]})}
    with pytest.raises(ModelError, match=r"cannot encode a text|input\.tokenizer\.json is wrong"):
        encode(make_tokenizer(given), "zebra " + "a" * 40 + "!")


def test_an_id_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(UsageError, match="id is not in the vocabulary: found 256, expected 0 to 255"):
        decode(make_tokenizer({"kind": "bytes"}), [65, 256])


MASKED = [
    ("at 2005-06-03-15.42.50.675872 ok", "at <time> ok"),
    ("2024-01-02T03:04:05.678Z x", "<time> x"),
    ("Jun  9 06:06:01 combo sshd", "<time> combo sshd"),
    ("up 12:30:45", "up <time>"),
    ("id 123e4567-e89b-12d3-a456-426614174000.", "id <uuid>."),
    ("from 10.0.0.1:8080 to 192.168.1.20", "from <addr> to <addr>"),
    ("00:1a:2b:3c:4d:5e fe80::1 2001:db8:0:1:1:1:1:1", "<addr> <addr> <addr>"),
    ("core.2275 R02-M1 9 0.5", "core.<num> R<num>-M<num> <num> <num>"),
    ("0x0b85eee0 deadbeef01 deadbeef cafe", "<hex> <hex> deadbeef cafe"),
    ("version 1.2.3.4.5", "version <num>"),
]


@pytest.mark.parametrize(("text", "masked"), MASKED)
def test_masks_replace_what_differs_every_time(text: str, masked: str) -> None:
    assert mask(text, MASKS) == masked
    assert mask(text, []) == text
    assert mask(masked, MASKS) == masked


def test_only_the_masks_that_are_named_work() -> None:
    assert mask("10.0.0.1 at 12:30:45", ["numbers"]) == "<num> at <num>:<num>:<num>"


def test_fields_are_left_out_and_found() -> None:
    line = "-  1117838570 2005.06.03 R02-M1"
    assert drop_fields(line, [0, 2]) == "1117838570 R02-M1"
    assert drop_fields(line, [9]) == "- 1117838570 2005.06.03 R02-M1"
    assert drop_fields(line, []) == line
    assert (field_of(line, 3), field_of(line, 4)) == ("R02-M1", "")


def test_a_long_line_is_masked_in_time_that_grows_with_it() -> None:
    for text in ("a" * 60_000, "1:" * 30_000, "0a" * 30_000, "1." * 30_000, "-" * 60_000, "f:" * 30_000):
        assert isinstance(mask(text, MASKS), str)


def test_info_says_tokenizer_and_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokenizer = {"kind": "characters", "table": "\n ab", "unknown": 1}
    section = {"kind": "tokens", "vocab": 4, "tokenizer": tokenizer, "drop_fields": [0], "masks": ["hex"]}
    document = one("embedding", section, tensors={"weight": np.ones((4, 2), np.float32)})
    document.save(tmp_path / "m.safetensors")
    assert main(["info", str(tmp_path / "m.safetensors")]) == 0
    said = capsys.readouterr().out
    assert "tokenizer   characters, table of 4, unknown 1\nmasks       hex\n" in said
    assert "input       drop_fields [0], kind tokens, vocab 4\n" in said
