"""Reset: the model's states and the decision as at the start, while what comes in and the windows go on."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgesnn
from edgesnn.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
RECORDING = ROOT / "recordings" / "hand_clap.raw"


def told(prediction: edgesnn.Prediction) -> tuple:
    return prediction.window, prediction.sensor, prediction.topk, prediction.spikes, prediction.synops


def first_decision(backend: str, threaded: bool, *, reset: bool) -> list[tuple]:
    found = []
    with edgesnn.Pipeline(str(RECORDING), "gestures", backend=backend, threaded=threaded) as pipeline:
        for prediction in pipeline:
            found.append((*told(prediction), prediction.decision))
            if reset:
                pipeline.reset()
    return found


@pytest.mark.parametrize(("backend", "threaded"), [("native", False), ("native", True), ("reference", False)])
def test_each_window_after_a_reset_is_decided_as_if_it_were_the_first(backend, threaded):
    """The zoo's model is reset at each window, so only the readout's onset remembers: two windows for a label."""
    whole = first_decision(backend, threaded, reset=False)
    anew = first_decision(backend, threaded, reset=True)
    assert [entry[:-1] for entry in anew] == [entry[:-1] for entry in whole], "windows, numbers and scores go on"
    assert "label" in {entry[-1] for entry in whole}
    assert {entry[-1] for entry in anew} == {"none"}


def test_a_stream_of_lines_reads_the_line_after_a_reset_as_its_first(tmp_path):
    log = tmp_path / "app.log"
    log.write_text("ROMEO: what is it\nto be or not\nROMEO: what is it\n")
    policy = {"policy": "never"}
    with edgesnn.TokenStream(str(log), "shakespeare", reset=policy) as lines:
        first, _, third = (prediction.tokens.surprise_bits for prediction in lines)
    with edgesnn.TokenStream(str(log), "shakespeare", reset=policy) as lines:
        anew = []
        for prediction in lines:
            anew.append((prediction.window, prediction.tokens.surprise_bits))
            lines.reset()
    assert third != first
    assert [window for window, _ in anew] == [0, 1, 2]
    assert anew[2][1] == anew[0][1] == first


def test_what_is_closed_is_not_reset():
    pipeline = edgesnn.Pipeline(str(RECORDING), "gestures")
    pipeline.close()
    with pytest.raises(UsageError):
        pipeline.reset()
