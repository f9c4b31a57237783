"""A bundle and a checkpoint of version 1 are read as `docs/recorder.md` and `docs/snapshot.md` say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.recorder import bundle, check, sealed

FOLDER = Path(__file__).parent / "v1"


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_a_bundle_of_version_1_gives_its_predictions_again(backend):
    made = bundle.read(FOLDER / "door.bundle")
    model = check.model_of(made, str(FOLDER / "spikes.safetensors"), backend)
    assert (made.about["stream"], made.about["trigger"], made.about["decisions"]) == ("door", "stop", 5)
    assert [one.window for one in made.published] == [0, 1, 2, 3, 4]
    assert sum(one.spikes or 0 for one in made.published) > 0
    assert not list(check.differences(made, model))


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_a_checkpoint_of_version_1_goes_on_bit_for_bit(backend):
    """What it should give was made by the reference, line after line from the first, without a checkpoint."""
    data = (FOLDER / "log.checkpoint").read_bytes()
    metadata, _ = sealed.unseal(np.frombuffer(data, np.uint8), "log.checkpoint")
    about = json.loads(metadata["edgesnn.checkpoint"])
    assert (about["version"], about["stream"], about["of"]["source"]) == (1, "log", "app.log")
    wanted = json.loads((FOLDER / "log.json").read_text())
    model = edgesnn.load(FOLDER / "writer.safetensors", backend=backend)
    with edgesnn.TokenStream(None, model, stream="log", key=0, threshold=5.0) as stream:
        stream.restore(data)
        found = [json.loads(stream.push(line).to_json()) for line in wanted["lines"]]
    assert [{name: one[name] for name in wanted["predictions"][0]} for one in found] == wanted["predictions"]
