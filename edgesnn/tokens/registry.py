"""Tokenizers by kind: one file and one line each, imported on use.

Those of other packages come by entry points of the group `edgesnn.tokenizers`, after ours, and never replace one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesnn.errors import ModelError
from edgesnn.tokens.tokenizers.base import AT, Kind, Tokenizer, wrong
from edgesnn.variants import Variants

TOKENIZERS = {
    "bytes": "edgesnn.tokens.tokenizers.bytes:Bytes",
    "characters": "edgesnn.tokens.tokenizers.characters:Characters",
    "huggingface": "edgesnn.tokens.tokenizers.huggingface:HuggingFace",
    "numbers": "edgesnn.tokens.tokenizers.numbers:Numbers",
}
_VARIANTS = Variants(TOKENIZERS, "edgesnn.tokenizers")


def names() -> list[str]:
    """Return all kinds, ours first."""
    return _VARIANTS.names()


def check_tokenizer(given: Any, vocab: int, where: str = "tokenizer") -> None:
    """Check a model file's `input.tokenizer`; null is none.

    Raises:
        ModelError: an unknown kind, a wrong field, or more ids than the model's vocabulary has.
    """
    if given is None:
        return
    size = _kind(given, where).check(given, where)
    if size is not None:
        _check_size(size, vocab, where)


def make_tokenizer(given: Any, vocab: int | None = None, where: str = "tokenizer") -> Tokenizer:
    """Return the tokenizer of a model file's `input.tokenizer`.

    Args:
        given: the object, with `kind` and the fields of that kind (docs/tokens.md).
        vocab: of the model.
        where: the file, for errors.

    Raises:
        ModelError: none, or one that cannot be.
        BackendError: it needs a package that is not installed.

    >>> make_tokenizer({"kind": "characters", "table": "\\nab", "unknown": None}).size
    3
    """
    if given is None:
        hint = "import it with --tokenizer, or step it by ids"
        raise ModelError("the model has no tokenizer", where=where, hint=hint)
    kind = _kind(given, where)
    kind.check(given, where)
    made = kind.make(given, where)
    if vocab is not None:
        _check_size(made.size, vocab, where)
    return made


def _kind(given: Any, where: str) -> Kind:
    name = given.get("kind") if isinstance(given, Mapping) else None
    variant = _VARIANTS.find(name)
    if variant is None:
        found, expected = repr(given if name is None else name)[:120], ", ".join(names())
        raise ModelError(f"{AT} is wrong: no such tokenizer", where=where, found=found, expected=expected)
    kind: Kind = variant()
    if given.keys() != {"kind", *kind.fields}:
        wrong(where, "fields", sorted(map(str, given)), ", ".join(["kind", *kind.fields]))
    return kind


def _check_size(size: int, vocab: int, where: str) -> None:
    if size > vocab:
        what = f"{AT} has more ids than the model"
        raise ModelError(what, where=where, found=f"{size} ids", expected=f"at most input.vocab, {vocab}")
