"""A service that is killed or stopped goes on with the states of models that are never reset."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from tests.daemon.test_service import SAME, configuration, one_broker, run, subscribed, wait_for
from tests.predictions import validated
from tests.small_models import spikes_document

__all__ = ["one_broker", "run"]  # fixtures


@pytest.fixture
def files(tmp_path) -> tuple[Path, Path]:
    """A recording of 20 s, and a model that never forgets."""
    rng = np.random.default_rng(0)
    events = np.zeros(40_000, edgesnn.EVENT)
    events["t"] = np.sort(rng.integers(0, 20_000_000, len(events)))
    events["x"], events["y"] = rng.integers(0, 16, len(events)), rng.integers(0, 12, len(events))
    edgesnn.write(tmp_path / "walk.raw", events, sensor=(16, 12), format="evt2")
    spikes_document(hop_steps=20, reset="never").save(tmp_path / "model.safetensors")
    return tmp_path / "walk.raw", tmp_path / "model.safetensors"


def told(record: dict[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in SAME}


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.full)])
def test_the_next_process_goes_on_with_the_state(one_broker, run, files, tmp_path, number):
    recording, model = files
    with edgesnn.Pipeline(recording, model) as pipeline:
        expected = [told(prediction.to_dict()) for prediction in pipeline]
    door = f'[[stream]]\nname = "door"\nsource = "{recording}"\nmodel = "{model}"\nspeed = "16x"\n'
    text = configuration(one_broker, door, more='[http]\nenabled = false\n[checkpoint]\nperiod = "50ms"\n')
    with subscribed(one_broker) as subscriber:
        first = run(text)
        subscriber.wait_for(20, "/door/prediction", timeout_s=60)
        wait_for(lambda: list(tmp_path.rglob("*.checkpoint")), what=first.log, timeout_s=60)
        first.tell(number)
        first.process.wait(30)
        second = run(text)
        assert second.process.wait(60) == 0, second.log
        subscriber.wait_for(len(expected), "/door/prediction", timeout_s=60)
        records = [validated(message) for message in subscriber.of("/door/prediction")]
    assert "stream door: goes on from" in second.log
    boots = list(dict.fromkeys(record["boot_id"] for record in records))
    parts = [[record["window"] for record in records if record["boot_id"] == boot] for boot in boots]
    assert len(parts) == 2
    begun = parts[1][0]
    assert 0 < begun <= parts[0][-1] + 1
    if number == signal.SIGTERM:
        assert begun == parts[0][-1] + 1
    assert parts[1] == list(range(begun, len(expected)))
    for record in records:
        wanted = expected[record["window"]]
        assert {**wanted, "topk": [list(one) for one in wanted["topk"] or []] or None} == told(record)
    assert not list(tmp_path.rglob("*.checkpoint")), "of a recording that has ended nothing is kept"


@pytest.mark.full
def test_a_service_that_is_killed_again_and_again_by_what_it_goes_on_from_begins_anew(one_broker, run, files, tmp_path):
    recording, model = files
    door = f'[[stream]]\nname = "door"\nsource = "{recording}"\nmodel = "{model}"\nspeed = "1x"\n'
    text = configuration(one_broker, door, more='[http]\nenabled = false\n[checkpoint]\nperiod = "50ms"\n')
    first = run(text)
    wait_for(lambda: list(tmp_path.rglob("*.checkpoint")), what=first.log, timeout_s=60)
    first.process.kill()
    for _ in range(3):
        daemon = run(text)
        wait_for(lambda daemon=daemon: "stream door: goes on from" in daemon.log, timeout_s=60)
        daemon.process.kill()
        daemon.process.wait()
    last = run(text)
    wait_for(
        lambda: "its checkpoint cannot be used, it begins anew: the service ended 3 times" in last.log, timeout_s=60
    )
    assert last.log.count("begins anew") == 1
    assert "goes on from" not in last.log
    assert last.end() == 0, last.log
