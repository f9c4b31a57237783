"""What the numbers of a training configuration may be: one table, and the rules between two keys."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgesnn.errors import ConfigError, UsageError
from edgesnn.events.filters import parse_filters
from edgesnn.units import parse_sensor

if TYPE_CHECKING:
    from edgesnn.train.config import TrainConfig


@dataclass(frozen=True)
class Range:
    """Allowed numbers: from `low` to `high`; `open_low`, `open_high` leave that end out."""

    low: float
    high: float
    open_low: bool = False
    open_high: bool = False

    def holds(self, value: float) -> bool:
        """Say whether a number is allowed; NaN never is."""
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return math.isfinite(value) and above and below

    def __str__(self) -> str:
        low = f"more than {self.low:g}" if self.open_low else f"{self.low:g}"
        return f"{low}, less than {self.high:g}" if self.open_high else f"{low} to {self.high:g}"


_SHARE = Range(0, 1)
_SPREAD = Range(0, 10)
_INDEX = Range(0, 2**62)

RANGES = {
    "data.train_ids": _INDEX,
    "data.validate_ids": _INDEX,
    "data.validate": Range(0, 1, open_low=True, open_high=True),
    "input.min_events": Range(0, 2**40),
    "input.points": Range(1, 2**16),
    "input.groups": Range(1, 2**16),
    "input.neighbours": Range(1, 2**16),
    "input.seed": Range(0, 2**63 - 1),
    "model.classes": Range(0, 2**16),
    "model.widths": Range(1, 2**14),
    "model.voters": Range(1, 1024),
    "model.steps": Range(1, 2**12),
    "model.shift": Range(-100, 100),
    "train.epochs": Range(1, 10**6),
    "train.batch": Range(2, 2**16),
    "train.seed": Range(0, 2**63 - 1),
    "train.windows": Range(1, 10**4),
    "train.lr": Range(0, 10, open_low=True),
    "train.weight_decay": Range(0, 10),
    "train.warmup": Range(0, 10**9),
    "train.label_smoothing": Range(0, 1, open_high=True),
    "train.logit_scale": Range(0, 1e4, open_low=True),
    "train.ema": Range(0, 1, open_high=True),
    "train.threads": Range(1, 1024),
    "train.evaluate_every": Range(1, 10**6),
    "train.teach": _SHARE,
    "train.teach_temperature": Range(0, 1e3, open_low=True),
    "augment.rotate": _SPREAD,
    "augment.scale": _SPREAD,
    "augment.shear": _SPREAD,
    "augment.shift": _SHARE,
    "augment.mirror": _SHARE,
    "augment.drop": Range(0, 1, open_high=True),
}


def check_number(value: Any, ranges: Mapping[str, Range], where: str, key: str) -> None:
    """Check a value, or each number of a list, against its range, if it has one; ConfigError names the key."""
    allowed = ranges.get(key)
    if allowed is None:
        return
    for number in value if isinstance(value, tuple) else (value,):
        if not allowed.holds(number):
            raise ConfigError("out of range", where=where, found=f"{key} = {number!r}", expected=str(allowed))


def check_overrides(overrides: Mapping[str, int], ranges: Mapping[str, Range]) -> None:
    """Check what flags say instead of the section `train`; UsageError names the flag."""
    for name, value in overrides.items():
        allowed = ranges[f"train.{name}"]
        if not allowed.holds(value):
            raise UsageError("out of range", where=f"--{name}", found=str(value), expected=str(allowed))


def check_together(config: TrainConfig, where: str) -> None:
    """Check what two keys say together; ConfigError names them."""
    encoding, model = config.encoding, config.model
    rules = [
        (encoding.window_us >= 1, f"input.window = {config.input.window!r}", "at least 1us"),
        (encoding.hop_us >= 1, f"input.hop = {config.input.hop!r}", "at least 1us"),
        (encoding.groups <= encoding.points, f"input.groups = {encoding.groups}", "at most input.points"),
        (encoding.neighbours <= encoding.points, f"input.neighbours = {encoding.neighbours}", "at most input.points"),
        (model.neuron == "plif" or model.steps == 1, f"model.steps = {model.steps}", "1 with model.neuron = 'relu'"),
        (
            model.features == "unsigned" or model.coding == "direct",
            f"model.features = {model.features!r}",
            "'unsigned' with model.coding = 'rate'",
        ),
    ]
    try:
        parse_filters(config.input.filters, where="input.filters")
    except UsageError as error:
        raise ConfigError(
            error.what, where=f"{where}: {error.where}", found=error.found, expected=error.expected, hint=error.hint
        ) from None
    if config.data.sensor:
        try:
            parse_sensor(config.data.sensor, where="data.sensor")
        except UsageError as error:
            raise ConfigError(error.what, where=f"{where}: data.sensor", found=error.found) from None
    for name, (first, last) in (("train_ids", config.data.train_ids), ("validate_ids", config.data.validate_ids)):
        rules.append((first <= last, f"data.{name} = [{first}, {last}]", "the first id, then the last"))
    for holds, found, expected in rules:
        if not holds:
            raise ConfigError("out of range", where=where, found=found, expected=expected)
