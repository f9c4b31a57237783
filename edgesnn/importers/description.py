"""What a file of weights does not hold: how events become the input, and what the outputs are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from edgesnn.errors import ModelError, UsageError
from edgesnn.events.filters import FilterLike
from edgesnn.graph import Builder, with_filters

EVENT_DEFAULTS: dict[str, Any] = {"origin": "first", "rounding": "floor", "polarity_order": [0, 1]}


def input_section(
    kind: str,
    value: str | None,
    events: Mapping[str, Any] | None,
    shape: Sequence[int],
    largest: int,
    filters: Iterable[FilterLike] = (),
) -> dict[str, Any]:
    """Return the document's `input` section.

    Args:
        kind: "dense" or "spikes".
        value: of spikes, "count" (None too) or "binary".
        events: fields of `input.events`; sensor, bin_us and steps must be there, hop_steps is steps by default.
        shape: of the input.
        largest: count that the network can take.
        filters: that the events go through first.

    Raises:
        UsageError: another kind or value, a value where there are no spikes, a field that is missing, filters that
            cannot be or without events.
    """
    if kind not in ("dense", "spikes"):
        raise UsageError("no such input", where="input", found=repr(kind), expected="dense or spikes")
    described = None if events is None else _described(events)
    if kind == "dense":
        if value is not None:
            raise UsageError("only spikes have a value", where="value", found=repr(value), expected="input spikes")
        section = {"kind": "dense", "shape": list(shape), "value": "float32", "bound": 0}
        return with_filters(section if described is None else {**section, "events": described}, filters)
    value = "count" if value is None else value
    if value not in ("count", "binary"):
        raise UsageError("no such value", where="value", found=repr(value), expected="count or binary")
    bound = 1 if value == "binary" else largest
    section = {"kind": "spikes", "shape": list(shape), "value": value, "bound": bound, "events": described}
    return with_filters(section, filters)


def _described(events: Mapping[str, Any]) -> dict[str, Any]:
    missing = [name for name in ("sensor", "bin_us", "steps") if name not in events]
    if missing:
        raise UsageError("events lack a field", where="events", expected=", ".join(missing))
    return {**EVENT_DEFAULTS, "hop_steps": events["steps"], **events}


def add_readout(builder: Builder, output: str, bound: int, labels: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return (output, readout) of a model that decides: spikes are counted, float32 outputs are scores as they are."""
    if bound:
        output = builder.add("count", output, name=f"{output}.count")
    return output, {"node": output, "labels": list(labels)}


def one_output(outputs: Sequence[str], where: str) -> str:
    """Return the one output that labels can name."""
    if len(outputs) != 1:
        raise ModelError("labels need one output", where=where, found=", ".join(outputs))
    return outputs[0]
