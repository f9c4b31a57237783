"""Filters of a model file: what is refused, and that replay, eval, calibration and training all see what they leave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.cli.main import main
from edgesnn.encode.spans import every_span, filtered
from edgesnn.errors import ConfigError, ModelError, UsageError
from edgesnn.events.filters import Chain, parse_filter
from edgesnn.events.filters.registry import names
from edgesnn.events.types import EVENT
from edgesnn.graph import Document, with_filters
from edgesnn.graph.text import describe
from edgesnn.pipeline import Pipeline
from edgesnn.quantize.calibrate import calibrate
from edgesnn.runtime import Model
from edgesnn.runtime.windows import encoding_of, filters_of, readout_of
from edgesnn.train.datasets import Sample, filter_dataset, load_dataset
from edgesnn.train.early_exit import curve
from edgesnn.train.evaluate import score
from edgesnn.train.evaluate_command import evaluate
from tests.bars import write_bars
from tests.one_operator import document as one
from tests.small_models import INPUT, small_document, spikes_document
from tests.walks import same

WIDE = (40, 30)
FILTERS = ["hot_pixels:learn=50ms,rate=100Hz", "roi:x=4,y=3,width=32,height=24", "downsample:factor=2"]
FULL = {
    "background": "dt=3ms,neighbours=4",
    "bitmap": "pixels=3x2:rA,drop=ones",
    "decimate": "factor=3,per=pixel",
    "downsample": "factor=2",
    "mask": "x=1,y=2,width=3,height=4",
    "rate": "limit=5kHz",
    "refractory": "period=7us",
    "roi": "x=0,y=0,width=3,height=4",
}


def make_events(count: int = 6000) -> np.ndarray:
    rng = np.random.default_rng(5)
    events = np.zeros(count, EVENT)
    events["t"] = 500 + np.sort(rng.integers(0, 600_000, count))
    events["x"], events["y"] = rng.integers(0, WIDE[0], count), rng.integers(0, WIDE[1], count)
    events["p"] = rng.integers(0, 2, count)
    hot = rng.random(count) < 0.1
    events["x"][hot], events["y"][hot] = 20, 15
    events["x"][-1500:] = 39  # outside the region: only the time goes on
    return events


def with_input_filters(document: Document, filters: list[Any]) -> Document:
    return replace(document, input=with_filters(document.input, filters))


@pytest.mark.parametrize("name", names())
def test_every_filter_has_a_text_that_says_the_same(name: str) -> None:
    made = parse_filter(f"{name}:{FULL[name]}" if name in FULL else name)
    assert parse_filter(made.text) == made == parse_filter(made.json)


REFRACTORY = {"filter": "refractory", "period_us": 1000, "after": "passed"}
WRONG: list[tuple[Any, str]] = [
    ([], "input.filters is wrong: found .*expected 1 to 16"),
    ([REFRACTORY] * 17, "1 to 16 filters"),
    ("flip", "input.filters is wrong: found 'flip', expected a list"),
    (["flip"], r"input.filters\[0\] is wrong: found 'flip', expected an object"),
    ([REFRACTORY, {"filter": "blur"}], r"input.filters\[1\]: no such filter: found 'blur', expected one of background"),
    ([{"filter": "refractory", "after": "any"}], "needs a parameter"),
    ([{"filter": "refractory", "period_us": 1000}], r"input.filters\[0\] has other fields: found no 'after'"),
    ([{**REFRACTORY, "period_us": 0}], "period is wrong: found 0"),
    ([{**REFRACTORY, "period_us": 1000.0}], "period is wrong: found 1000.0"),
    ([{**REFRACTORY, "more": 1}], "not a parameter of the filter: found 'more'"),
]


@pytest.mark.parametrize(("filters", "message"), WRONG)
def test_wrong_filters_are_refused(filters: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        small_document(filters=filters)
    path = tmp_path / "m.safetensors"
    replace(small_document(), input={**INPUT, "filters": filters}).save(path)
    with pytest.raises(ModelError, match=message) as error:
        edgesnn.load(path)
    assert str(path) in str(error.value)


def test_an_input_without_events_has_no_filters() -> None:
    section = {"kind": "dense", "shape": [2], "value": "float32", "bound": 0}
    with pytest.raises(UsageError, match="no events become the input"):
        with_filters(section, ["flip"])
    with pytest.raises(ModelError, match="none where no events become the input"):
        one("accumulate", {**section, "filters": [{"filter": "transpose"}]})


def test_filters_survive_a_file_are_part_of_the_identity_and_shown(tmp_path: Path, capsys: Any) -> None:
    plain = spikes_document()
    made = with_input_filters(plain, FILTERS)
    path = tmp_path / "m.safetensors"
    made.save(path)
    model = edgesnn.load(path)
    assert model.identity == made.identity != plain.identity
    assert [f.text for f in filters_of(model)] == [parse_filter(f).text for f in FILTERS]
    assert with_filters(plain.input, []) == plain.input
    assert main(["info", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "filters     hot_pixels:learn=50000us,rate=100Hz" in lines
    assert "            downsample:factor=2" in lines
    assert "filters" not in describe(plain)


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("document", [small_document(), spikes_document(reset="never", hop_steps=20)])
def test_a_pipeline_applies_them_after_the_callers(document: Document, backend: str) -> None:
    events = make_events()
    plain, model = Model(document, backend=backend), Model(with_input_filters(document, FILTERS[1:]), backend=backend)

    def run(model: Model, filters: list[str]) -> tuple[list[Any], dict[str, int]]:
        with Pipeline(np.array_split(events, 9), model, sensor=WIDE, filters=filters) as pipeline:
            found = [{**same(p), "model": None} for p in pipeline]
            return found, pipeline.counters

    expected, counters = run(plain, FILTERS)
    assert len(expected) > 2
    assert run(model, FILTERS[:1]) == (expected, counters)
    assert counters["dropped.roi"] > 1000
    assert run(model, [])[0] != expected


@pytest.mark.parametrize("options", [{}, {"reset": "never", "hop_steps": 20}])
def test_eval_decides_as_the_pipeline_does(options: dict[str, Any]) -> None:
    events = make_events()
    model = Model(with_input_filters(spikes_document(**options), FILTERS))
    (result,) = score(model, [Sample("s", events, 0)], WIDE, lambda _: None)
    predictions = list(Pipeline([events], model, sensor=WIDE))
    busy = [p for p in predictions if p.decision != "idle"]
    readout = readout_of(model)
    assert [p.topk and p.topk[0][1] for p in busy] == [float(readout.probabilities(row).max()) for row in result.scores]
    assert [p.sensor.t1_us for p in busy] == result.ends_us
    seen = filtered(events, FILTERS, WIDE)
    found = [(s.number, s.t0_us, s.t1_us) for s in every_span(seen.events, encoding_of(model), seen.t_end_us)]
    assert found == [(p.window, p.sensor.t0_us, p.sensor.t1_us) for p in predictions]
    short = [s.number for s in every_span(seen.events, encoding_of(model))]
    assert len(short) < len(found), "the dropped events at the end close windows"


def test_early_exit_sees_them() -> None:
    events, options = make_events(), {"early_exit": {"confidence": 0.9, "min_steps": 1}}
    model, plain = Model(with_input_filters(spikes_document(**options), FILTERS)), Model(spikes_document(**options))
    seen = filtered(events, FILTERS, WIDE)
    expected = curve(plain, [Sample("s", seen.events, 0, seen.t_end_us)], seen.sensor, [0.5], lambda _: None)
    assert curve(model, [Sample("s", events, 0)], WIDE, [0.5], lambda _: None)[0]["share_of_steps"] is not None
    found = curve(model, [Sample("s", events, 0)], WIDE, [0.5], lambda _: None)
    assert found[1]["by_window"] == expected[1]["by_window"]


def floating(document: Document) -> Document:
    """Return a small model of points with float32 weights."""
    from edgesnn.graph import Builder

    builder = Builder(input=document.input)
    local, centre = builder.add("point_code", "input", name="code", attributes={"coding": "direct"})
    rng = np.random.default_rng(2)
    made = []
    for name, value, width in (("a", local, 6), ("b", centre, 3)):
        vectors = {"scale": np.ones(8, np.float32), "bias": np.zeros(8, np.float32)}
        tensors = {"weight": rng.normal(0, 1, (8, width)).astype(np.float32), **vectors}
        made.append(builder.add("linear", value, name=name, attributes={"activations": "float32"}, tensors=tensors))
    return builder.document(outputs=made)


def test_calibration_sees_them(tmp_path: Path) -> None:
    events = make_events()[:4000]
    events["x"][-1] = events["y"][-1] = 10  # passes, so that both files are as long
    chain = Chain(FILTERS, sensor=WIDE)
    edgesnn.write(tmp_path / "all.raw", events, sensor=WIDE)
    edgesnn.write(tmp_path / "left.raw", chain.push(events), sensor=chain.sensor)
    plain = floating(small_document(sensor=[16, 12]))
    model = with_input_filters(plain, FILTERS)
    found, expected = (
        calibrate(model, [tmp_path / "all.raw"], most=4),
        calibrate(plain, [tmp_path / "left.raw"], most=4),
    )
    other = calibrate(plain, [tmp_path / "all.raw"], most=4)

    def sums(of: Any) -> list[Any]:
        return [vars(m) for ms in of.moments.values() for m in ms]

    def equal(a: Any, b: Any) -> bool:
        return all(np.array_equal(x[key], y[key]) for x, y in zip(sums(a), sums(b), strict=True) for key in x)

    assert equal(found, expected)
    assert not equal(found, other)


def test_a_sensor_that_the_filters_change_is_not_guessed(tmp_path: Path) -> None:
    document = with_input_filters(spikes_document(), FILTERS)
    with pytest.raises(UsageError, match=r"filters change the sensor's size.*--sensor"):
        Pipeline(None, Model(document))
    assert Pipeline(None, Model(with_input_filters(spikes_document(), ["hot_pixels", "flip"]))).sensor == (16, 12)
    turned = with_input_filters(spikes_document(), ["transpose", "rotate:degrees=270"])
    assert Pipeline(None, Model(turned)).sensor == (16, 12)
    document.save(tmp_path / "m.safetensors")
    with pytest.raises(UsageError, match="filters change the sensor's size"):
        evaluate(str(tmp_path / "m.safetensors"), "absent.npz", part=None, ids=None, backend="auto")


def test_training_filters_its_recordings_and_writes_them_down(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from edgesnn.train.command import train
    from edgesnn.train.config import load_config, parse_config

    config, data = write_bars(tmp_path)
    filters = ["downsample:factor=2", "refractory:period=1ms"]
    text = config.read_text().replace("[input]", f"[input]\nfilters = {filters}")
    config.write_text(text)
    assert load_config(config).input.filters == tuple(filters)
    plain = load_dataset(replace(load_config(config).data, source=str(data)))
    left = filter_dataset(plain, filters)
    assert left.sensor == tuple(-(-side // 2) for side in plain.sensor)
    assert all(a.t_end_us == int(b.events["t"].max()) for a, b in zip(left.train, plain.train, strict=True))
    train(str(config), str(data), str(tmp_path / "run"), overrides={"epochs": 1}, resume=False, report=lambda _: None)
    model = edgesnn.load(tmp_path / "run" / "model.safetensors")
    assert model.sensor == left.sensor
    assert model.input["filters"] == [parse_filter(f).json for f in filters]
    with pytest.raises(ConfigError, match=r"input.filters\[0\].*no such filter: found 'blur'"):
        parse_config({"input": {"filters": ["blur"]}})
