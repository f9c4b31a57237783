"""Training: same seed same bits, resume, configuration errors, data sets, evaluation, calibration."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.errors import ConfigError, RecordingError, UsageError
from edgesnn.train.calibrate import fit_rejection, fit_temperature, softmax
from edgesnn.train.datasets import DataConfig, Sample, kept_back, load_dataset
from edgesnn.train.evaluate import Scored, as_text, summarise
from edgesnn.train.evaluate_command import evaluate
from tests.bars import write_bars

torch = pytest.importorskip("torch")

from edgesnn.train.augment import augment  # noqa: E402
from edgesnn.train.checkpoint import CHECKPOINT, read_checkpoint  # noqa: E402
from edgesnn.train.command import train  # noqa: E402
from edgesnn.train.config import AugmentConfig, TrainConfig, as_document, load_config, parse_config  # noqa: E402
from edgesnn.train.loop import METRICS, Trainer, accuracies  # noqa: E402


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_bars(tmp_path_factory.mktemp("train"))


def make_trainer(tiny: tuple[Path, Path], out: Path, *, resume: bool = False, seed: int = 0) -> Trainer:
    config = load_config(tiny[0])
    data = replace(config.data, source=str(tiny[1]))
    config = replace(config, data=data, train=replace(config.train, seed=seed))
    return Trainer(config, load_dataset(data), out, resume=resume)


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return trainer.average.state_dict()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def silent(_: str) -> None:
    return None


def test_same_seed_gives_the_same_bits_and_another_seed_does_not(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    runs = [make_trainer(tiny, tmp_path / str(i), seed=seed) for i, seed in enumerate((0, 0, 1))]
    for run in runs:
        run.run(silent, stop_after=2)
    assert same(weights(runs[0]), weights(runs[1]))
    assert not same(weights(runs[0]), weights(runs[2]))


def test_resumed_run_equals_an_uninterrupted_one(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    whole = make_trainer(tiny, tmp_path / "whole")
    whole.run(silent)
    make_trainer(tiny, tmp_path / "cut").run(silent, stop_after=1)
    rest = make_trainer(tiny, tmp_path / "cut", resume=True)
    assert rest.epoch == 1
    rest.run(silent)
    assert same(weights(whole), weights(rest))
    strip = [{k: v for k, v in row.items() if k != "seconds"} for row in rest.metrics]
    assert strip == [{k: v for k, v in row.items() if k != "seconds"} for row in whole.metrics]


def test_resume_refuses_another_config(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    make_trainer(tiny, tmp_path).run(silent, stop_after=1)
    with pytest.raises(ConfigError, match="another config"):
        make_trainer(tiny, tmp_path, resume=True, seed=3)


def test_train_learns_and_its_files_say_the_same_through_the_runtime(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    lines: list[str] = []
    overrides = {"epochs": 15}
    result = json.loads(
        train(str(tiny[0]), str(tiny[1]), str(tmp_path), overrides=overrides, resume=False, report=lines.append)
    )
    assert result["by_vote"] >= 0.9
    assert "to go, from the first" in lines[1], "said within the first epoch, on a terminal or off it"
    assert lines[1].startswith("about ")
    assert all(" left" in line for line in lines[2:-2])
    assert not any("0.0 min" in line for line in lines)
    metrics = json.loads((tmp_path / METRICS).read_text())
    assert [row["epoch"] for row in metrics["epochs"]] == list(range(1, 16))
    for name in ("model.safetensors", "model-int8.safetensors"):
        report = evaluate(str(tmp_path / name), str(tiny[1]), part=None, ids="25-36", backend="reference")
        assert report["schema"] == "edgesnn.eval/1"
        assert report["recordings"] == 12
        assert abs(report["by_vote"] - result["by_vote"]) <= 1 / 12
        assert report["onset_ms"]["median"] >= 40


def test_spiking_net_starts_from_its_twin(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    config = load_config(tiny[0])
    data = load_dataset(replace(config.data, source=str(tiny[1])))
    twin = replace(config, model=replace(config.model, neuron="relu", steps=1), train=replace(config.train, epochs=1))
    Trainer(twin, data, tmp_path / "twin").run(silent)
    checkpoint = str(tmp_path / "twin" / CHECKPOINT)
    loop = replace(config.train, init=checkpoint, teachers=(checkpoint,), epochs=1)
    trainer = Trainer(replace(config, train=loop), data, tmp_path / "net")
    taught = read_checkpoint(checkpoint)["average"]
    assert torch.equal(trainer.model.hidden.linear.weight, taught["hidden.linear.weight"])
    assert np.isfinite(trainer.run(silent)["loss"])


def test_rate_coded_net_trains(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    config = load_config(tiny[0])
    model = replace(config.model, coding="rate", features="unsigned", readout="spikes")
    config = replace(config, model=model, train=replace(config.train, epochs=1, logit_scale=10.0))
    data = load_dataset(replace(config.data, source=str(tiny[1])))
    assert np.isfinite(Trainer(config, data, tmp_path).run(silent)["loss"])


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"trian": {}}, "unknown section"),
        ({"train": {"epoch": 3}}, "unknown key"),
        ({"train": {"epochs": "3"}}, "wrong type"),
        ({"train": {"epochs": True}}, "wrong type"),
        ({"model": {"coding": "direkt"}}, "unknown value"),
        ({"model": {"widths": [1, 2]}}, "wrong length"),
        ({"model": 3}, "not a section"),
    ],
)
def test_wrong_config_is_named(document: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(document)


def test_config_survives_its_document() -> None:
    config = TrainConfig()
    assert parse_config(json.loads(json.dumps(as_document(config)))) == config


def test_window_without_a_unit_is_refused() -> None:
    with pytest.raises(ConfigError, match="not a duration"):
        _ = parse_config({"input": {"window": "280"}}).encoding


def test_shipped_configs_are_valid() -> None:
    files = sorted((Path(__file__).parents[2] / "examples" / "train").glob("*.toml"))
    assert files
    for file in files:
        assert load_config(file).encoding.steps >= 1


def write_nmnist(path: Path, seed: int) -> None:
    """Write an N-MNIST .bin file of 100 events: x, y, then polarity and 23 bits of time, big-endian."""
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.sort(rng.integers(0, 300_000, 100))
    rows = np.stack([rng.integers(0, 34, 100), rng.integers(0, 34, 100), (t >> 16) & 0x7F, (t >> 8) & 255, t & 255], 1)
    path.write_bytes(rows.astype(np.uint8).tobytes())


def test_folder_is_split_by_recording_the_same_for_ever(tmp_path: Path) -> None:
    for label in ("left", "right"):
        for i in range(20):
            write_nmnist(tmp_path / label / f"{i:02}.bin", i)
    data = load_dataset(DataConfig(source=str(tmp_path), sensor="34x34"))
    assert data.labels == ("left", "right")
    assert data.sensor == (34, 34)
    assert not data.split
    kept = [sample.name for sample in data.validate]
    assert len(data.train) + len(kept) == 40
    assert kept == sorted(
        name for c in ("left", "right") for name in kept_back([f"{c}/{i:02}.bin" for i in range(20)], 0.2)
    )
    assert [sum(name.startswith(c) for name in kept) for c in ("left", "right")] == [4, 4]


def test_folder_with_train_and_test_keeps_that_split(tmp_path: Path) -> None:
    for side, count in (("train", 3), ("test", 2)):
        for label in ("left", "right"):
            for i in range(count):
                write_nmnist(tmp_path / side / label / f"{i}.bin", i)
    data = load_dataset(DataConfig(source=str(tmp_path), sensor="34x34"))
    assert (len(data.train), len(data.validate), data.split) == (6, 4, True)


def test_bad_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no data"):
        load_dataset(DataConfig())
    with pytest.raises(RecordingError, match="no such folder"):
        load_dataset(DataConfig(source=str(tmp_path / "absent")))
    with pytest.raises(ConfigError, match="no class folder"):
        load_dataset(DataConfig(source=str(tmp_path)))
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(RecordingError, match="not a data set"):
        load_dataset(DataConfig(source=str(tmp_path / "a.npz")))


def test_tonic_data_set_is_taken_column_by_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in of tonic: the library itself would download gigabytes."""
    import sys
    import types

    class Fake:
        sensor_size = (34, 34, 2)
        classes = ("zero", "one")

        def __init__(self, save_to: str, train: bool) -> None:
            self.count = 4 if train else 2

        def __len__(self) -> int:
            return self.count

        def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
            events = np.zeros(3, np.dtype([("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")]))
            events["x"], events["t"], events["p"] = (1, 2, 3), (10, 20, 30), (True, False, True)
            return events, i % 2

    fake = types.SimpleNamespace(datasets=types.SimpleNamespace(Tiny=Fake))
    monkeypatch.setitem(sys.modules, "tonic", fake)
    data = load_dataset(DataConfig(source="tonic:Tiny"))
    assert (len(data.train), len(data.validate), data.labels) == (4, 2, ("zero", "one"))
    assert data.train[0].events.dtype == edgesnn.EVENT
    assert data.train[0].events.tolist() == [(10, 1, 0, 1), (20, 2, 0, 0), (30, 3, 0, 1)]
    with pytest.raises(ConfigError, match="no such data set"):
        load_dataset(DataConfig(source="tonic:Absent"))


