"""A run's checkpoint, `last.safetensors`: tensors and a JSON document, so that no code in a file is ever run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgesnn.errors import ConfigError, ModelError
from edgesnn.graph import container
from edgesnn.models.spikepoint import SpikePoint
from edgesnn.train.config import TrainConfig, parse_config

CHECKPOINT = "last.safetensors"
OLD_CHECKPOINT = "last.pt"
VERSION = 1
METADATA_KEY = "edgesnn.checkpoint"
PARTS = ("model", "average", "optimizer")
FIELDS: dict[str, type] = {
    "epoch": int,
    "step": int,
    "metrics": list,
    "config": dict,
    "labels": list,
    "sensor": list,
}
"""What the JSON document holds besides its `version`; the tensors are those of PARTS, named `part/name`."""


def write_checkpoint(
    path: Path, state: Mapping[str, Any], fields: Mapping[str, type] = FIELDS, parts: Sequence[str] = PARTS
) -> None:
    """Write a checkpoint, replacing the one that is there in one step.

    Args:
        path: the file.
        state: `fields` and `parts`; `model` and `average`, tensors by name; `optimizer`, tensors by `parameter/name`.
        fields: names and types of what the JSON document holds besides its version.
        parts: names of the groups of tensors.

    Raises:
        ModelError: the file cannot be written.
    """
    tensors = {f"{part}/{name}": tensor.detach().numpy() for part in parts for name, tensor in state[part].items()}
    document = {"version": VERSION, **{name: state[name] for name in fields}}
    container.write(path, tensors, {METADATA_KEY: json.dumps(document, allow_nan=False)})


def read_checkpoint(
    path: str | Path, fields: Mapping[str, type] = FIELDS, parts: Sequence[str] = PARTS
) -> dict[str, Any]:
    """Return what `write_checkpoint` was given.

    Raises:
        ModelError: it cannot be read, lacks a field, or is of another version.
    """
    refuse_old(Path(path))
    try:
        metadata, arrays = container.map_file(path)
        document = container.parse_json(metadata.get(METADATA_KEY, "{}"), str(path))
    except ModelError as error:
        raise _not_one(path, ": ".join(filter(None, (error.what, error.found)))) from None
    version = document.get("version", VERSION)
    if version != VERSION:
        raise _not_one(path, f"version {version}", f"version {VERSION}")
    wrong = [name for name, kind in fields.items() if type(document.get(name)) is not kind]
    if wrong:
        raise _not_one(path, f"no usable {', '.join(wrong)}")
    state: dict[str, Any] = {name: document[name] for name in fields} | {part: {} for part in parts}
    for full_name, array in arrays.items():
        part, _, name = full_name.partition("/")
        if part not in parts:
            raise _not_one(path, f"tensor {full_name!r}", f"tensors of {', '.join(parts)}")
        state[part][name] = torch.from_numpy(array.copy())
    return state


def refuse_old(path: Path) -> None:
    """Raise a ModelError where the file is a checkpoint as torch writes it: reading those may run code of theirs."""
    with suppress(OSError), path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            raise ModelError(
                "a checkpoint of an earlier version is not read",
                where=str(path),
                found="a file of torch.save",
                expected=CHECKPOINT,
                hint="train again, or finish the run with the version that began it",
            )


def config_of(state: Mapping[str, Any], path: str | Path) -> TrainConfig:
    """Return the configuration that a checkpoint was trained with. Raises ModelError."""
    try:
        return parse_config(state["config"], where=str(path))
    except (ValueError, ConfigError) as error:
        raise _not_one(path, f"a configuration that is none: {error}") from None


def load_weights(module: nn.Module, weights: Mapping[str, Any], path: str | Path) -> None:
    """Set a module's weights. Raises ModelError: other layers or shapes."""
    try:
        module.load_state_dict(dict(weights))
    except (RuntimeError, TypeError, AttributeError, ValueError) as error:
        raise _not_one(path, " ".join(str(error).split())[:200]) from None


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return an optimizer's tensors by `parameter/name`; all else of its state follows from the configuration."""
    state = optimizer.state_dict()["state"]
    return {f"{index}/{name}": tensor for index, own in state.items() for name, tensor in own.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], path: str | Path) -> None:
    """Set an optimizer's state. Raises ModelError: of other parameters."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    shapes = {}
    for i, parameter in enumerate(parameters):
        shapes.update({f"{i}/step": (), f"{i}/exp_avg": parameter.shape, f"{i}/exp_avg_sq": parameter.shape})
    if {name: tuple(tensor.shape) for name, tensor in tensors.items()} != {n: tuple(s) for n, s in shapes.items()}:
        raise _not_one(path, "an optimizer's state of other parameters")
    state: dict[int, dict[str, Tensor]] = {i: {} for i in range(len(parameters))}
    for full_name, tensor in tensors.items():
        index, _, name = full_name.partition("/")
        state[int(index)][name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


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


def _not_one(path: str | Path, found: str, expected: str | None = None) -> ModelError:
    return ModelError("not a checkpoint of a training run", where=str(path), found=found, expected=expected)
