"""Labelled recordings for training and evaluation, always split by recording.

Sources:
    a folder      one folder per class, any file that `edgesnn.open` reads in each; with `train/` and (`test/` or
                  `validate/`) above the classes where the split is given, else a share is kept back by a fixed rule.
    an .npz file  columns x, y, p, t_us of all events, `offsets` [n + 1], `ids` [n], `labels` [n]; split by id.
    tonic:NAME    a dataset of the tonic library (extra `train`), which downloads it: tonic:NMNIST, tonic:DVSGesture.
"""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ConfigError, EdgeSnnError, RecordingError
from edgesnn.events.types import EVENT
from edgesnn.units import parse_sensor

Events = npt.NDArray[Any]

PARTS = ("train", "test", "validate")

BACKGROUND = -1
"""Label of a training recording that shows none of the classes; never part of the validation recordings."""


@dataclass(frozen=True)
class DataConfig:
    """Which recordings (`edgesnn.train.datasets`).

    Attributes:
        source: a folder of classes, an .npz file, or "tonic:NAME"; `--data` replaces it.
        train_ids, validate_ids: first and last id (both included) of an .npz file.
        validate: share of the recordings kept back, where a folder is not already split.
        sensor: "WxH" of files that do not say it.
        classes: labels in the order of the outputs; empty: sorted names of the folders (or the numbers found).
        background: folder beside the classes with recordings of none of them: they train even scores, so that they are
            rejected.
    """

    source: str = ""
    train_ids: tuple[int, int] = (1, 800)
    validate_ids: tuple[int, int] = (801, 1000)
    validate: float = 0.2
    sensor: str = ""
    classes: tuple[str, ...] = ()
    background: str = ""


@dataclass(frozen=True, eq=False)
class Sample:
    """One labelled recording: its name, events of dtype `edgesnn.EVENT` and class number (`BACKGROUND`: no class)."""

    name: str
    events: Events
    label: int


@dataclass(frozen=True, eq=False)
class Dataset:
    """Recordings of a task.

    Attributes:
        train, validate: recordings.
        labels: names of the classes, in the order of the outputs.
        sensor: (width, height).
        source: for a person to read.
        split: whether the data themselves say what is for validation.
    """

    train: list[Sample]
    validate: list[Sample]
    labels: tuple[str, ...]
    sensor: tuple[int, int]
    source: str
    split: bool = True


def load_dataset(config: DataConfig) -> Dataset:
    """Read all recordings of `config.source` into memory.

    Raises:
        ConfigError: no source, no class, or a class without a recording.
        RecordingError: a file that cannot be read.
    """
    if not config.source:
        raise ConfigError("no data", where="data.source", hint="name it in the config, or pass --data")
    if config.source.startswith("tonic:"):
        return _from_tonic(config)
    path = Path(config.source)
    return _from_npz(path, config) if path.suffix == ".npz" else _from_folder(path, config)


