"""The TOML file of a training run: sections [data], [input], [model], [train], [augment]; every key has a default.

Durations carry their unit (`window = "280ms"`). An unknown key or section, a wrong type and a number out of its range
(`ranges.py`) are a `ConfigError` that names them.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from edgesnn.encode.points import PointEncoding
from edgesnn.errors import ConfigError, UsageError
from edgesnn.models.spikepoint import SpikePointConfig
from edgesnn.train.datasets import DataConfig
from edgesnn.train.ranges import RANGES, Range, check_number, check_together
from edgesnn.units import parse_duration_us

Config = TypeVar("Config")

tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")


@dataclass(frozen=True)
class InputConfig:
    """How a window becomes points: see `edgesnn.encode.points.PointEncoding`.

    Attributes:
        filters: that the events go through first (docs/filters.md), such as "refractory:period=1ms".
    """

    window: str = "280ms"
    hop: str = "4ms"
    min_events: int = 50
    points: int = 512
    groups: int = 64
    neighbours: int = 16
    time: Literal["fixed", "minmax"] = "fixed"
    seed: int = 1
    filters: tuple[str, ...] = ()

    def encoding(self, steps: int) -> PointEncoding:
        """Return the encoding; ConfigError for a bad duration."""
        try:
            window_us = parse_duration_us(self.window, where="input.window")
            hop_us = parse_duration_us(self.hop, where="input.hop")
        except UsageError as error:
            raise ConfigError(str(error)) from None
        return PointEncoding(
            window_us=window_us,
            hop_us=hop_us,
            min_events=self.min_events,
            points=self.points,
            groups=self.groups,
            neighbours=self.neighbours,
            steps=steps,
            time=self.time,
            seed=self.seed,
        )


@dataclass(frozen=True)
class LoopConfig:
    """How to train.

    Attributes:
        epochs, batch, seed: as they say. An epoch draws `windows` windows of each training recording.
        lr, weight_decay, warmup: AdamW with a linear warm-up of so many steps, then a cosine to zero.
        label_smoothing: of the cross-entropy.
        logit_scale: the scores are multiplied by it in the loss (spike votes lie in [0, 1]: 10).
        ema: decay per step of the averaged weights; those are evaluated and saved.
        threads: of torch.
        compile: fuse the elementwise passes with torch.compile.
        bfloat16: matrix products in bfloat16 (training only).
        int8: round the weights to int8 in the forward pass, as `edgesnn.quantize` will (the gradient passes straight
            through), so that the quantised model decides as this one; best for the last epochs, without bfloat16.
        evaluate_every: epochs between two looks at the validation recordings (the last epoch is always evaluated; no
            look ever selects a checkpoint: the weights of the last epoch are the result).
        init: checkpoint whose weights are the start (a twin's fit a spiking net).
        teachers: checkpoints whose averaged answers are taught, with weight `teach` at temperature `teach_temperature`.
    """

    epochs: int = 60
    batch: int = 16
    seed: int = 0
    windows: int = 1
    lr: float = 3e-3
    weight_decay: float = 1e-2
    warmup: int = 100
    label_smoothing: float = 0.1
    logit_scale: float = 1.0
    ema: float = 0.998
    threads: int = 1
    compile: bool = False
    bfloat16: bool = False
    int8: bool = False
    evaluate_every: int = 20
    init: str = ""
    teachers: tuple[str, ...] = ()
    teach: float = 0.7
    teach_temperature: float = 2.0


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of a training window, all about the events' centre; standard deviations, `shift` a half range.

    Attributes:
        rotate: radians. scale: log of each axis's factor. shear: tangent.
        shift: share of the sensor's width and height.
        mirror: probability of a left-right mirror image.
        drop: largest share of events left out.
        any_start: windows start anywhere in the recording instead of at multiples of the hop.
    """

    rotate: float = 0.12
    scale: float = 0.10
    shear: float = 0.12
    shift: float = 0.09
    mirror: float = 0.0
    drop: float = 0.0
    any_start: bool = True


@dataclass(frozen=True)
class TrainConfig:
    """The whole file. `model.classes` may be 0: the number found in the data."""

    data: DataConfig = field(default_factory=DataConfig)
    input: InputConfig = field(default_factory=InputConfig)
    model: SpikePointConfig = field(default_factory=lambda: SpikePointConfig(classes=0))
    train: LoopConfig = field(default_factory=LoopConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    @property
    def encoding(self) -> PointEncoding:
        """How windows are encoded for this model."""
        return self.input.encoding(self.model.steps)


def load_config(path: str | Path) -> TrainConfig:
    """Read a TOML file. Raises ConfigError: it is absent, not TOML, or a key is unknown, of another type or range."""
    return parse_config(read_toml(path), where=str(path))


def read_toml(path: str | Path) -> dict[str, Any]:
    """Return the tables of a TOML file. Raises ConfigError: it is absent, or not TOML."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        document: dict[str, Any] = tomllib.loads(text)
    except OSError as error:
        raise ConfigError("cannot be read", where=str(path), found=error.strerror) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("not TOML", where=str(path), found=str(error)) from None
    return document


def parse_config(document: dict[str, Any], *, where: str = "config") -> TrainConfig:
    """Return the config that a dictionary says; see `load_config`."""
    model = document.get("model", {})
    if isinstance(model, dict):
        document = {**document, "model": {"classes": 0, **model}}
    config = parse_sections(TrainConfig, document, RANGES, where)
    check_together(config, where)
    return config


def parse_sections(kind: type[Config], document: dict[str, Any], ranges: Mapping[str, Range], where: str) -> Config:
    """Return the sections of a dataclass of dataclasses, every key with its default.

    Args:
        kind: the dataclass.
        document: values by section and key.
        ranges: what the numbers may be, by "section.key".
        where: what to name in an error.

    Raises:
        ConfigError: a section or key is unknown, a value of another type or out of its range.
    """
    hints = get_type_hints(kind)
    for name in document:
        if name not in hints:
            raise ConfigError("unknown section", where=where, found=name, expected=", ".join(sorted(hints)))
    return kind(**{n: _section(hint, document.get(n, {}), ranges, where, n) for n, hint in hints.items()})


def as_document(config: Any) -> dict[str, Any]:
    """Return the config as nested dictionaries of plain values (JSON and TOML can hold them)."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value

    document: dict[str, Any] = plain(dataclasses.asdict(config))
    return document


def _section(kind: Any, values: Any, ranges: Mapping[str, Range], where: str, name: str) -> Any:
    if not isinstance(values, dict):
        raise ConfigError("not a section", where=f"{where}: {name}", expected=f"[{name}]")
    hints = get_type_hints(kind)
    checked = {}
    for key, value in values.items():
        if key not in hints:
            known = ", ".join(hints)
            raise ConfigError("unknown key", where=where, found=f"{name}.{key}", expected=f"one of {known}")
        checked[key] = _value(hints[key], value, where, f"{name}.{key}")
        check_number(checked[key], ranges, where, f"{name}.{key}")
    return kind(**checked)


def _value(hint: Any, value: Any, where: str, key: str) -> Any:
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            expected = ", ".join(map(str, get_args(hint)))
            raise ConfigError("unknown value", where=where, found=f"{key} = {value!r}", expected=f"one of {expected}")
        return value
    if get_origin(hint) is tuple:
        return _tuple(get_args(hint), value, where, key)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ConfigError("wrong type", where=where, found=f"{key} = {value!r}", expected=hint.__name__)
    return value


def _tuple(parts: tuple[Any, ...], value: Any, where: str, key: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ConfigError("wrong type", where=where, found=f"{key} = {value!r}", expected="a list")
    if parts[-1] is Ellipsis:
        parts = (parts[0],) * len(value)
    if len(parts) != len(value):
        raise ConfigError("wrong length", where=where, found=f"{key} = {value!r}", expected=f"{len(parts)} values")
    return tuple(_value(p, v, where, key) for p, v in zip(parts, value, strict=True))
