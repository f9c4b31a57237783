"""A run's checkpoint, `last.pt`: what it holds, and reading it without trusting it (no code in a file is run)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgesnn.errors import ConfigError, ModelError
from edgesnn.models.spikepoint import SpikePoint
from edgesnn.train.config import TrainConfig, parse_config

CHECKPOINT = "last.pt"

FIELDS: dict[str, type] = {
    "model": dict,
    "average": dict,
    "optimizer": dict,
    "epoch": int,
    "step": int,
    "metrics": list,
    "config": str,
    "labels": list,
    "sensor": list,
}
"""What a checkpoint holds; `config` is the run's configuration as JSON."""


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint of `FIELDS`, replacing the one that is there in one step."""
    part = path.with_name(path.name + ".part")
    torch.save({name: state[name] for name in FIELDS}, part)
    os.replace(part, path)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Return a checkpoint's content.

    Raises:
        ModelError: it cannot be read, or lacks a field.
        ConfigError: torch is older than 2.10, in which loading weights only has known holes.
    """
    if tuple(int(n) for n in torch.__version__.split(".")[:2]) < (2, 10):
        raise ConfigError(
            "torch is too old to read a checkpoint safely", found=torch.__version__, expected="2.10 or newer"
        )
    try:
        state = torch.load(path, weights_only=True)
    except Exception as error:
        raise _not_one(path, str(error).splitlines()[0] if str(error) else type(error).__name__) from None
    if not isinstance(state, dict):
        raise _not_one(path, f"a {type(state).__name__}")
    wrong = [name for name, kind in FIELDS.items() if not isinstance(state.get(name), kind)]
    if wrong:
        raise _not_one(path, f"no usable {', '.join(wrong)}")
    return state


def config_of(state: Mapping[str, Any], path: str | Path) -> TrainConfig:
    """Return the configuration that a checkpoint was trained with. Raises ModelError."""
    try:
        document = json.loads(state["config"])
        if not isinstance(document, dict):
            raise ValueError(f"a {type(document).__name__}")
        return parse_config(document, where=str(path))
    except (ValueError, ConfigError) as error:
        raise _not_one(path, f"a configuration that is none: {error}") from None


def load_weights(module: nn.Module, weights: Mapping[str, Any], path: str | Path) -> None:
    """Set a module's weights. Raises ModelError: other layers or shapes."""
    try:
        module.load_state_dict(dict(weights))
    except (RuntimeError, TypeError, AttributeError, ValueError) as error:
        raise _not_one(path, " ".join(str(error).split())[:200]) from None


def load_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any], path: str | Path) -> None:
    """Set an optimizer's state. Raises ModelError: of other parameters."""
    try:
        optimizer.load_state_dict(dict(state))
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise _not_one(path, f"an optimizer's state that is none: {error}") from None


def load_checkpoint(path: str | Path) -> tuple[SpikePoint, TrainConfig, dict[str, Any]]:
    """Return the averaged model of a checkpoint, its config, and the whole content. Raises ModelError."""
    state = read_checkpoint(path)
    config = config_of(state, path)
    model = SpikePoint(config.model)
    load_weights(model, state["average"], path)
    return model.eval(), config, state


def load_teacher(path: str, config: TrainConfig) -> SpikePoint:
    """Return the averaged model of a checkpoint that teaches a network of `config`. Raises ConfigError."""
    model, theirs, _ = load_checkpoint(path)
    for name in ("classes", "point_coding"):
        found, expected = getattr(theirs.model, name), getattr(config.model, name)
        if found != expected:
            where = f"train.teachers: {path}"
            raise ConfigError(f"the teacher has another {name}", where=where, found=str(found), expected=str(expected))
    return model


def start_from(model: SpikePoint, path: str) -> None:
    """Take the weights of a checkpoint; neuron parameters that it lacks (a ReLU twin's) stay as they are."""
    state = read_checkpoint(path)["average"]
    own = model.state_dict()
    for name, tensor in own.items():
        if name not in state and name.endswith(".w"):
            continue
        if name not in state or getattr(state[name], "shape", None) != tensor.shape:
            raise ConfigError("the start has other layers", where=f"train.init: {path}", found=name)
        own[name] = state[name]
    model.load_state_dict(own)


def _not_one(path: str | Path, found: str) -> ModelError:
    return ModelError("not a checkpoint of a training run", where=str(path), found=found)