def test_augmented_events_stay_on_the_sensor_and_in_order() -> None:
    rng = np.random.default_rng(0)
    events = np.zeros(500, edgesnn.EVENT)
    events["t"], events["x"], events["y"] = np.arange(500), rng.integers(0, 34, 500), rng.integers(0, 20, 500)
    config = AugmentConfig(rotate=0.5, scale=0.3, shift=0.3, mirror=0.5, drop=0.3)
    changed = [augment(events, config, (34, 20), rng) for _ in range(50)]
    assert all(e["x"].max() < 34 and e["y"].max() < 20 and (np.diff(e["t"]) > 0).all() for e in changed)
    assert len({e.tobytes() for e in changed}) > 40
    still = AugmentConfig(rotate=0, scale=0, shear=0, shift=0)
    assert np.array_equal(augment(events, still, (34, 20), rng), events)


def test_vote_counts_a_recording_without_a_window_as_wrong() -> None:
    scores = np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]], np.float32)
    result = accuracies(scores, np.array([0, 0, 1]), [0, 1, 1])
    assert result == {"by_window": 2 / 3, "by_vote": 2 / 3}


def scored(label: int, rows: list[list[float]], decided: list[int | None]) -> Scored:
    values = np.array(rows, np.float32).reshape(-1, 2)
    events = np.zeros(1, edgesnn.EVENT)
    events["t"] = 1000
    ends = [1000 + 100_000 + 50_000 * i for i in range(len(rows))]
    return Scored(Sample("s", events, label), values, decided, ends)


