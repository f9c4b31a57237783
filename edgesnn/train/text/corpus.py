"""A text file as token ids: what trains, what is kept back, and the tokenizer, all made from the part that trains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import BackendError, ConfigError
from edgesnn.tokens.masks import drop_fields, field_of, mask
from edgesnn.tokens.registry import make_tokenizer
from edgesnn.tokens.tokenizers.base import encode
from edgesnn.tokens.tokenizers.numbers import edges_of
from edgesnn.train.text.config import CorpusConfig

UNKNOWN = "\ufffd"
MOST_BYTES = 1 << 30

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Corpus:
    """A text, made into tokens.

    Attributes:
        source: the file.
        input: what the model file's `input` section says of it: tokenizer, drop_fields, masks.
        vocab: number of tokens.
        train, test: token ids.
        train_characters, test_characters: characters of what the model sees.
        line_tokens: tokens of each line of the test part, its end included [lines].
        alerts: whether a line of the test part has another first field than `normal` [lines]; empty without `normal`.
    """

    source: str
    input: dict[str, Any]
    vocab: int
    train: Ids
    test: Ids
    train_characters: int
    test_characters: int
    line_tokens: Ids
    alerts: npt.NDArray[np.bool_]


def load_corpus(config: CorpusConfig) -> Corpus:
    """Read the text and make its tokenizer.

    Raises:
        ConfigError: no such file, not UTF-8, larger than 1 GiB, or a part of it is empty.
        BackendError: "bpe" without the package `tokenizers`.
    """
    lines = read_lines(config.source)
    first = len(lines) - max(1, round(config.test * len(lines)))
    chosen = [one for one in lines[:first] if not config.normal or field_of(one, 0) == config.normal]
    seen = [_seen(one, config) for one in chosen]
    held_back = [_seen(one, config) for one in lines[first:]]
    for name, part in (("training", seen), ("test", held_back)):
        if sum(map(len, part)) < 2:
            found = f"{len(lines)} lines, of which {len(chosen)} train"
            raise ConfigError(f"the {name} part is empty", where=config.source, found=found)
    text = "".join(one + "\n" for one in seen)
    described = _tokenizer(config, text)
    tokenizer = make_tokenizer(described)
    described_input: dict[str, Any] = {"tokenizer": described}
    described_input |= {n: list(v) for n in ("drop_fields", "masks") if (v := getattr(config, n))}
    lines_of_test = [encode(tokenizer, one + "\n") for one in held_back]
    return Corpus(
        source=Path(config.source).name,
        input=described_input,
        vocab=tokenizer.size,
        train=np.array(encode(tokenizer, text), np.int64),
        test=np.array([token for one in lines_of_test for token in one], np.int64),
        train_characters=len(text),
        test_characters=sum(len(one) + 1 for one in held_back),
        line_tokens=np.array([len(one) for one in lines_of_test], np.int64),
        alerts=np.array([field_of(one, 0) != config.normal for one in lines[first:] if config.normal], np.bool_),
    )


def read_lines(source: str) -> list[str]:
    """Return the lines of a text file, without their ends; ConfigError as `load_corpus`."""
    if not source:
        raise ConfigError("no text to train on", where="data.source", hint="--data FILE")
    try:
        size = Path(source).stat().st_size
        if size > MOST_BYTES:
            raise ConfigError("text is too large", where=source, found=f"{size} bytes", expected="at most 1 GiB")
        text = Path(source).read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigError("text cannot be read", where=source, found=error.strerror) from None
    except UnicodeDecodeError as error:
        found = f"byte {error.start}: {error.reason}"
        raise ConfigError(
            "text is not UTF-8", where=source, found=found, hint="convert it, for example with iconv"
        ) from None
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n")


def _seen(line: str, config: CorpusConfig) -> str:
    return mask(drop_fields(line, config.drop_fields), config.masks)


def _tokenizer(config: CorpusConfig, text: str) -> dict[str, Any]:
    if config.tokenizer == "bytes":
        return {"kind": "bytes"}
    if config.tokenizer == "bpe":
        return {"kind": "huggingface", "json": _byte_pairs(text, config.vocab)}
    if config.tokenizer == "numbers":
        return {"kind": "numbers", "edges": edges_of(text.split("\n"), config.bins) or [[0.0]]}
    table = "".join(sorted({*text, UNKNOWN}))
    return {"kind": "characters", "table": table, "unknown": table.index(UNKNOWN)}


def _byte_pairs(text: str, vocab: int) -> str:
    try:
        import tokenizers
    except ImportError:
        hint = "pip install 'edgesnn[tokens]'"
        raise BackendError("a bpe vocabulary needs the package tokenizers", where="data.tokenizer", hint=hint) from None
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=vocab, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(text.splitlines(keepends=True), trainer)
    return str(made.to_str())
