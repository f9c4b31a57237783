"""Training of token models: the text, its config, the loop; what the command writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra test)")

import edgesnn  # noqa: E402
from edgesnn.cli.main import main  # noqa: E402
from edgesnn.errors import ConfigError  # noqa: E402
from edgesnn.tokens import MASKS, decode, make_tokenizer  # noqa: E402
from edgesnn.train.text.config import load_text_config, parse_text_config  # noqa: E402
from edgesnn.train.text.corpus import load_corpus  # noqa: E402
from edgesnn.train.text.labelled import load_head_config  # noqa: E402
from edgesnn.train.text.loop import TextTrainer  # noqa: E402
from edgesnn.train.text.measure import auc, by_line, curves  # noqa: E402

TINY = {
    "data": {"test": 0.2},
    "model": {"layers": 2, "width": 16},
    "train": {"steps": 6, "batch": 4, "context": 12, "evaluate_every": 2, "threads": 1, "warmup": 2},
}


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("".join(f"line {i % 7} of the text, señor\n" for i in range(60)), encoding="utf-8")
    return str(path)


def config_of(text, **changes):
    sections = {name: {**section, **changes.get(name, {})} for name, section in TINY.items()}
    sections["data"] = {"source": text, **sections["data"]}
    return parse_text_config(sections)


def quiet(_):
    pass


def test_the_last_lines_are_kept_back(text):
    corpus = load_corpus(config_of(text).data)
    tokenizer = make_tokenizer(corpus.input["tokenizer"])
    lines = (text_of(text)).splitlines(keepends=True)
    assert decode(tokenizer, corpus.train.tolist()) == "".join(lines[:48])
    assert decode(tokenizer, corpus.test.tolist()) == "".join(lines[48:])
    assert corpus.test_characters == sum(map(len, lines[48:]))
    assert corpus.line_tokens.tolist() == [len(line) for line in lines[48:]]


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_labels_choose_what_trains_and_are_never_seen(tmp_path):
    path = tmp_path / "some.log"
    path.write_text("- 10 fine\nBAD 11 broken\n- 12 fine\n- 13 fine\nBAD 14 worse\n", encoding="utf-8")
    data = config_of(str(path), data={"test": 0.4, "normal": "-", "drop_fields": [0], "masks": ["numbers"]}).data
    corpus = load_corpus(data)
    tokenizer = make_tokenizer(corpus.input["tokenizer"])
    assert decode(tokenizer, corpus.train.tolist()) == "<num> fine\n<num> fine\n"
    assert corpus.alerts.tolist() == [False, True]
    assert corpus.input["drop_fields"] == [0]
    assert corpus.input["masks"] == ["numbers"]
    unknown = corpus.input["tokenizer"]["unknown"]
    assert (corpus.test == unknown).sum() == len("wors")


def test_a_labelled_log_drops_its_label_and_masks_what_differs_unless_told_otherwise():
    data = parse_text_config({"data": {"normal": "-"}}).data
    assert (data.drop_fields, data.masks) == ((0,), tuple(MASKS))
    told = parse_text_config({"data": {"normal": "-", "drop_fields": [0, 2], "masks": []}}).data
    assert (told.drop_fields, told.masks) == ((0, 2), ())
    assert parse_text_config({}).data.masks == ()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"one line only", "training part is empty"),
        (b"fine\n\xff\xfe\n", "byte 5"),
        (b"", "part is empty"),
    ],
)
def test_a_text_that_cannot_train(tmp_path, content, told):
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=told):
        load_corpus(config_of(str(path)).data)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"train": {"steps": 0}}, "train.steps = 0"),
        ({"model": {"depth": 3}}, "model.depth"),
        ({"data": {"masks": ["names"]}}, "data.masks is wrong"),
        ({"data": {"drop_fields": [2, 1]}}, "data.drop_fields is wrong"),
        ({"data": {"normal": "-", "drop_fields": [1]}}, "0 among them: the label of data.normal"),
        ({"data": {"normal": "-", "drop_fields": []}}, "0 among them: the label of data.normal"),
        ({"data": {"tokenizer": "words"}}, "one of characters, bytes, bpe, numbers"),
        ({"augment": {}}, "unknown section"),
    ],
)
def test_a_wrong_config_is_named(document, told):
    with pytest.raises(ConfigError, match=told):
        parse_text_config(document)


def test_a_resumed_run_is_the_uninterrupted_one(text, tmp_path):
    config = config_of(text)
    corpus = load_corpus(config.data)
    whole = TextTrainer(config, corpus, tmp_path / "whole")
    whole.run(quiet)
    TextTrainer(config, corpus, tmp_path / "parts").run(quiet, stop_after=2)
    resumed = TextTrainer(config, corpus, tmp_path / "parts", resume=True)
    assert resumed.step == 2
    resumed.run(quiet)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    assert [row["step"] for row in resumed.metrics] == [2, 4, 6]
    other = config_of(text, train={"lr": 0.1})
    with pytest.raises(ConfigError, match="another config"):
        TextTrainer(other, corpus, tmp_path / "parts", resume=True)


def test_it_learns(text, tmp_path):
    config = config_of(text, train={"steps": 60, "evaluate_every": 60, "batch": 16, "lr": 0.01})
    corpus = load_corpus(config.data)
    trainer = TextTrainer(config, corpus, tmp_path / "run")
    before = trainer.evaluate()
    assert trainer.run(quiet)["test_bits"] < before / 2


def test_a_text_shorter_than_a_sequence(text, tmp_path):
    config = config_of(text, train={"context": 4000})
    with pytest.raises(ConfigError, match="part is too short"):
        TextTrainer(config, load_corpus(config.data), tmp_path / "run")


def test_area_under_the_curve():
    rng = np.random.default_rng(1)
    scores, positive = rng.integers(0, 9, 80).astype(float), rng.random(80) < 0.3
    pairs = [(a > b) + (a == b) / 2 for a in scores[positive] for b in scores[~positive]]
    assert auc(scores, positive) == pytest.approx(np.mean(pairs))
    assert by_line(np.array([1.0, 2.0, 3.0]), np.array([2, 2])).tolist() == [0.5, 2.5]


def test_bins_are_of_lines_as_the_tokenizer_cuts_them(tmp_path):
    path = tmp_path / "sensor.log"
    path.write_text("1\x0c7\n" * 6 + "5\n" * 6)
    corpus = load_corpus(config_of(str(path), data={"test": 0.2, "tokenizer": "numbers", "bins": 4}).data)
    assert corpus.input["tokenizer"]["edges"] == [[5.0]]


def test_lines_without_tokens_are_on_no_curve(tmp_path):
    path = tmp_path / "sensor.log"
    path.write_text("- 1\n- 2\n- 3\n- 1\n-\nBAD 9\n- 2\n-\n")
    data = config_of(str(path), data={"test": 0.5, "normal": "-", "tokenizer": "numbers", "bins": 2}).data
    corpus = load_corpus(data)
    assert corpus.line_tokens.tolist() == [0, 1, 1, 0]
    assert curves({"own": np.array([1.0])}, corpus) == {"own_auc": 0.0}
    assert curves({"own": np.array([-1.0])}, corpus) == {"own_auc": 1.0}


def test_the_command_writes_models_that_run_as_it_says(text, tmp_path, capsys):
    toml = tmp_path / "tiny.toml"
    toml.write_text(
        "\n".join(f"[{n}]\n" + "\n".join(f"{k} = {v}" for k, v in s.items()) for n, s in TINY.items()), encoding="utf-8"
    )
    out = tmp_path / "run"
    assert main(["train", "spikegpt", "--config", str(toml), "--data", text, "--out", str(out), "--steps", "4"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["step"] == 4
    corpus = load_corpus(config_of(text).data)
    for name, file in (("float32", "model.safetensors"), ("int8", "model-int8.safetensors")):
        model = edgesnn.load(str(out / file))
        assert model.input["tokenizer"] == corpus.input["tokenizer"]
        logits = np.asarray(model.session().run(corpus.test[:-1]), np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        chosen = np.take_along_axis(logits, corpus.test[1:, None], 1)[:, 0]
        bits = (np.log2(np.exp(logits).sum(axis=1)) - chosen / np.log(2)).sum()
        assert told[name] == pytest.approx(bits / corpus.test_characters, rel=1e-9)


def test_values_of_sensors_become_bins_that_are_as_full(tmp_path, capsys):
    rng = np.random.default_rng(0)
    path, out = tmp_path / "sensors.csv", tmp_path / "run"
    rows = [f"{rng.normal():.4f},{'' if i % 5 == 0 else i % 3},{rng.integers(9)}" for i in range(200)]
    path.write_text("level,gate,pump\n" + "\n".join(rows) + "\n")
    toml = tmp_path / "sensors.toml"
    toml.write_text(
        "[data]\ntokenizer = 'numbers'\nbins = 8\ntest = 0.2\n[model]\nlayers = 1\nwidth = 16\n[train]\ncontext = 12\n"
    )
    assert (
        main(["train", "spikegpt", "--config", str(toml), "--data", str(path), "--out", str(out), "--steps", "3"]) == 0
    )
    capsys.readouterr()
    model = edgesnn.load(str(out / "model-int8.safetensors"))
    edges = model.input["tokenizer"]["edges"]
    level = [float(row.split(",")[0]) for row in rows[:160]]
    counts = np.bincount(np.searchsorted(edges[0], level, side="right"), minlength=8)
    assert counts.sum() == 160
    assert counts.min() >= 19
    assert edges[1] == [0.0, 1.0, 2.0]
    assert main(["replay", str(path), "-m", str(out / "model-int8.safetensors"), "--json", "--publish-text"]) == 0
    found = [json.loads(row)["tokens"] for row in capsys.readouterr().out.splitlines()]
    assert {row["count"] for row in found} == {3}
    assert sum(span["text"] == "missing," for row in found for span in row["spans"]) == 40 + 2


@pytest.mark.parametrize("flags", [["--epochs", "3"], ["--sensor", "4x4"]])
def test_flags_of_the_other_architecture_are_refused(text, flags, capsys):
    assert main(["train", "spikegpt", "--data", text, *flags]) == 2
    assert flags[0] in capsys.readouterr().err


def test_shipped_configs_are_valid():
    files = sorted((Path(__file__).resolve().parents[2] / "examples" / "text").glob("*.toml"))
    assert files
    for file in files:
        load = load_head_config if file.name.startswith("head-") else load_text_config
        load(file)
