"""A small tokenizer of the package `tokenizers`, and texts, for the tests of tokens."""

from __future__ import annotations

from functools import cache

import pytest

CORPUS = ["the engine is hot\nthe engine is off\n\nvalve 12 open €5 é", "a b c\n  indented\nthe end"]


@cache
def byte_pairs() -> str:
    """Return the JSON of a byte-level BPE that was trained on `CORPUS`; skips where the package is absent."""
    tokenizers = pytest.importorskip("tokenizers", reason="extra `tokens` is not installed")
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=320, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(CORPUS, trainer)
    return str(made.to_str())
