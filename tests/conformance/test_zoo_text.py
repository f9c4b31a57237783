"""The shipped text model on the tenth of tiny Shakespeare that trained nothing: its card, what int8 and int4 cost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import edgesnn
from edgesnn.quantize import quantize
from edgesnn.runtime.model import Model
from edgesnn.tokens import score
from edgesnn.train.text.config import CorpusConfig
from edgesnn.train.text.corpus import Corpus, load_corpus
from edgesnn.train.text.measure import bits_of, measure

pytestmark = pytest.mark.conformance

DATA = "datasets/tinyshakespeare.txt"


@pytest.fixture(scope="module")
def corpus(shared) -> Corpus:
    """Return the text in the two parts of examples/text/shakespeare.toml."""
    return load_corpus(CorpusConfig(source=str(shared(DATA)), tokenizer="characters", test=0.1))


@pytest.fixture(scope="module")
def measured(corpus: Corpus) -> dict[str, float]:
    """Return bits per character of the whole test part."""
    twin = edgesnn.load("shakespeare-float32").document
    documents = {"float32": twin, "int8": edgesnn.load("shakespeare").document, "int4": quantize(twin, "int4")}
    return measure(documents, corpus)


def test_int8_and_int4_cost_little_on_the_first_characters(corpus: Corpus) -> None:
    twin = edgesnn.load("shakespeare-float32").document
    documents = {"float32": twin, "int8": edgesnn.load("shakespeare").document, "int4": quantize(twin, "int4")}
    bits = {name: bits_of(Model(one), corpus.test[:6000]).mean() for name, one in documents.items()}
    assert bits["float32"] < 2.5
    assert abs(bits["int8"] - bits["float32"]) <= 0.02
    assert abs(bits["int4"] - bits["float32"]) <= 0.05


@pytest.mark.full
def test_int8_and_int4_cost_little(measured: dict[str, float]) -> None:
    assert measured["int8"] - measured["float32"] <= 0.02
    assert measured["int4"] - measured["float32"] <= 0.05


@pytest.mark.full
def test_it_knows_more_than_an_n_gram(measured: dict[str, float]) -> None:
    assert measured["int4"] < measured["ngram"] - 0.1


@pytest.mark.full
def test_card_says_what_the_files_do(measured: dict[str, float]) -> None:
    card = (Path(edgesnn.__file__).parent / "zoo" / "shakespeare.md").read_text(encoding="utf-8")
    assert edgesnn.load("shakespeare").identity in card
    for row, name in (("float32", "float32"), ("int8", "int8"), ("int4", "int4"), ("gram", "ngram")):
        said = re.search(rf"\| [^|]*{row}[^|]*\| ([\d.]+) \|", card)
        assert said is not None
        assert float(said[1]) == pytest.approx(measured[name], abs=6e-4)


def test_the_vocabulary_is_that_of_the_text(corpus: Corpus) -> None:
    tokens = edgesnn.load("shakespeare").document.input
    assert {name: tokens[name] for name in corpus.input} == corpus.input
    assert tokens["vocab"] == corpus.vocab


def test_shuffled_words_surprise_more() -> None:
    session = edgesnn.load("shakespeare").session()
    told, shuffled = score(session, ["What shall I do, my lord?", "lord? my do, I shall What"])
    assert told.bits_per_token < shuffled.bits_per_token


def test_the_quantised_file_is_that_of_its_twin() -> None:
    twin = edgesnn.load("shakespeare-float32").document
    ours = edgesnn.load("shakespeare").document
    assert Model(quantize(twin, "int8")).identity == Model(ours).identity
