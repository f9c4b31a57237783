"""Bits per character of model files on a text that never trained, beside an n-gram that saw the same training text."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from edgesnn.graph import Document
from edgesnn.runtime.model import Model
from edgesnn.tokens.probability import surprise_bits
from edgesnn.train.text.corpus import Corpus, Ids
from edgesnn.train.text.ngram import NGram

PIECE = 256  # tokens of one call
ORDERS = range(1, 9)

Floats = npt.NDArray[np.float64]
Measured = dict[str, float]


def measure(documents: Mapping[str, Document], corpus: Corpus) -> Measured:
    """Return bits per character of the test part by name, and of the best n-gram as "ngram", with its order.

    A model runs through the test part as one stream, its state kept; the n-gram's order is the one that does best on
    the test part, so that the baseline is as good as it can be. With `alerts` each also has "NAME_auc": the area under
    the curve of right against false alarms, when lines are told apart by their bits per token.
    """
    bits = {name: bits_of(Model(one), corpus.test) for name, one in documents.items()}
    grams = {n: NGram(corpus.train, corpus.vocab, n).bits(corpus.test)[1:] for n in ORDERS}
    best = min(grams, key=lambda n: grams[n].sum())
    bits["ngram"] = grams[best]
    measured = {name: float(own.sum()) / corpus.test_characters for name, own in bits.items()}
    return {**measured, **curves(bits, corpus), "ngram_order": best}


def curves(bits: Mapping[str, Floats], corpus: Corpus) -> Measured:
    """Return "NAME_auc" for the bits of each name, of the lines that have tokens; none if these are of one kind."""
    kept = corpus.line_tokens > 0
    tokens, alerts = corpus.line_tokens[kept], corpus.alerts[kept[: len(corpus.alerts)]]
    if alerts.all() or not alerts.any():
        return {}
    return {f"{name}_auc": auc(by_line(own, tokens), alerts) for name, own in bits.items()}


def by_line(bits: Floats, line_tokens: Ids) -> Floats:
    """Return the bits per token of each line, of those of all tokens but the first; no line is without tokens."""
    ends = np.cumsum(line_tokens)
    return np.add.reduceat(np.concatenate(([0.0], bits)), ends - line_tokens) / line_tokens


def auc(scores: Floats, positive: npt.NDArray[np.bool_]) -> float:
    """Return the probability that a positive has a higher score than a negative, ties half.

    >>> auc(np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True]))
    0.875
    """
    values, place = np.unique(scores, return_inverse=True)
    wanted, other = (np.bincount(place[chosen], minlength=len(values)) for chosen in (positive, ~positive))
    below = np.cumsum(other) - other
    return float((wanted * (below + other / 2)).sum() / (wanted.sum() * other.sum()))


def bits_of(model: Model, tokens: Ids) -> Floats:
    """Return the surprise of each token but the first after those before it, bits [T - 1]."""
    session, parts = model.session(), []
    for first in range(0, len(tokens) - 1, PIECE):
        piece = tokens[first : min(first + PIECE, len(tokens) - 1)]
        parts.append(surprise_bits(np.asarray(session.run(piece)), tokens[first + 1 : first + 1 + len(piece)]))
    return np.concatenate(parts)


def say(measured: Measured) -> str:
    """Return a line for a person."""
    names = [name for name in measured if not name.endswith(("_auc", "_order"))]
    titles = {name: name if name != "ngram" else f"{measured['ngram_order']:.0f}-gram" for name in names}
    text = "bits per character of the test part: " + ", ".join(f"{titles[n]} {measured[n]:.3f}" for n in names)
    if "ngram_auc" in measured:
        curves = ", ".join(f"{titles[n]} {measured[n + '_auc']:.3f}" for n in names)
        text += f"; area under the curve of alerts: {curves}"
    return text
