"""Pipelines with filters before their windows: the model sees what they leave, snapshots hold their memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.cli.main import main
from edgesnn.errors import ModelError, UsageError
from edgesnn.events.filters import Chain
from edgesnn.events.types import EVENT
from edgesnn.pipeline import Pipeline, Ring
from edgesnn.runtime import Model
from tests.small_models import small_document, spikes_document
from tests.walks import same

WIDE = (40, 30)
FILTERS = ["hot_pixels:learn=50ms,rate=100Hz", "roi:x=4,y=3,width=32,height=24", "downsample:factor=2"]


def make_events(count: int = 6000) -> np.ndarray:
    rng = np.random.default_rng(5)
    events = np.zeros(count, EVENT)
    events["t"] = 500 + np.sort(rng.integers(0, 600_000, count))
    events["x"], events["y"] = rng.integers(0, WIDE[0], count), rng.integers(0, WIDE[1], count)
    events["p"] = rng.integers(0, 2, count)
    hot = rng.random(count) < 0.1
    events["x"][hot], events["y"][hot] = 20, 15
    return events


def test_the_model_sees_what_the_filters_leave() -> None:
    events, chain = make_events(), Chain(FILTERS, sensor=WIDE)
    assert chain.sensor == (16, 12), "that of the model"
    expected = [same(p) for p in Pipeline([chain.push(events)], Model(spikes_document()))]
    with Pipeline([events], Model(spikes_document()), sensor=WIDE, filters=FILTERS) as pipeline:
        assert [same(p) for p in pipeline] == expected
        counters = pipeline.counters
    assert len(expected) > 2
    for name, count in chain.counters.items():
        assert counters[name] == count
    assert counters["dropped.hot_pixels"] > 100
    dropped = sum(value for name, value in counters.items() if name.startswith("dropped."))
    assert counters["events_in"] == counters["processed"] + dropped + counters["pending"] == len(events)


def test_threads_change_nothing() -> None:
    packets = np.array_split(make_events(), 50)
    found = []
    for threaded in (False, True):
        options = {"sensor": WIDE, "filters": FILTERS, "threaded": Ring(when_full="block") if threaded else False}
        with Pipeline(iter(packets), Model(spikes_document()), **options) as pipeline:
            found.append(([same(p) for p in pipeline], pipeline.counters["dropped.hot_pixels"]))
    assert found[0] == found[1]
    assert found[0][1] > 100


def test_a_snapshot_holds_the_filters_memory_and_is_refused_by_others() -> None:
    events = make_events()
    whole = Pipeline(None, Model(small_document()), sensor=WIDE, filters=FILTERS)
    whole.push(events[:2500])
    while whole.poll() is not None:
        pass
    blob = whole.snapshot()
    twin = Pipeline(None, Model(small_document()), sensor=WIDE, filters=FILTERS)
    twin.restore(blob)
    for pipeline in (whole, twin):
        pipeline.push(events[2500:])
    left = [same(p) for p in iter(whole.poll, None)]
    assert left
    assert [same(p) for p in iter(twin.poll, None)] == left
    assert twin.counters == whole.counters
    for filters in ([], FILTERS[:2], [*FILTERS, "flip"]):
        other = Pipeline(None, Model(small_document()), sensor=WIDE, filters=filters)
        with pytest.raises(ModelError):
            other.restore(blob)


def test_filters_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ModelError, match="another sensor"):
        Pipeline(None, Model(spikes_document()), filters=["transpose"])
    with pytest.raises(UsageError, match="out of range"):
        Pipeline(None, Model(spikes_document()), filters=["roi:x=0,y=0,width=17,height=3"])
    with pytest.raises(UsageError, match="not a list"):
        Pipeline(None, Model(spikes_document()), filters="flip")


def test_replay_filters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edgesnn.write(tmp_path / "a.csv", make_events())
    path = tmp_path / "m.safetensors"
    small_document().save(path)
    arguments = ["replay", str(tmp_path / "a.csv"), "-m", str(path), "--sensor", "40x30", "--json"]
    assert main(arguments) == 0
    plain = capsys.readouterr().out
    assert main([*arguments, "--filter", FILTERS[0], "--filter", FILTERS[1]]) == 0
    filtered = capsys.readouterr()
    assert filtered.out.count("\n") == plain.count("\n")
    assert filtered.out != plain
    assert main([*arguments, "--filter", "stcf:k=9"]) == 2
    assert "1 to 8" in capsys.readouterr().err
