"""The TOML file of a token model's training: sections [data], [model], [train]; every key has a default."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edgesnn.errors import ConfigError, ModelError
from edgesnn.models.spikegpt import SpikeGPTConfig
from edgesnn.tokens.masks import MASKS, check_drop_fields, check_masks
from edgesnn.train.config import parse_sections, read_toml
from edgesnn.train.ranges import Range


@dataclass(frozen=True)
class CorpusConfig:
    """Which text, and what of it the model sees.

    Attributes:
        source: a text file in UTF-8; `--data` replaces it.
        tokenizer: "characters" (a table of those that the training part has), "bytes", or "bpe" (byte pairs, trained on
            the training part; extra `tokens`), or "numbers" (lines of values, one a channel, as bins that have about
            as many values of the training part each).
        vocab: tokens of "bpe".
        bins: of a channel of "numbers".
        test: share of the lines, the last ones, that never train.
        normal: only lines whose first field is this train (logs with a label in front).
        drop_fields: fields of a line that the model never sees, 0 the first (docs/tokens.md); with `normal` [0] by
            default, and always with 0.
        masks: words in place of what differs every time (docs/tokens.md); with `normal` all by default.
    """

    source: str = ""
    tokenizer: Literal["characters", "bytes", "bpe", "numbers"] = "characters"
    vocab: int = 1024
    bins: int = 16
    test: float = 0.1
    normal: str = ""
    drop_fields: tuple[int, ...] = ()
    masks: tuple[str, ...] = ()


@dataclass(frozen=True)
class NetConfig:
    """The network: see `edgesnn.models.spikegpt.SpikeGPTConfig`."""

    layers: int = 4
    width: int = 128
    spiking: bool = True
    binarise: bool = True

    def network(self, vocab: int) -> SpikeGPTConfig:
        """Return the whole configuration, for so many tokens."""
        return SpikeGPTConfig(vocab, self.layers, self.width, self.spiking, self.binarise)


@dataclass(frozen=True)
class LoopConfig:
    """How to train: AdamW, a linear warm-up and a cosine to zero.

    Attributes:
        steps: batches in all.
        batch, context: sequences of a batch, and their tokens; each begins with an empty state, anywhere in the text.
        lr, weight_decay, warmup, clip: as they say; `weight_decay` is of matrices, `clip` of the gradient's norm.
        seed, threads: as they say.
        evaluate_every: steps between two looks at the test part and two checkpoints (no look selects anything).
    """

    steps: int = 1500
    batch: int = 32
    context: int = 64
    lr: float = 3e-3
    weight_decay: float = 1e-2
    warmup: int = 50
    clip: float = 1.0
    seed: int = 0
    threads: int = 2
    evaluate_every: int = 250


@dataclass(frozen=True)
class TextConfig:
    """The whole file."""

    data: CorpusConfig = field(default_factory=CorpusConfig)
    model: NetConfig = field(default_factory=NetConfig)
    train: LoopConfig = field(default_factory=LoopConfig)


RANGES = {
    "data.vocab": Range(257, 2**16),
    "data.bins": Range(2, 2**12),
    "data.test": Range(0, 1, open_low=True, open_high=True),
    "model.layers": Range(1, 64),
    "model.width": Range(1, 2**13),
    "train.steps": Range(1, 10**7),
    "train.batch": Range(1, 2**14),
    "train.context": Range(2, 2**12),
    "train.lr": Range(0, 1, open_low=True),
    "train.weight_decay": Range(0, 10),
    "train.warmup": Range(0, 10**7),
    "train.clip": Range(0, 1e6, open_low=True),
    "train.seed": Range(0, 2**63 - 1),
    "train.threads": Range(1, 1024),
    "train.evaluate_every": Range(1, 10**7),
}


def load_text_config(path: str | Path | None) -> TextConfig:
    """Read a TOML file, None: all defaults. Raises ConfigError, as `edgesnn.train.config.load_config`."""
    return TextConfig() if path is None else parse_text_config(read_toml(path), where=str(path))


def parse_text_config(document: dict[str, Any], *, where: str = "config") -> TextConfig:
    """Return the config that a dictionary says; see `load_text_config`."""
    data = document.get("data")
    if isinstance(data, dict) and data.get("normal"):
        document = {**document, "data": {"drop_fields": [0], "masks": list(MASKS), **data}}
    config = parse_sections(TextConfig, document, RANGES, where)
    try:
        if config.data.masks:
            check_masks(list(config.data.masks), where)
        if config.data.drop_fields:
            check_drop_fields(list(config.data.drop_fields), where)
    except ModelError as error:
        what = error.what.replace("input.", "data.")
        raise ConfigError(what, where=where, found=error.found, expected=error.expected) from None
    if config.data.normal and 0 not in config.data.drop_fields:
        found, expected = str(list(config.data.drop_fields)), "0 among them: the label of data.normal"
        raise ConfigError("data.drop_fields is wrong", where=where, found=found, expected=expected)
    return config
