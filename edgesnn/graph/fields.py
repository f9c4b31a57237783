"""Checks of the document's plain parts: types of fields, the `input` and the `readout` section."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from edgesnn.errors import ModelError, UsageError
from edgesnn.events.filters.specification import FilterLike, parse_filter, parse_filters
from edgesnn.graph.values import MAX_AXES, Policy
from edgesnn.tokens.masks import check_drop_fields, check_masks
from edgesnn.tokens.registry import check_tokenizer

if TYPE_CHECKING:
    from edgesnn.graph.analysis import Analysis

_POINTS = ("window_us", "hop_us", "min_events", "points", "groups", "neighbours", "steps")
_ADAPTS = ("letterbox", "crop", "downsample")
_MAX_POINTS = 1 << 16
_MAX_STEPS = 1 << 12
_MAX_FILTERS = 16  # some keep 8 bytes of each pixel
_MAX_RESET = (1 << 31) - 1
POLICIES: tuple[str, ...] = get_args(Policy)
"""When a state goes back to its initial value."""


def fail(where: str, at: str, found: Any, expected: str) -> NoReturn:
    """Raise a ModelError about one field."""
    raise ModelError(f"{at} is wrong", where=where, found=repr(found)[:120], expected=expected)


def exact(value: Mapping[str, Any], keys: Sequence[str], where: str, at: str) -> None:
    """Check that a mapping has exactly these keys."""
    missing, unknown = set(keys) - value.keys(), value.keys() - set(keys)
    if missing or unknown:
        found = [f"no {k!r}" for k in sorted(missing)] + [f"unknown {k!r}" for k in sorted(unknown)]
        raise ModelError(f"{at} has other fields", where=where, found=", ".join(found), expected=", ".join(keys))


def mapping(value: Any, where: str, at: str) -> dict[str, Any]:
    """Return a JSON object."""
    return value if isinstance(value, dict) else fail(where, at, value, "an object")


def sequence(value: Any, where: str, at: str) -> list[Any]:
    """Return a JSON list."""
    return value if isinstance(value, list) else fail(where, at, value, "a list")


def text(value: Any, where: str, at: str) -> str:
    """Return a text that is not empty and that UTF-8 can hold."""
    if not isinstance(value, str) or not value:
        fail(where, at, value, "a text")
    if any("\ud800" <= character <= "\udfff" for character in value):
        fail(where, at, value, "whole characters")
    return value


def names(value: Any, where: str, at: str) -> tuple[str, ...]:
    """Return a list of texts, at least one."""
    items = sequence(value, where, at)
    if not items:
        fail(where, at, value, "at least one name")
    return tuple(text(item, where, at) for item in items)


def integer(value: Any, low: int, high: int, where: str, at: str) -> int:
    """Return an integer within bounds."""
    if type(value) is not int or not low <= value <= high:
        fail(where, at, value, f"an integer from {low} to {high}")
    return value


def number(value: Any, low: float, high: float, where: str, at: str) -> float:
    """Return a finite number within bounds."""
    if type(value) not in (int, float) or not low <= value <= high or abs(value) == math.inf:
        fail(where, at, value, f"a number from {low:g} to {high:g}")
    return float(value)


def shape(value: Any, where: str, at: str) -> tuple[int, ...]:
    """Return a tensor's or state's shape; a state may have an axis more than a value."""
    items = sequence(value, where, f"{at}.shape")
    if len(items) > MAX_AXES + 1:
        fail(where, f"{at}.shape", f"{len(items)} axes", f"at most {MAX_AXES + 1} axes")
    return tuple(integer(item, 1, 1 << 31, where, f"{at}.shape") for item in items)


def reset_policy(value: Any, where: str, at: str) -> dict[str, Any]:
    """Return {"reset": policy, "tokens": n or None, "idle_ms": n or None} of a word or an object."""
    given = value if isinstance(value, Mapping) else {"policy": value}
    policy = given.get("policy")
    if not isinstance(policy, str) or policy not in POLICIES:
        expected = ", ".join(POLICIES)
        raise ModelError(
            "reset policy is not known", where=f"{where}, {at}", found=repr(value)[:120], expected=expected
        )
    needed = {"policy", "tokens"} if policy == "tokens" else {"policy"}
    exact(given, sorted(needed | given.keys() & {"idle_ms"}), where, f"{at}.reset")
    counts = {
        name: integer(given[name], 1, _MAX_RESET, where, f"{at}.reset.{name}") if name in given else None
        for name in ("tokens", "idle_ms")
    }
    return {"reset": policy, **counts}


def fill_input(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return an `input` section with the fields that a builder may leave out; `check_input` checks it."""
    filled = dict(section)
    kind = filled.get("kind")
    if kind == "dense":
        filled.setdefault("value", "float32")
        filled.setdefault("bound", 255 if filled["value"] == "int" else 0)
    if kind == "spikes":
        filled.setdefault("value", "binary")
        filled.setdefault("bound", 1 if filled["value"] == "binary" else 255)
        filled.setdefault("events", None)
    if kind == "tokens":
        filled.setdefault("tokenizer", None)
    return filled


