"""Any split of the bytes gives the same tokens; a saved and restored coder goes on; text comes back whole."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn.tokens import decode, encode, make_tokenizer
from edgesnn.tokens.tokenizers.base import Tokenizer
from tests.token_texts import byte_pairs

TABLE = "\n abcé€\U0001f642\x00\ufffd"
SPECS: dict[str, dict[str, Any]] = {
    "bytes": {"kind": "bytes"},
    "characters": {"kind": "characters", "table": TABLE, "unknown": None},
    "characters with unknown": {"kind": "characters", "table": TABLE, "unknown": 2},
    "numbers": {"kind": "numbers", "edges": [[-1, 0.5, 20], [0]]},
}
WORDS = b"a|bc|\n| |\n\n| \n|\xc3\xa9|\xe2\x82\xac|\xf0\x9f\x99\x82|\xf0\x9f|\xff|\x00|1.5|,|-2e3|nan|\xed\xa0\x80|\xc3"
PIECES = st.sampled_from(WORDS.split(b"|"))
TEXTS = st.lists(PIECES, max_size=30).map(b"".join)


def tokenizer_of(name: str) -> Tokenizer:
    if name == "huggingface":
        return make_tokenizer({"kind": "huggingface", "json": byte_pairs()})
    return make_tokenizer(SPECS[name])


@pytest.mark.parametrize("name", [*SPECS, "huggingface"])
@settings(max_examples=150)
@given(data=TEXTS, cuts=st.lists(st.integers(0, 60), max_size=6))
def test_any_split_through_any_snapshot_gives_the_same_tokens(name: str, data: bytes, cuts: list[int]) -> None:
    tokenizer = tokenizer_of(name)
    encoder, ids = tokenizer.encoder(), []
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        ids += encoder.feed(data[start:end])
        saved, encoder = encoder.save(), tokenizer.encoder()
        encoder.load(saved)
    ids += encoder.finish()
    assert ids == encode(tokenizer, data)
    assert all(0 <= one < tokenizer.size for one in ids)
    assert encoder.feed(b"") + encoder.finish() == []


@pytest.mark.parametrize("name", ["bytes", "characters", "huggingface"])
@settings(max_examples=100)
@given(text=st.text("\n abcé€\U0001f642", max_size=30))
def test_text_comes_back_and_no_piece_ends_inside_a_character(name: str, text: str) -> None:
    tokenizer = tokenizer_of(name)
    decoder, pieces = tokenizer.decoder(), []
    for token in encode(tokenizer, text):
        pieces.append(decoder.feed(token))
        saved, decoder = decoder.save(), tokenizer.decoder()
        decoder.load(saved)
    assert "".join(pieces) == text
    assert decoder.finish() == ""


@settings(max_examples=100)
@given(tokens=st.lists(st.integers(0, 255), max_size=40))
def test_bytes_that_are_no_text_are_replaced_as_python_replaces_them(tokens: list[int]) -> None:
    assert decode(make_tokenizer(SPECS["bytes"]), tokens) == bytes(tokens).decode("utf-8", "replace")
