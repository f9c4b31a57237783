"""The record of one decision, as every sink prints and publishes it (`docs/mqtt.md`, `schemas/prediction-1.json`).

Plain Python numbers only; this module imports no numpy.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
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
class TokenSpan:
    """Words of a line: tokens `first` to `last` of its stream, their surprise, their text where it may leave."""

    first: int
    last: int
    bits: float
    text: str | None = None


@dataclass(frozen=True)
class TokenWindow:
    """The tokens that one decision is about: a line of a stream of tokens.

    Attributes:
        first, last: numbers of its tokens in the stream of its key; last is first - 1 for a line without tokens.
        count: how many.
        key: what its session belongs to (a host, a topic); None where there is one session.
        surprise_bits: of the line; bits_per_token: over its tokens; None where the model predicts none.
        mean, deviation: of bits_per_token over the key's lines before it.
        spans: the words that surprised most.
        text: the line as the model saw it, where it may leave.
        reset: the reset policy, where the stream's is not the model's.
    """

    first: int
    last: int
    count: int
    key: str | None = None
    surprise_bits: float | None = None
    bits_per_token: float | None = None
    mean: float | None = None
    deviation: float | None = None
    spans: tuple[TokenSpan, ...] = ()
    text: str | None = None
    reset: str | None = None


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
    """One decision about one window: of events (`sensor`), or a line of tokens (`tokens`).

    `boot_id`, `seq`, `ts`, `node` and `late` are None until a sink numbers the record (`numbered`); all other fields
    are set by the pipeline, None where there is no value. Immutable, so it may be shared between threads.

    Raises:
        ValueError: a number is not finite.
    """

    window: int
    sensor: SensorWindow | None
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
    tokens: TokenWindow | None = None

    @property
    def kind(self) -> Literal["events", "tokens"]:
        """What the window is of."""
        return "events" if self.tokens is None else "tokens"

    def __post_init__(self) -> None:
        numbers = {"confidence": self.confidence, "energy_uj_estimate": self.energy_uj_estimate}
        numbers.update(vars(self.latency_us))
        if self.tokens is not None:
            names = ("surprise_bits", "bits_per_token", "mean", "deviation")
            numbers.update({name: getattr(self.tokens, name) for name in names})
            numbers.update({f"spans[{i}]": span.bits for i, span in enumerate(self.tokens.spans)})
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
            **self._window_dict(),
            "decision": self.decision,
            "label": self.label,
            "class": self.class_index,
            "confidence": self.confidence,
            "topk": None if self.topk is None else [[label, share] for label, share in self.topk],
            "calibrated": self.calibrated,
            "clock_synced": self.clock_synced,
            "latency_us": dict(vars(self.latency_us)),
            "deadline_missed": self.deadline_missed,
            "model": dict(vars(self.model)),
            "steps": self.steps,
            "spikes": self.spikes,
            "synops": self.synops,
            "energy_uj_estimate": self.energy_uj_estimate,
            "late": self.late,
        }

    def _window_dict(self) -> dict[str, Any]:
        if self.tokens is None:
            return {"sensor": None if self.sensor is None else dict(vars(self.sensor))}
        return {"tokens": {**vars(self.tokens), "spans": tuple(dict(vars(span)) for span in self.tokens.spans)}}

    def to_json(self) -> str:
        """Return one line of JSON without the line's end."""
        return _JSON.encode(self.to_dict())

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
            values = {name: record[_JSON_NAME.get(name, name)] for name in _FIELDS if name not in (*_ADDED, *_WINDOW)}
            values.update({name: record.get(name) for name in _ADDED})
            values.update(_window(record))
            values["latency_us"] = _nested(Latency, values["latency_us"])
            values["model"] = _nested(ModelInfo, values["model"])
            if values["topk"] is not None:
                values["topk"] = tuple((str(label), float(share)) for label, share in values["topk"])
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise PublishError("not a prediction", where="payload", found=f"{type(error).__name__}: {error}") from error


def _window(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the window is of: `sensor` or `tokens`."""
    if record["kind"] not in ("events", "tokens"):
        raise ValueError(f"kind is {record['kind']!r}")
    if record["kind"] == "events":
        return {"sensor": _nested(SensorWindow, record["sensor"]), "tokens": None}
    tokens = dict(record["tokens"])
    tokens["spans"] = tuple(_nested(TokenSpan, span) for span in tokens["spans"])
    return {"sensor": None, "tokens": _nested(TokenWindow, tokens)}


def _nested(kind: type[Any], record: Mapping[str, Any]) -> Any:
    return kind(**{field.name: record[field.name] for field in fields(kind)})


_FIELDS = tuple(field.name for field in fields(Prediction))
_JSON = json.JSONEncoder(allow_nan=False, separators=(",", ":"), ensure_ascii=False)
_JSON_NAME = {"class_index": "class"}
_WINDOW = ("sensor", "tokens")
_ADDED = ("steps",)  # that the first records of this schema did not have
