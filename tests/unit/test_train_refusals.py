"""What `edgesnn train` and `edgesnn eval` refuse: one clear line, the documented exit code, no traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesnn.cli.main import main
from edgesnn.errors import ConfigError, RecordingError
from edgesnn.train.datasets import DataConfig, check_complete, kept_back, load_dataset
from tests.bars import write_bars

torch = pytest.importorskip("torch")

from edgesnn.train.checkpoint import CHECKPOINT, read_checkpoint, write_checkpoint  # noqa: E402

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "recordings" / "air_drums.raw"


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_bars(tmp_path_factory.mktemp("bars"))


def complaint(capsys: pytest.CaptureFixture[str], code: int, *arguments: str | Path) -> str:
    """Run a command that must fail with this code, and return its one line of complaint."""
    found = main([str(argument) for argument in arguments])
    error = capsys.readouterr().err
    lines = [line for line in error.splitlines() if line.startswith("edgesnn: error: ")]
    assert "Traceback" not in error
    assert (found, len(lines)) == (code, 1), error
    return lines[0]


def with_lines(bars: tuple[Path, Path], tmp_path: Path, lines: dict[str, str]) -> Path:
    """Write the tiny configuration with more keys ("train.lr": "nan"); a key that is there is replaced."""
    text = bars[0].read_text()
    for key, value in lines.items():
        section, name = key.split(".")
        text = "\n".join(line for line in text.splitlines() if not line.startswith(f"{name} = "))
        text = text if f"[{section}]" in text else f"{text}\n[{section}]"
        text = text.replace(f"[{section}]", f"[{section}]\n{name} = {value}")
    path = tmp_path / "changed.toml"
    path.write_text(text)
    return path


OUT_OF_RANGE = [
    ("train.batch", "0"),
    ("train.batch", "1"),
    ("train.evaluate_every", "0"),
    ("train.epochs", "-3"),
    ("train.epochs", "0"),
    ("train.lr", "nan"),
    ("train.lr", "-1.0"),
    ("train.lr", "inf"),
    ("train.windows", "0"),
    ("train.threads", "0"),
    ("train.seed", "-1"),
    ("train.ema", "3.0"),
    ("train.label_smoothing", "1.0"),
    ("train.teach_temperature", "0.0"),
    ("train.weight_decay", "-1.0"),
    ("model.widths", "[8, 8, 16, 0]"),
    ("model.voters", "0"),
    ("model.steps", "0"),
    ("model.shift", "[nan, 0.0]"),
    ("input.points", "0"),
    ("input.groups", "49"),
    ("input.neighbours", "100"),
    ("input.min_events", "-1"),
    ("input.seed", "-1"),
    ("input.window", '"0ms"'),
    ("input.hop", '"0us"'),
    ("data.validate", "1.5"),
    ("data.train_ids", "[24, 1]"),
    ("augment.drop", "1.0"),
    ("augment.mirror", "-0.1"),
    ("augment.scale", "nan"),
]


@pytest.mark.parametrize(("key", "value"), OUT_OF_RANGE)
def test_a_number_out_of_its_range_is_named_with_what_it_may_be(key, value, bars, tmp_path, capsys):
    config = with_lines(bars, tmp_path, {key: value})
    line = complaint(capsys, 5, "train", "spikepoint", "--config", config, "--data", bars[1], "--out", tmp_path / "run")
    assert key in line
    assert "out of range" in line
    assert ", expected " in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ({"train.batch": "5000"}, ("no whole batch", "train.batch = 5000", "96 windows")),
        ({"input.window": '"280s"'}, ("no validation recording gives a window", "input.window = 280s")),
        ({"input.min_events": "100000"}, ("no validation recording gives a window", "input.min_events")),
        ({"model.neuron": '"relu"'}, ("model.steps = 2", "'relu'")),
        ({"model.coding": '"rate"'}, ("model.features = 'signed'", "'unsigned'")),
    ],
)
def test_a_configuration_that_cannot_train_is_refused_instead_of_written(lines, words, bars, tmp_path, capsys):
    config, out = with_lines(bars, tmp_path, lines), tmp_path / "run"
    line = complaint(capsys, 5, "train", "spikepoint", "--config", config, "--data", bars[1], "--out", out)
    for word in words:
        assert word in line
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_sensor_that_is_none_is_named_by_who_said_it(bars, tmp_path, capsys):
    config = with_lines(bars, tmp_path, {"data.sensor": '"big"'})
    command = ("train", "spikepoint", "--data", bars[1], "--config")
    assert "data.sensor: not a sensor size: found 'big'" in complaint(capsys, 5, *command, config)
    assert "--sensor: not a sensor size" in complaint(capsys, 2, *command, bars[0], "--sensor", "big")
    assert "--sensor: not a sensor size" in complaint(capsys, 2, "eval", "digits", "--data", bars[1], "--sensor", "0x3")


@pytest.mark.parametrize("flag", ["--epochs", "--seed", "--threads"])
def test_a_flag_out_of_range_is_a_usage_error(flag, bars, capsys):
    assert f"{flag}: out of range" in complaint(
        capsys, 2, "train", "spikepoint", "--config", bars[0], "--data", bars[1], flag, "-5"
    )


def damaged(state: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    average, optimizer = state["average"], state["optimizer"]
    return [
        ({**state, "config": {"train": {"epochs": -3}}}, "train.epochs = -3"),
        ({**state, "config": [1]}, "no usable config"),
        ({**state, "model": {"a": torch.zeros(1)}}, "Missing key"),
        ({**state, "average": {**average, "hidden.linear.weight": torch.zeros(2)}}, "size mismatch"),
        ({**state, "optimizer": {}}, "optimizer"),
        ({**state, "optimizer": {**optimizer, "0/exp_avg": torch.zeros(2)}}, "optimizer"),
        ({**state, "epoch": "one"}, "no usable epoch"),
    ]


def test_a_checkpoint_that_is_none_is_one_line(bars, tmp_path, capsys):
    command = ("train", "spikepoint", "--config", bars[0], "--data", bars[1], "--out", tmp_path, "--epochs", "1")
    assert main([str(argument) for argument in command]) == 0
    capsys.readouterr()
    path = tmp_path / CHECKPOINT
    good = path.read_bytes()
    for state, words in damaged(read_checkpoint(path)):
        write_checkpoint(path, state)
        line = complaint(capsys, 4, *command, "--resume")
        assert f"{CHECKPOINT}: not a checkpoint of a training run" in line
        assert words in line
    other = [
        (good[:-8], "tensor ends after the file"),
        (b"", "too short"),
        (good.replace(b"optimizer/0/step", b"optimiser/0/step"), "'optimiser/0/step'"),
        (good.replace(b'\\"version\\": 1', b'\\"version\\": 2'), "found version 2, expected version 1"),
        ((tmp_path / "model.safetensors").read_bytes(), "no usable epoch"),
    ]
    for content, words in other:
        path.write_bytes(content)
        line = complaint(capsys, 4, *command, "--resume")
        assert f"{CHECKPOINT}: not a checkpoint of a training run" in line
        assert words in line


def test_a_checkpoint_of_torch_is_refused_and_never_unpickled(bars, tmp_path, capsys):
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (tmp_path.joinpath("opened").write_text, ("run",))

    command = ("train", "spikepoint", "--config", bars[0], "--data", bars[1], "--epochs", "1", "--out")
    torch.save(Trap(), tmp_path / "last.pt")
    line = complaint(capsys, 4, *command, tmp_path, "--resume")
    assert "last.pt: a checkpoint of an earlier version is not read" in line
    assert f"expected {CHECKPOINT}" in line
    config = with_lines(bars, tmp_path, {"train.init": f'"{tmp_path / "last.pt"}"'})
    assert "is not read" in complaint(capsys, 4, *command, tmp_path / "two", "--config", config)
    assert not (tmp_path / "opened").exists()


def test_a_teacher_of_other_classes_is_refused(bars, tmp_path, capsys):
    command = ("train", "spikepoint", "--data", bars[1], "--epochs", "1", "--out")
    assert main([str(argument) for argument in (*command, tmp_path / "one", "--config", bars[0])]) == 0
    capsys.readouterr()
    teacher = f'["{tmp_path / "one" / CHECKPOINT}"]'
    config = with_lines(bars, tmp_path, {"train.teachers": teacher, "model.polarity": "false"})
    assert "the teacher has another point_coding" in complaint(
        capsys, 5, *command, tmp_path / "two", "--config", config
    )


def test_weights_that_are_no_numbers_stop_the_training(bars, tmp_path, capsys):
    command = ("train", "spikepoint", "--data", bars[1], "--epochs", "1", "--out")
    assert main([str(argument) for argument in (*command, tmp_path / "one", "--config", bars[0])]) == 0
    capsys.readouterr()
    start = tmp_path / "one" / CHECKPOINT
    state = read_checkpoint(start)
    state["average"]["hidden.linear.weight"].fill_(float("nan"))
    write_checkpoint(start, state)
    config = with_lines(bars, tmp_path, {"train.init": f'"{start}"'})
    line = complaint(capsys, 5, *command, tmp_path / "two", "--config", config)
    assert "diverged: found a loss or weights that are no numbers in epoch 1; try a smaller train.lr" in line
    assert not (tmp_path / "two" / CHECKPOINT).exists()


# --- data ---------------------------------------------------------------------------------------------------------


def write_folders(root: Path, counts: dict[str, int]) -> Path:
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            (root / name / f"{i}.raw").write_bytes(RECORDING.read_bytes())
    return root


def test_every_class_of_two_recordings_or_more_is_on_both_sides(tmp_path):
    counts = {f"class{i}": 2 + i % 3 for i in range(10)}
    data = load_dataset(DataConfig(str(write_folders(tmp_path, counts))))
    check_complete(data)
    kept = np.bincount([sample.label for sample in data.validate])
    assert kept.tolist() == [1] * 10


def test_the_share_kept_back_is_of_each_class_and_the_same_for_ever():
    names = [f"left/{i:02}.bin" for i in range(20)]
    kept = kept_back(names, 0.2)
    assert kept == kept_back(names[::-1], 0.2) == {f"left/{i}.bin" for i in ("02", "03", "13", "16")}
    assert len(kept_back(names, 0.01)) == 1
    assert len(kept_back(names, 0.99)) == 19
    assert kept_back(["left/00.bin"], 0.5) == set()
    assert kept_back([], 0.5) == set()


def test_a_class_of_one_recording_says_how_many_it_needs(tmp_path):
    data = load_dataset(DataConfig(str(write_folders(tmp_path, {"left": 3, "right": 1}))))
    with pytest.raises(ConfigError, match="no validation recording of a class: found right; a class needs two"):
        check_complete(data)


def test_files_that_are_no_recording_are_left_out_and_counted(tmp_path):
    root = write_folders(tmp_path, {"left": 2, "right": 2})
    (root / "left" / ".DS_Store").write_bytes(b"\x00\x00\x00\x01Bud1")
    (root / "left" / "README").write_text("recorded in spring")
    (root / "right" / "notes.txt").write_text("")
    (root / "right" / "notes.txt").write_text("left handed")
    with pytest.warns(UserWarning, match=r"left out: 3 \(left/.DS_Store, left/README, right/notes.txt\)"):
        data = load_dataset(DataConfig(str(root)))
    assert (len(data.train), len(data.validate)) == (2, 2)


def test_a_folder_of_other_files_only_says_what_it_found(tmp_path, capsys):
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.aedat4").write_bytes(b"#!AER-DAT4.0\r\n")
    line = complaint(capsys, 3, "eval", "gestures", "--data", tmp_path.parent / tmp_path.name)
    assert "no recording of any class" in line


@pytest.mark.parametrize("ids", ["5000-6000", "5-3", "12", "a-b", "1-2-3", "-4", "1-99999999999999999999"])
def test_ids_that_choose_nothing_are_a_usage_error(ids, bars, capsys):
    line = complaint(capsys, 2, "eval", "digits", "--data", bars[1], f"--ids={ids}")
    assert "--ids" in line


def test_ids_without_their_file_are_a_usage_error(bars, tmp_path, capsys):
    assert "ids choose" in complaint(capsys, 2, "eval", "digits", "--data", tmp_path, "--ids", "1-2")
    assert "ids choose" in complaint(capsys, 2, "eval", "digits", "--data", bars[1], "--ids", "1-2", "--part", "train")


def test_data_of_other_classes_are_a_model_error_that_names_them(bars, capsys):
    line = complaint(capsys, 4, "eval", "gestures", "--data", bars[1])
    assert "the data has other classes: found 0, 1, expected hand_clap" in line


def test_training_on_classes_that_the_config_does_not_name_is_refused(bars, tmp_path, capsys):
    config = with_lines(bars, tmp_path, {"data.classes": '["0", "2"]'})
    line = complaint(capsys, 5, "train", "spikepoint", "--config", config, "--data", bars[1], "--out", tmp_path / "run")
    assert "a class that is none of the labels: found 1, expected 0, 2" in line


def column(**changed: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns of two recordings of 100 events, some of them replaced."""
    rng = np.random.default_rng(3)
    columns = {name: rng.integers(0, 2, 200) for name in ("x", "y", "p")} | {"t_us": np.arange(200)}
    return (
        columns
        | {"offsets": np.array([0, 100, 200]), "ids": np.array([801, 802]), "labels": np.array([1, 2])}
        | changed
    )


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"x": np.arange(200) - 1}, "values are out of range: found x from -1 to 198, expected 0 to 65535"),
        ({"p": np.arange(200)}, "found p from 0 to 199, expected 0 to 1"),
        ({"t_us": np.full(200, 1 << 62)}, "found t_us from 4611686018427387904"),
        ({"y": np.full(200, np.nan)}, "a column is not usable: found y of float64[200], expected one row of whole"),
        ({"x": np.array(5)}, "found x of int64[]"),
        ({"ids": np.array(["a", "b"])}, "found ids of <U1[2]"),
        ({"offsets": np.array([0.0, 100.0, 200.0])}, "found offsets of float64[3]"),
        ({"labels": np.array([1.0, 2.0])}, "whole numbers or texts"),
        ({"offsets": np.array([0, 300, 200])}, "offsets do not rise"),
        ({"y": np.arange(3)}, "columns of different lengths"),
    ],
)
def test_columns_of_a_data_set_that_are_no_events_are_named(changed, words, tmp_path, capsys):
    np.savez(tmp_path / "data.npz", **column(**changed))
    assert words in complaint(capsys, 3, "eval", "digits", "--data", tmp_path / "data.npz")