def test_report_of_three_recordings_computed_by_hand() -> None:
    results = [
        scored(0, [[1, 0], [0, 1], [3, 0]], [None, 1, 0]),
        scored(1, [[2, 0], [0, 1]], [0, 0]),
        scored(1, [], []),
    ]
    report = summarise(results, ["a", "b"])
    assert report["confusion"] == [[1, 0, 0], [1, 0, 1]]
    assert report["by_window"] == 3 / 5
    assert report["by_vote"] == pytest.approx(1 / 3)
    assert report["by_hysteresis"] == pytest.approx(1 / 3)
    assert report["without_a_window"] == 1
    assert report["onset_ms"] == {"median": 200.0, "p90": 200.0}
    assert "33.3 %" in as_text(report)


def test_temperature_finds_back_the_one_the_scores_were_made_with() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 2, (20_000, 5))
    cumulative = softmax(logits, 1.0).cumsum(1)
    truth = (rng.random((20_000, 1)) > cumulative).sum(1).clip(0, 4)
    assert fit_temperature((logits * 3).astype(np.float32), truth) == pytest.approx(3, rel=0.05)


def test_rejection_keeps_almost_all_right_windows() -> None:
    rng = np.random.default_rng(3)
    scores = rng.normal(0, 3, (5000, 4)).astype(np.float32)
    threshold = fit_rejection(scores, scores.argmax(1), 1.0)
    kept = (softmax(scores, 1.0).max(1) >= threshold).mean()
    assert 0.98 <= kept < 0.99


