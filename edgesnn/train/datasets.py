"""Labelled recordings for training and evaluation, always split by recording.

Sources:
    a folder      one folder per class, any file that `edgesnn.open` reads in each (others are left out, with a
                  warning that counts them); with `train/` and (`test/` or `validate/`) above the classes where the
                  split is given, else a share of each class is kept back by a fixed rule.
    an .npz file  columns x, y, p, t_us of all events, `offsets` [n + 1], `ids` [n], `labels` [n]; split by id.
    tonic:NAME    a dataset of the tonic library (extra `train`), which downloads it: tonic:NMNIST, tonic:DVSGesture.
"""

from __future__ import annotations

import hashlib
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.encode.spans import filtered
from edgesnn.errors import ConfigError, EdgeSnnError, RecordingError
from edgesnn.events.filters import FilterLike
from edgesnn.events.recording import format_of
from edgesnn.events.types import EVENT
from edgesnn.units import parse_sensor

Events = npt.NDArray[Any]

PARTS = ("train", "test", "validate")

COLUMNS = ("x", "y", "p", "t_us", "offsets", "ids", "labels")
BOUNDS = {"x": (0, 65535), "y": (0, 65535), "p": (0, 1), "t_us": (-(1 << 60) + 1, (1 << 60) - 1)}

BACKGROUND = -1
"""Label of a training recording that shows none of the classes; never part of the validation recordings."""


