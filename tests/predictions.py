"""Predictions for the tests of publishing, and the check that every payload passes."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema

from edgesnn.prediction import Latency, ModelInfo, Prediction, SensorWindow
from edgesnn.schemas import load_schema

NODE, BOOT = "test-node", "0123456789abcdef"


def make_prediction(window: int, label: str | None = "hand clap", stream: str = "main") -> Prediction:
    decided = label is not None
    return Prediction(
        window=window,
        stream=stream,
        sensor=SensorWindow(window * 1000, window * 1000 + 1000, 10, 0),
        decision="label" if decided else "none",
        label=label,
        class_index=len(label) if label is not None else None,
        confidence=0.5 if decided else None,
        topk=(("hand clap", 0.5),),
        model=ModelInfo("test", "0" * 64, "int8", "reference"),
        latency_us=Latency(1.0, 2.0, 3.0, 6.0),
    )


@cache
def _validator(kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(load_schema(f"{kind}-1"))


def validated(message: Any) -> dict[str, Any]:
    """Return a message's payload as a dictionary after its topic's schema has accepted it."""
    record: dict[str, Any] = json.loads(message.payload)
    _validator(message.topic.rsplit("/", 1)[1]).validate(record)
    return record