def kept_back(name: str, share: float) -> bool:
    """Say whether a recording belongs to the validation part: the same for ever, whatever else is in the folder."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8], "little") < share * 2.0**64


def _from_npz(path: Path, config: DataConfig) -> Dataset:
    columns = _read_npz(path)
    names = config.classes or tuple(str(c) for c in sorted(set(columns["labels"].tolist())))
    samples = []
    for i, number in enumerate(columns["ids"].tolist()):
        part = slice(int(columns["offsets"][i]), int(columns["offsets"][i + 1]))
        events = np.empty(part.stop - part.start, EVENT)
        events["t"], events["p"] = columns["t_us"][part], columns["p"][part]
        events["x"], events["y"] = columns["x"][part], columns["y"][part]
        samples.append((number, Sample(f"{path.name}#{number}", events, names.index(str(columns["labels"][i])))))
    sensor = (int(columns["x"].max()) + 1, int(columns["y"].max()) + 1)
    (first, last), (low, high) = config.train_ids, config.validate_ids
    train = [sample for number, sample in samples if first <= number <= last]
    validate = [sample for number, sample in samples if low <= number <= high]
    return Dataset(train, validate, names, sensor, path.name)


def _read_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            columns = {name: file[name] for name in ("x", "y", "p", "t_us", "offsets", "ids", "labels")}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        expected = "x, y, p, t_us, offsets, ids, labels"
        raise RecordingError("not a data set", where=str(path), found=str(error), expected=expected) from None
    _check_columns(columns, str(path))
    return columns


def _check_columns(columns: dict[str, npt.NDArray[Any]], where: str) -> None:
    count, recordings, offsets = len(columns["x"]), len(columns["ids"]), columns["offsets"]
    lengths = {name: len(columns[name]) for name in ("y", "p", "t_us")}
    if any(length != count for length in lengths.values()) or count == 0:
        expected = f"{count} of each, at least one"
        raise RecordingError("columns of different lengths", where=where, found=str(lengths), expected=expected)
    if len(columns["labels"]) != recordings or len(offsets) != recordings + 1:
        found = f"{recordings} ids, {len(columns['labels'])} labels, {len(offsets)} offsets"
        raise RecordingError("recordings do not fit", where=where, found=found, expected="n, n and n + 1")
    if offsets[0] != 0 or offsets[-1] != count or (np.diff(offsets.astype(np.int64)) < 0).any():
        raise RecordingError("offsets do not rise from 0 to the number of events", where=where, expected=str(count))


def _from_folder(path: Path, config: DataConfig) -> Dataset:
    if not path.is_dir():
        raise RecordingError("no such folder or .npz file", where=str(path))
    folders = sorted(p for p in path.iterdir() if p.is_dir())
    parts = [p for p in folders if p.name in PARTS]
    roots = parts if parts and (len(parts) > 1 or parts == folders) else [path]
    split = any(root.name != "train" for root in roots) and roots != [path]
    names = config.classes or tuple(
        sorted(p.name for p in roots[0].iterdir() if p.is_dir() and p.name != config.background)
    )
    if not names:
        raise ConfigError("no class folder", where=str(path), expected="one folder per class")
    _warn_of_others(roots, {*names, config.background})
    train: list[Sample] = []
    validate: list[Sample] = []
    sensors: set[tuple[int, int]] = set()
    for root in roots:
        for label, name in enumerate(names):
            for file in sorted(p for p in (root / name).glob("*") if p.is_file()):
                sample = Sample(str(file.relative_to(path)), _read_recording(file, config, sensors), label)
                back = root.name != "train" if split else kept_back(sample.name, config.validate)
                (validate if back else train).append(sample)
        if config.background and (root.name == "train" or root == path):
            train += _background(root / config.background, config, sensors)
    if not sensors:
        raise RecordingError("no recording of any class", where=str(path), expected=f"folders {', '.join(names)}")
    if len(sensors) != 1:
        raise ConfigError("recordings of different sensors", where=str(path), found=str(sorted(sensors)))
    return Dataset(train, validate, names, sensors.pop(), path.name, split=split)


def _warn_of_others(roots: list[Path], known: set[str]) -> None:
    others = sorted({p.name for root in roots for p in root.iterdir() if p.is_dir()} - known)
    if others:
        warnings.warn(f"folders that are none of the classes are left out: {', '.join(others)}", stacklevel=3)


def _background(folder: Path, config: DataConfig, sensors: set[tuple[int, int]]) -> list[Sample]:
    files = sorted(p for p in folder.glob("*") if p.is_file())
    if not files:
        raise ConfigError("no background recording", where=str(folder), hint="leave data.background out")
    names = [f"{folder.name}/{file.name}" for file in files]
    return [Sample(n, _read_recording(f, config, sensors), BACKGROUND) for n, f in zip(names, files, strict=True)]


def _read_recording(file: Path, config: DataConfig, sensors: set[tuple[int, int]]) -> Events:
    import edgesnn

    recording = edgesnn.open(file)
    sensor = recording.sensor
    if sensor is None:
        if not config.sensor:
            hint = "say it as data.sensor in the config, or pass --sensor"
            raise RecordingError("the file does not say its sensor size", where=str(file), hint=hint)
        sensor = parse_sensor(config.sensor, where="data.sensor")
    sensors.add(sensor)
    return recording.read()


def _from_tonic(config: DataConfig) -> Dataset:
    name = config.source.removeprefix("tonic:")
    try:
        import tonic
    except ImportError:
        raise ConfigError("tonic is not installed", where="data.source", hint="pip install 'edgesnn[train]'") from None
    kind = getattr(tonic.datasets, name, None)
    if kind is None:
        raise ConfigError("tonic has no such data set", where="data.source", found=name)
    try:
        parts = [kind(save_to=".cache/tonic", train=train) for train in (True, False)]
    except EdgeSnnError:
        raise
    except Exception as error:
        raise ConfigError("tonic could not give the data set", where=config.source, found=str(error)) from None
    width, height = parts[0].sensor_size[:2]
    names = config.classes or tuple(str(c) for c in getattr(parts[0], "classes", range(10)))
    train, validate = (_tonic_samples(part, name, side) for part, side in zip(parts, ("train", "test"), strict=True))
    return Dataset(train, validate, names, (int(width), int(height)), config.source)


def _tonic_samples(part: Any, name: str, side: str) -> list[Sample]:
    samples = []
    for i in range(len(part)):
        raw, label = part[i]
        events = np.empty(len(raw), EVENT)
        for column in ("t", "x", "y", "p"):
            events[column] = raw[column]
        samples.append(Sample(f"{name}/{side}/{i}", events, int(label)))
    return samples


def check_complete(dataset: Dataset) -> None:
    """Raise ConfigError unless every class has recordings for training and for validation."""
    for side, samples in (("training", dataset.train), ("validation", dataset.validate)):
        present = {sample.label for sample in samples}
        missing = [name for i, name in enumerate(dataset.labels) if i not in present]
        if missing:
            raise ConfigError(f"no {side} recording of a class", where=dataset.source, found=", ".join(missing))