@dataclass(frozen=True)
class DataConfig:
    """Which recordings (`edgesnn.train.datasets`).

    Attributes:
        source: a folder of classes, an .npz file, or "tonic:NAME"; `--data` replaces it.
        train_ids, validate_ids: first and last id (both included) of an .npz file.
        validate: share of each class's recordings kept back, where a folder is not already split.
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
    """One labelled recording.

    Attributes:
        name: for a person to read.
        events: of dtype `edgesnn.EVENT`.
        label: class number; `BACKGROUND`: no class.
        t_end_us: time that the recording reached, where filters dropped its last events.
    """

    name: str
    events: Events
    label: int
    t_end_us: int | None = None


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


class OtherClassesError(ConfigError):
    """The data have a class that is none of the labels asked for."""


def load_dataset(config: DataConfig) -> Dataset:
    """Read all recordings of `config.source` into memory.

    Raises:
        ConfigError: no source, no class, recordings of different sensors; `OtherClassesError`.
        RecordingError: a file that cannot be read.
    """
    if not config.source:
        raise ConfigError("no data", where="data.source", hint="name it in the config, or pass --data")
    if config.source.startswith("tonic:"):
        return _from_tonic(config)
    path = Path(config.source)
    return _from_npz(path, config) if path.suffix == ".npz" else _from_folder(path, config)


def filter_dataset(dataset: Dataset, filters: Iterable[FilterLike]) -> Dataset:
    """Return the recordings as filters leave them; `filter_sample` of each."""
    filters, sensor = tuple(filters), dataset.sensor
    if not filters:
        return dataset
    empty = Sample("", np.empty(0, EVENT), BACKGROUND)
    train, validate = (
        [filter_sample(sample, filters, sensor)[0] for sample in part] for part in (dataset.train, dataset.validate)
    )
    return replace(dataset, train=train, validate=validate, sensor=filter_sample(empty, filters, sensor)[1])


def filter_sample(
    sample: Sample, filters: Iterable[FilterLike], sensor: tuple[int, int]
) -> tuple[Sample, tuple[int, int]]:
    """Return what filters leave of a recording, and of its sensor.

    Raises:
        UsageError: filters that the sensor cannot have.
    """
    filters = tuple(filters)
    if not filters:
        return sample, sensor
    seen = filtered(sample.events, filters, sensor)
    return replace(sample, events=seen.events, t_end_us=seen.t_end_us), seen.sensor


def kept_back(names: Sequence[str], share: float) -> set[str]:
    """Return which of a class's recordings are for validation: by a hash of their names, the same for ever.

    The share is rounded, but of two recordings or more at least one is kept back and at least one is not.
    """
    count = min(max(1, round(share * len(names))), len(names) - 1)
    return set(sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())[: max(0, count)])


def _from_npz(path: Path, config: DataConfig) -> Dataset:
    columns = _read_npz(path)
    found = [str(c) for c in sorted(set(columns["labels"].tolist()))]
    names = config.classes or tuple(found)
    if foreign := [name for name in found if name not in names]:
        raise OtherClassesError(
            "a class that is none of the labels", where=str(path), found=", ".join(foreign), expected=", ".join(names)
        )
    samples = []
    for i, number in enumerate(columns["ids"].tolist()):
        part = slice(int(columns["offsets"][i]), int(columns["offsets"][i + 1]))
        events = np.empty(part.stop - part.start, EVENT)
        events["t"], events["p"] = columns["t_us"][part], columns["p"][part]
        events["x"], events["y"] = columns["x"][part], columns["y"][part]
        samples.append((number, Sample(f"{path.name}#{number}", events, names.index(str(columns["labels"][i])))))
    sensor = _sensor_of(columns, config, str(path))
    (first, last), (low, high) = config.train_ids, config.validate_ids
    train = [sample for number, sample in samples if first <= number <= last]
    validate = [sample for number, sample in samples if low <= number <= high]
    return Dataset(train, validate, names, sensor, path.name)


def _sensor_of(columns: dict[str, npt.NDArray[Any]], config: DataConfig, where: str) -> tuple[int, int]:
    """Return the sensor that the config says, else the smallest that the events fit into."""
    extent = (int(columns["x"].max()) + 1, int(columns["y"].max()) + 1)
    if not config.sensor:
        return extent
    sensor = parse_sensor(config.sensor, where="data.sensor")
    if extent[0] > sensor[0] or extent[1] > sensor[1]:
        expected = f"inside {sensor[0]}x{sensor[1]}"
        raise RecordingError(
            "events are outside the sensor", where=where, found=f"{extent[0]}x{extent[1]}", expected=expected
        )
    return sensor


def _read_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    if not path.is_file():
        raise RecordingError("no such folder or .npz file", where=str(path))
    try:
        with np.load(path, allow_pickle=False) as file:
            columns = {name: file[name] for name in COLUMNS}
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        found, expected = str(error) or "it ends too early", ", ".join(COLUMNS)
        raise RecordingError("not a data set", where=str(path), found=found, expected=expected) from None
    _check_columns(columns, str(path))
    return columns


def _check_columns(columns: dict[str, npt.NDArray[Any]], where: str) -> None:
    for name, column in columns.items():
        kinds = "biuU" if name == "labels" else "biu"
        if column.ndim != 1 or column.dtype.kind not in kinds:
            expected = "one row of whole numbers" + " or texts" * (name == "labels")
            found = f"{name} of {column.dtype}{list(column.shape)}"
            raise RecordingError("a column is not usable", where=where, found=found, expected=expected)
    _check_lengths(columns, where)
    for name, (low, high) in BOUNDS.items():
        least, most = int(columns[name].min()), int(columns[name].max())
        if least < low or most > high:
            found, expected = f"{name} from {least} to {most}", f"{low} to {high}"
            raise RecordingError("values are out of range", where=where, found=found, expected=expected)


def _check_lengths(columns: dict[str, npt.NDArray[Any]], where: str) -> None:
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
    reader = _Reader(path, config)
    train: list[Sample] = []
    validate: list[Sample] = []
    for root in roots:
        for label, name in enumerate(names):
            samples = reader.read(root / name, label)
            back = kept_back([s.name for s in samples], config.validate) if not split else set()
            for sample in samples:
                held = root.name != "train" if split else sample.name in back
                (validate if held else train).append(sample)
        if config.background and (root.name == "train" or root == path):
            train += _background(root / config.background, reader)
    reader.warn()
    sensor = reader.sensor(f"folders {', '.join(names)}")
    return Dataset(train, validate, names, sensor, path.name, split=split)


class _Reader:
    """Reads the recordings of class folders; notes their sensors, and the files that are none."""

    def __init__(self, root: Path, config: DataConfig) -> None:
        self._root, self._config = root, config
        self._sensors: set[tuple[int, int]] = set()
        self._left_out: list[str] = []

    def read(self, folder: Path, label: int) -> list[Sample]:
        """Return the recordings of a folder in the order of their names; none where there is no such folder."""
        samples = []
        for file in sorted(p for p in folder.glob("*") if p.is_file()):
            name = str(file.relative_to(self._root))
            if file.name.startswith(".") or format_of(file) is None:
                self._left_out.append(name)
            else:
                samples.append(Sample(name, self._events(file), label))
        return samples

    def warn(self) -> None:
        """Warn of the files that were left out."""
        if self._left_out:
            some = ", ".join(self._left_out[:3]) + (", ..." if len(self._left_out) > 3 else "")
            warnings.warn(f"files of no format that is read are left out: {len(self._left_out)} ({some})", stacklevel=4)

    def sensor(self, expected: str) -> tuple[int, int]:
        """Return the one sensor size of all recordings; raises where there is none, or more than one."""
        where = str(self._root)
        if not self._sensors:
            found = f"{len(self._left_out)} files of no format that is read" if self._left_out else "no file"
            raise RecordingError("no recording of any class", where=where, found=found, expected=expected)
        if len(self._sensors) != 1:
            raise ConfigError("recordings of different sensors", where=where, found=str(sorted(self._sensors)))
        return self._sensors.pop()

    def _events(self, file: Path) -> Events:
        import edgesnn

        recording = edgesnn.open(file)
        sensor = recording.sensor
        if sensor is None:
            if not self._config.sensor:
                hint = "say it as data.sensor in the config, or pass --sensor"
                raise RecordingError("the file does not say its sensor size", where=str(file), hint=hint)
            sensor = parse_sensor(self._config.sensor, where="data.sensor")
        self._sensors.add(sensor)
        return recording.read()


def _warn_of_others(roots: list[Path], known: set[str]) -> None:
    others = sorted({p.name for root in roots for p in root.iterdir() if p.is_dir()} - known)
    if others:
        warnings.warn(f"folders that are none of the classes are left out: {', '.join(others)}", stacklevel=3)


def _background(folder: Path, reader: _Reader) -> list[Sample]:
    samples = reader.read(folder, BACKGROUND)
    if not samples:
        raise ConfigError("no background recording", where=str(folder), hint="leave data.background out")
    return samples


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
    train, validate = (
        _tonic_samples(part, name, side, len(names)) for part, side in zip(parts, ("train", "test"), strict=True)
    )
    return Dataset(train, validate, names, (int(width), int(height)), config.source)


def _tonic_samples(part: Any, name: str, side: str, classes: int) -> list[Sample]:
    samples = []
    for i in range(len(part)):
        raw, label = part[i]
        if not 0 <= int(label) < classes:
            raise OtherClassesError(
                "a class that is none of the labels", where=name, found=str(label), expected=f"0 to {classes - 1}"
            )
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
            hint = (
                f"the data's own split has no {side} recording of it"
                if dataset.split
                else "a class needs two recordings or more: one is kept back for validation"
            )
            found = ", ".join(missing)
            raise ConfigError(f"no {side} recording of a class", where=dataset.source, found=found, hint=hint)
