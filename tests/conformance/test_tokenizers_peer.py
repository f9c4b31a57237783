"""`huggingface` tokenizers against the package `tokenizers`: its ids, and its own text of all ids at once."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

tokenizers = pytest.importorskip("tokenizers", reason="extra `tokens` is not installed")

from tokenizers import decoders, models, pre_tokenizers, trainers  # noqa: E402

from edgesnn.tokens import encode, make_tokenizer  # noqa: E402

CORPUS = [
    "the engine is hot\n",
    "señor, 5 € for the 🙂\n",
    "  indented 日本語のテキスト\n",
    "don't stop, it's ready\n",
] * 20
WORDS = ["the engine", " is", " hot", "\n", "señor", " €", "🙂", "日本", "語", "  ", "zq", ",", "\ufffd", "don't", "ß"]
BYTES = [f"<0x{value:02X}>" for value in range(256)]


def byte_level() -> Any:
    """Return a tokenizer as GPT-2's and the 20B one are: byte pairs of bytes."""
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=alphabet, special_tokens=["<|end|>"], show_progress=False
    )
    made.train_from_iterator(CORPUS, trainer)
    return made


def byte_fallback() -> Any:
    """Return a tokenizer as Llama's is: byte pairs of characters, bytes for those that it lacks."""
    made = tokenizers.Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    made.decoder = decoders.Sequence(parts)
    made.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=450, special_tokens=["<unk>", *BYTES], show_progress=False)
    )
    return made


def metaspace() -> Any:
    """Return a tokenizer whose words begin with a mark for the space before them."""
    made = tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    made.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=200, special_tokens=["<unk>"], show_progress=False))
    return made


def word_piece() -> Any:
    """Return a tokenizer of words and their ends, which puts spaces between them by itself."""
    made = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.pre_tokenizer, made.decoder = pre_tokenizers.Whitespace(), decoders.WordPiece()
    made.train_from_iterator(
        CORPUS, trainers.WordPieceTrainer(vocab_size=200, special_tokens=["[UNK]"], show_progress=False)
    )
    return made


KINDS = {made.__name__: made for made in (byte_level, byte_fallback, metaspace, word_piece)}


@cache
def pair(kind: str) -> tuple[Any, Any]:
    foreign = KINDS[kind]()
    return foreign, make_tokenizer({"kind": "huggingface", "json": foreign.to_str()})


def pieces_of(tokenizer: Any, ids: list[int]) -> list[str]:
    """Return the text of each id as it is given, through a snapshot at each."""
    decoder, pieces = tokenizer.decoder(), []
    for token in ids:
        pieces.append(decoder.feed(token))
        saved, decoder = decoder.save(), tokenizer.decoder()
        decoder.load(saved)
    return [*pieces, decoder.finish()]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150)
@example(text="\ufffdzqzqzqzq")
@example(text="日本zqzqzqzq日本")
@example(text="\ufffd" * 50 + "zq" + "🦊" * 40)
@given(text=st.lists(st.sampled_from(WORDS), max_size=25).map("".join))
def test_text_in_pieces_is_the_packages_text_of_the_whole(kind: str, text: str) -> None:
    foreign, tokenizer = pair(kind)
    ids = foreign.encode(text, add_special_tokens=False).ids
    pieces = pieces_of(tokenizer, ids)
    assert "".join(pieces) == foreign.decode(ids, skip_special_tokens=False)
    assert "\ufffd" in text or not any("\ufffd" in piece for piece in pieces)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150)
@given(data=st.data())
def test_so_is_that_of_ids_that_no_text_has(kind: str, data: st.DataObject) -> None:
    """Not of bytes that are no character after ones that were: the package then takes back what has been given."""
    foreign, tokenizer = pair(kind)
    first = 257 if kind == "byte_fallback" else 0
    ids = data.draw(st.lists(st.integers(first, tokenizer.size - 1), max_size=80))
    assert "".join(pieces_of(tokenizer, ids)) == foreign.decode(ids, skip_special_tokens=False)


@pytest.mark.parametrize("kind", ["byte_level", "byte_fallback"])
def test_no_piece_ends_inside_a_character(kind: str) -> None:
    foreign, tokenizer = pair(kind)
    text = "ß🦊 ß" if kind == "byte_fallback" else "🦊ß\U0001f680"
    ids = foreign.encode(text, add_special_tokens=False).ids
    pieces = pieces_of(tokenizer, ids)
    assert len(ids) > len(text)
    assert "".join(pieces) == text
    assert pieces.count("") >= len(ids) - len(text)


@pytest.mark.parametrize("kind", ["byte_level", "byte_fallback", "metaspace"])
@settings(max_examples=100)
@given(words=st.lists(st.sampled_from([word for word in WORDS if "\n" not in word]), max_size=20))
def test_ids_of_a_line_are_the_packages(kind: str, words: list[str]) -> None:
    foreign, tokenizer = pair(kind)
    line = "".join(words) + "\n"
    assert encode(tokenizer, line) == foreign.encode(line, add_special_tokens=False).ids