def with_filters(section: Mapping[str, Any], filters: Iterable[FilterLike]) -> dict[str, Any]:
    """Return an `input` section whose events go through these filters first; none: the section as it is.

    Raises:
        UsageError: a filter that cannot be, or a section that takes no events.
    """
    checked = [one.json for one in parse_filters(filters)]
    if not checked:
        return dict(section)
    if section["kind"] != "points" and section.get("events") is None:
        raise UsageError("no events become the input", where="filters", hint="say how: bin, sensor and steps")
    return {**section, "filters": checked}


def check_input(value: Any, where: str) -> dict[str, Any]:
    """Return the `input` section; see docs/model-file.md for its fields."""
    section = mapping(value, where, "input")
    kind = section.get("kind")
    check = _INPUTS.get(kind) if isinstance(kind, str) else None
    if check is None:
        fail(where, "input.kind", kind, ", ".join(map(repr, _INPUTS)))
    if "filters" in section:
        _check_filters(section, where)
    check({name: part for name, part in section.items() if name != "filters"}, where)
    return section


def _check_filters(section: dict[str, Any], where: str) -> None:
    """Check the filters that events go through before they become the input; their JSON form, every parameter there."""
    at = "input.filters"
    if section["kind"] != "points" and section.get("events") is None:
        fail(where, at, section["filters"], "none where no events become the input")
    entries = sequence(section["filters"], where, at)
    if not 1 <= len(entries) <= _MAX_FILTERS:
        fail(where, at, entries, f"1 to {_MAX_FILTERS} filters, or no such field")
    for index, entry in enumerate(entries):
        place = f"{at}[{index}]"
        given = mapping(entry, where, place)
        try:
            checked = parse_filter(given, where=place)
        except UsageError as error:
            raise ModelError(error.what, where=f"{where}, {error.where}", **_rest(error)) from None
        exact(given, tuple(checked.json), where, place)


def _rest(error: UsageError) -> dict[str, Any]:
    return {"found": error.found, "expected": error.expected, "hint": error.hint}


def _check_dense(section: dict[str, Any], where: str) -> None:
    keys = ("kind", "shape", "value", "bound")
    exact(section, (*keys, "events") if "events" in section else keys, where, "input")
    _check_shape(section, where)
    if section["value"] not in ("int", "float32"):
        fail(where, "input.value", section["value"], "'int' or 'float32'")
    low, high = (1, 255) if section["value"] == "int" else (0, 0)
    integer(section["bound"], low, high, where, "input.bound")
    if "events" in section:
        _check_events(mapping(section["events"], where, "input.events"), section["shape"], where)


def _check_spikes(section: dict[str, Any], where: str) -> None:
    exact(section, ("kind", "shape", "value", "bound", "events"), where, "input")
    _check_shape(section, where)
    if section["value"] not in ("binary", "count"):
        fail(where, "input.value", section["value"], "'binary' or 'count'")
    integer(section["bound"], 1, 1 if section["value"] == "binary" else 255, where, "input.bound")
    if section["events"] is not None:
        _check_events(mapping(section["events"], where, "input.events"), section["shape"], where)


def _check_events(events: dict[str, Any], shape_of_input: Sequence[int], where: str) -> None:
    """Check how events become steps: index (p * height + y) * width + x, one bin of time a step."""
    keys = ("sensor", "bin_us", "origin", "rounding", "polarity_order", "steps", "hop_steps")
    exact(events, (*keys, "adapt") if "adapt" in events else keys, where, "input.events")
    if "adapt" in events and events["adapt"] not in _ADAPTS:
        fail(where, "input.events.adapt", events["adapt"], " or ".join(map(repr, _ADAPTS)))
    width, height = _check_sensor(events["sensor"], where, "input.events.sensor")
    if math.prod(shape_of_input) != 2 * width * height:
        fail(where, "input.shape", shape_of_input, f"[2, {height}, {width}], one element a pixel and polarity")
    integer(events["bin_us"], 1, 1 << 40, where, "input.events.bin_us")
    for name, choices in (("origin", ("zero", "first")), ("rounding", ("floor", "nearest"))):
        if events[name] not in choices:
            fail(where, f"input.events.{name}", events[name], " or ".join(map(repr, choices)))
    if events["polarity_order"] not in ([0, 1], [1, 0]) or any(type(p) is not int for p in events["polarity_order"]):
        fail(where, "input.events.polarity_order", events["polarity_order"], "[0, 1] or [1, 0]")
    for name in ("steps", "hop_steps"):
        integer(events[name], 1, 1 << 20, where, f"input.events.{name}")