def test_a_data_set_that_is_absent_cut_or_damaged_is_one_line(tmp_path, capsys):
    path = tmp_path / "data.npz"
    assert "data.npz: no such folder or .npz file" in complaint(capsys, 3, "eval", "digits", "--data", path)
    np.savez_compressed(path, **column())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "not a data set" in complaint(capsys, 3, "eval", "digits", "--data", path)
    starts = range(60, len(whole) - 60, 40)
    refused = 0
    for start in starts:  # what is damaged and not refused is a field of the archive that nobody reads
        path.write_bytes(whole[:start] + b"\xff" * 20 + whole[start + 20 :])
        try:
            load_dataset(DataConfig(source=str(path)))
        except RecordingError:
            refused += 1
    assert refused > len(starts) / 2


def test_recordings_without_any_window_are_wrong_and_reported(tmp_path, capsys):
    np.savez(tmp_path / "short.npz", **column())
    assert main(["eval", "digits", "--data", str(tmp_path / "short.npz")]) == 0
    assert "recordings without a window: 2\nright by vote of a recording's windows: 0.0 %" in capsys.readouterr().out


def test_a_folder_of_results_that_cannot_be_made_is_named(bars, tmp_path, capsys):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        line = complaint(capsys, 5, "train", "spikepoint", "--config", bars[0], "--data", bars[1], "--out", out)
        assert f"{out}: the folder cannot be made" in line