@pytest.mark.parametrize("ids", ["12", "a-b", "1-2-3", "-4"])
def test_wrong_range_of_ids_is_refused(ids: str, tiny: tuple[Path, Path], tmp_path: Path) -> None:
    make_trainer(tiny, tmp_path).run(silent, stop_after=1)
    with pytest.raises((UsageError, edgesnn.ModelError)):
        evaluate(str(tmp_path / "model.safetensors"), str(tiny[1]), part=None, ids=ids, backend="reference")


def test_zoo_builder_writes_models_and_a_card_that_agree(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    from edgesnn.train.zoo.digits import build

    trainer = make_trainer(tiny, tmp_path / "run")
    trainer.run(silent)
    runs = dict.fromkeys(("net", "eight", "four", "twin", "rate"), tmp_path / "run")
    figures = build(runs, tiny[1], tmp_path, looks=7)
    assert sorted(p.name for p in tmp_path.glob("*.safetensors")) == [
        "digits-float32.safetensors",
        "digits.safetensors",
    ]
    model = edgesnn.load(tmp_path / "digits.safetensors")
    card = (tmp_path / "digits.md").read_text(encoding="utf-8")
    assert model.identity in card
    assert model.document.provenance["metrics"]["validation"]["by_vote"] == figures["int8"]["by_vote"]
    assert f"{100 * figures['baseline']['by_vote']:.1f} %" in card
    assert "--looks 7" in card
    assert "commit " in card


def write_columns(path: Path, **changed: object) -> Path:
    columns = {name: np.zeros(3, np.uint8) for name in ("x", "y", "p")}
    columns |= {"t_us": np.arange(3), "offsets": np.array([0, 3]), "ids": np.array([1]), "labels": np.array([0])}
    np.savez(path, **{**columns, **changed})
    return path


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"offsets": np.array([0, 50])}, "offsets do not rise from 0"),
        ({"offsets": np.array([0, 3, 3])}, "recordings do not fit"),
        ({"y": np.zeros(2, np.uint8)}, "columns of different lengths"),
        ({name: np.zeros(0, np.uint8) for name in ("x", "y", "p", "t_us")}, "columns of different lengths"),
    ],
)
def test_a_damaged_data_set_is_refused(changed, message, tmp_path):
    with pytest.raises(RecordingError, match=message):
        load_dataset(DataConfig(str(write_columns(tmp_path / "set.npz", **changed))))


def test_folders_that_are_no_class_are_named_and_never_counted_as_right(tmp_path):
    for name in ("arm_roll", "armroll"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.raw").write_bytes((Path(__file__).parents[2] / "recordings/air_drums.raw").read_bytes())
    with pytest.warns(UserWarning, match="none of the classes are left out: armroll"):
        data = load_dataset(DataConfig(str(tmp_path), classes=("arm_roll",)))
    assert [sample.name for sample in data.train] == ["arm_roll/a.raw"]
    with pytest.warns(UserWarning, match="armroll"), pytest.raises(RecordingError, match="no recording of any class"):
        load_dataset(DataConfig(str(tmp_path), classes=("hand_clap",)))


def test_a_folder_of_test_recordings_alone_is_a_split(tmp_path):
    folder = tmp_path / "test" / "arm_roll"
    folder.mkdir(parents=True)
    (folder / "a.raw").write_bytes((Path(__file__).parents[2] / "recordings/air_drums.raw").read_bytes())
    data = load_dataset(DataConfig(str(tmp_path)))
    assert (len(data.train), len(data.validate), data.labels, data.split) == (0, 1, ("arm_roll",), True)