def _check_tokens(section: dict[str, Any], where: str) -> None:
    optional = [name for name in ("drop_fields", "masks", "alert_bits") if name in section]
    exact(section, ("kind", "vocab", "tokenizer", *optional), where, "input")
    vocab = integer(section["vocab"], 1, 1 << 28, where, "input.vocab")
    check_tokenizer(section["tokenizer"], vocab, where)
    if "drop_fields" in section:
        check_drop_fields(section["drop_fields"], where)
    if "masks" in section:
        check_masks(section["masks"], where)
    if "alert_bits" in section:
        number(section["alert_bits"], 0, 1e6, where, "input.alert_bits")


def _check_shape(section: dict[str, Any], where: str) -> None:
    if not 1 <= len(shape(section["shape"], where, "input")) <= MAX_AXES:
        fail(where, "input.shape", section["shape"], f"1 to {MAX_AXES} axes")


def _check_sensor(value: Any, where: str, at: str) -> tuple[int, int]:
    sensor = sequence(value, where, at)
    if len(sensor) != 2:
        fail(where, at, sensor, "[width, height]")
    width, height = (integer(side, 1, 65536, where, at) for side in sensor)
    return width, height


def _check_points(section: dict[str, Any], where: str) -> None:
    exact(section, ("kind", "sensor", *_POINTS, "time", "seed"), where, "input")
    _check_sensor(section["sensor"], where, "input.sensor")
    for name in ("window_us", "hop_us"):
        integer(section[name], 1, 1 << 40, where, f"input.{name}")
    integer(section["min_events"], 0, 1 << 40, where, "input.min_events")
    points = integer(section["points"], 1, _MAX_POINTS, where, "input.points")
    integer(section["groups"], 1, points, where, "input.groups")
    integer(section["neighbours"], 1, points, where, "input.neighbours")
    integer(section["steps"], 1, _MAX_STEPS, where, "input.steps")
    if section["time"] not in ("fixed", "minmax"):
        fail(where, "input.time", section["time"], "'fixed' or 'minmax'")
    integer(section["seed"], 0, (1 << 64) - 1, where, "input.seed")


_INPUTS = {"points": _check_points, "dense": _check_dense, "spikes": _check_spikes, "tokens": _check_tokens}


def check_readout(value: Any, analysis: Analysis, outputs: Sequence[str], where: str) -> dict[str, Any] | None:
    """Return the `readout` section, or None; see docs/model-file.md for its fields."""
    if value is None:
        return None
    section = mapping(value, where, "readout")
    keys = ("node", "labels", "temperature", "calibrated", "rejection", "onset", "offset", "early_exit")
    exact(section, keys, where, "readout")
    if section["node"] not in outputs:
        fail(where, "readout.node", section["node"], f"an output of the graph: {', '.join(outputs)}")
    scores = analysis.values[section["node"]]
    labels = names(section["labels"], where, "readout.labels")
    if scores.kind != "float32" or scores.shape != (len(labels),) or len(set(labels)) != len(labels):
        fail(where, "readout.labels", f"{len(set(labels))} different labels", f"one label for each element of {scores}")
    number(section["temperature"], 1e-6, 1e6, where, "readout.temperature")
    if type(section["calibrated"]) is not bool:
        fail(where, "readout.calibrated", section["calibrated"], "true or false")
    number(section["rejection"], 0, 1, where, "readout.rejection")
    for name in ("onset", "offset"):
        _check_hysteresis(section[name], where, f"readout.{name}")
    _check_early_exit(section["early_exit"], where)
    return section


def _check_hysteresis(value: Any, where: str, at: str) -> None:
    part = mapping(value, where, at)
    exact(part, ("confidence", "windows"), where, at)
    number(part["confidence"], 0, 1, where, f"{at}.confidence")
    integer(part["windows"], 1, 1 << 20, where, f"{at}.windows")


def _check_early_exit(value: Any, where: str) -> None:
    if value is None:
        return
    part = mapping(value, where, "readout.early_exit")
    exact(part, ("confidence", "min_steps"), where, "readout.early_exit")
    number(part["confidence"], 0, 1, where, "readout.early_exit.confidence")
    integer(part["min_steps"], 1, _MAX_STEPS, where, "readout.early_exit.min_steps")


READOUT_DEFAULTS: dict[str, Any] = {
    "temperature": 1.0,
    "calibrated": False,
    "rejection": 0.0,
    "onset": {"confidence": 0.0, "windows": 1},
    "offset": {"confidence": 0.0, "windows": 1},
    "early_exit": None,
}
"""What the builder writes where a readout does not say: every field stands in the file."""
