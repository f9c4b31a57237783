"""The section `input` of a model file: what is refused, and that the rest survives a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import edgesnn
from edgesnn.errors import ModelError
from tests.one_operator import document as one

INPUTS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "spikes", "shape": [2], "value": "graded"}, "input.value is wrong"),
    ({"kind": "spikes", "shape": [2], "value": "binary", "bound": 2}, "input.bound is wrong"),
    ({"kind": "spikes", "shape": []}, "input.shape is wrong"),
    ({"kind": "tokens", "vocab": 0}, "input.vocab is wrong"),
    ({"kind": "tokens", "vocab": 5, "tokenizer": "bpe"}, "input.tokenizer is wrong"),
    ({"kind": "tokens", "vocab": 5, "tokenizer": {"kind": "bpe"}}, "no such tokenizer: found 'bpe', expected bytes, "),
    ({"kind": "tokens", "vocab": 255, "tokenizer": {"kind": "bytes"}}, "found 256 ids, expected at most input.vocab"),
    ({"kind": "tokens", "vocab": 5, "drop_fields": [1, 0]}, "input.drop_fields is wrong"),
    ({"kind": "tokens", "vocab": 5, "drop_fields": []}, "input.drop_fields is wrong"),
    ({"kind": "tokens", "vocab": 5, "alert_bits": -0.5}, "input.alert_bits is wrong"),
    ({"kind": "tokens", "vocab": 5, "alert_bits": "3"}, "input.alert_bits is wrong"),
    ({"kind": "tokens", "vocab": 5, "alert_bits": None}, "input.alert_bits is wrong"),
    ({"kind": "tokens", "vocab": 5, "masks": ["names"]}, "input.masks is wrong: found .*, expected different ones of"),
    ({"kind": "tokens", "vocab": 5, "masks": ["hex", "hex"]}, "input.masks is wrong"),
    ({"kind": "tokens", "vocab": 5, "labels": ["a"]}, "unknown 'labels'"),
    ({"kind": "smells"}, "input.kind is wrong"),
    ({"kind": ["dense"]}, "input.kind is wrong"),
]
EVENTS = {
    "sensor": [34, 30],
    "bin_us": 1000,
    "origin": "zero",
    "rounding": "floor",
    "polarity_order": [0, 1],
    "steps": 300,
    "hop_steps": 300,
}
INPUTS += [
    ({"kind": "spikes", "shape": shape, "events": {**EVENTS, **change}}, message)
    for shape, change, message in (
        ([2, 34, 34], {}, r"input.shape is wrong: found \[2, 34, 34\], expected \[2, 30, 34\]"),
        ([2, 30, 34], {"origin": "last"}, "input.events.origin is wrong"),
        ([2, 30, 34], {"rounding": "up"}, "input.events.rounding is wrong"),
        ([2, 30, 34], {"polarity_order": [1, 1]}, "input.events.polarity_order is wrong"),
        ([2, 30, 34], {"polarity_order": [False, True]}, "input.events.polarity_order is wrong"),
        ([2, 30, 34], {"bin_us": 0}, "input.events.bin_us is wrong"),
        ([2, 30, 34], {"steps": 0}, "input.events.steps is wrong"),
        ([2, 30, 34], {"more": 0}, "unknown 'more'"),
        ([2, 30, 34], {"adapt": "stretch"}, "input.events.adapt is wrong: found 'stretch', expected 'letterbox' or"),
        ([2, 30, 34], {"adapt": None}, "input.events.adapt is wrong"),
    )
]
INPUTS += [
    ({"kind": "dense", "shape": [2, 30, 30], "events": EVENTS}, r"input.shape is wrong: found \[2, 30, 30\]"),
    ({"kind": "dense", "shape": [2, 30, 34], "events": None}, "input.events is wrong: found None"),
]


@pytest.mark.parametrize(("section", "message"), INPUTS)
def test_a_wrong_input_section_is_refused(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        one("count", section)


@pytest.mark.parametrize(
    "section",
    [{"kind": "spikes"}, {"kind": "dense", "value": "int", "bound": 9}, {"kind": "dense", "value": "float32"}],
)
@pytest.mark.parametrize("change", [{"polarity_order": [1, 0]}, {"adapt": "letterbox"}])
def test_events_survive_a_file(section: dict[str, Any], change: dict[str, Any], tmp_path: Path) -> None:
    events = {**EVENTS, **change}
    made = one("accumulate", {**section, "shape": [2, 30, 34], "events": events})
    made.save(tmp_path / "m.safetensors")
    model = edgesnn.load(tmp_path / "m.safetensors", backend="reference")
    assert (model.input["events"], model.sensor, model.identity) == (events, (34, 30), made.identity)
