"""The record of one decision, as every sink prints and publishes it (`docs/mqtt.md`, `schemas/prediction-1.json`).

Plain Python numbers only; this module imports no numpy.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from edgesnn.errors import PublishError

SCHEMA = "edgesnn.prediction/1"

Decision = Literal["label", "none", "idle"]


@dataclass(frozen=True)
class SensorWindow:
    """The window in sensor time: [t0_us, t1_us), the events in it, and how many were dropped before it."""

    t0_us: int
    t1_us: int
    events: int
    dropped: int = 0


@dataclass(frozen=True)
class Latency:
    """Microseconds from the window's last event to the decision, by part; None where a part was not measured."""

    ingest: float | None = None
    queue: float | None = None
    infer: float | None = None
    total: float | None = None


@dataclass(frozen=True)
class ModelInfo:
    """Which model decided, in which precision, on which backend."""

    name: str
    sha256: str
    precision: str
    backend: str


@dataclass(frozen=True)
class Prediction:
    """One decision about one window.

    `boot_id`, `seq`, `ts`, `node` and `late` are None until a sink numbers the record (`numbered`); all other fields
    are set by the pipeline, None where there is no value. Immutable, so it may be shared between threads.

    Raises:
        ValueError: a number is not finite.
    """

    window: int
    sensor: SensorWindow
    decision: Decision
    label: str | None
    class_index: int | None
    confidence: float | None
    topk: tuple[tuple[str, float], ...] | None
    model: ModelInfo
    stream: str = "main"
    calibrated: bool = False
    t_mono_us: int | None = None
    stamp_ns: int | None = None
    clock_synced: bool | None = None
    latency_us: Latency = Latency()
    deadline_missed: bool | None = None
    steps: int | None = None
    spikes: int | None = None
    synops: int | None = None
    energy_uj_estimate: float | None = None
    node: str | None = None
    boot_id: str | None = None
    seq: int | None = None
    ts: str | None = None
    late: bool | None = None
    kind: Literal["events"] = "events"

    def __post_init__(self) -> None:
        numbers = {"confidence": self.confidence, "energy_uj_estimate": self.energy_uj_estimate}
        numbers.update(asdict(self.latency_us))
        numbers.update({f"topk[{label}]": share for label, share in self.topk or ()})
        for name, value in numbers.items():
            if value is not None and not math.isfinite(value):
                raise ValueError(f"prediction of window {self.window}: {name} is {value}, not a finite number")

    def numbered(
        self, *, node: str, boot_id: str, seq: int, ts: str, late: bool = False, clock_synced: bool | None = None
    ) -> Prediction:
        """Return the record with the fields that the publishing side gives; `clock_synced` says how good `ts` is."""
        return replace(self, node=node, boot_id=boot_id, seq=seq, ts=ts, late=late, clock_synced=clock_synced)

    def to_dict(self) -> dict[str, Any]:
        """Return the record in the schema's words and order (`class_index` becomes `class`), ready for JSON."""
        return {
            "schema": SCHEMA,
            "kind": self.kind,
            "node": self.node,
            "stream": self.stream,
            "boot_id": self.boot_id,
            "seq": self.seq,
            "window": self.window,
            "ts": self.ts,
            "t_mono_us": self.t_mono_us,
            "stamp_ns": self.stamp_ns,
            "sensor": asdict(self.sensor),
            "decision": self.decision,
            "label": self.label,
            "class": self.class_index,
            "confidence": self.confidence,
            "topk": None if self.topk is None else [[label, share] for label, share in self.topk],
            "calibrated": self.calibrated,
            "clock_synced": self.clock_synced,
            "latency_us": asdict(self.latency_us),
            "deadline_missed": self.deadline_missed,
            "model": asdict(self.model),
            "steps": self.steps,
            "spikes": self.spikes,
            "synops": self.synops,
            "energy_uj_estimate": self.energy_uj_estimate,
            "late": self.late,
        }

    def to_json(self) -> str:
        """Return one line of JSON without the line's end."""
        return json.dumps(self.to_dict(), allow_nan=False, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Prediction:
        """Return the prediction that `to_dict` gave; unknown fields are left out.

        Raises:
            PublishError: the record has another schema, lacks a field, or holds what the field cannot be.
        """
        schema = record.get("schema")
        if schema != SCHEMA:
            raise PublishError("not a prediction", where="schema", found=repr(schema), expected=repr(SCHEMA))
        try:
            values = {name: record[_JSON_NAME.get(name, name)] for name in _FIELDS if name not in _ADDED}
            values.update({name: record.get(name) for name in _ADDED})
            values["sensor"] = _nested(SensorWindow, values["sensor"])
            values["latency_us"] = _nested(Latency, values["latency_us"])
            values["model"] = _nested(ModelInfo, values["model"])
            if values["topk"] is not None:
                values["topk"] = tuple((str(label), float(share)) for label, share in values["topk"])
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise PublishError("not a prediction", where="payload", found=f"{type(error).__name__}: {error}") from error


def _nested(kind: type[Any], record: Mapping[str, Any]) -> Any:
    return kind(**{field.name: record[field.name] for field in fields(kind)})


_FIELDS = tuple(field.name for field in fields(Prediction))
_JSON_NAME = {"class_index": "class"}
_ADDED = ("steps",)  # that the first records of this schema did not have
