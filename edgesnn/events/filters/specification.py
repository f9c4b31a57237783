"""The two written forms of a filter: text for the command line, JSON for model files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edgesnn.errors import UsageError
from edgesnn.events.filters.registry import Parameter, get
from edgesnn.units import parse_duration_us, parse_rate_hz

_UNITS = {"us": "us", "hz": "Hz"}


@dataclass(frozen=True)
class Filter:
    """A filter with all its parameters.

    Attributes:
        name: of the registry.
        values: parameter -> number in the unit of its description, or its choice.
    """

    name: str
    values: Mapping[str, int | str]

    @property
    def json(self) -> dict[str, Any]:
        """Return the JSON form: `{"filter": "refractory", "period_us": 1000, "after": "passed"}`."""
        described = get(self.name).parameters
        return {"filter": self.name, **{one.key: self.values[one.name] for one in described}}

    @property
    def text(self) -> str:
        """Return the text form, with all parameters: `refractory:period=1000us,after=passed`."""
        words = [f"{one.name}={_written(one, self.values[one.name])}" for one in get(self.name).parameters]
        return f"{self.name}{':' * bool(words)}{','.join(words)}"

    @property
    def native(self) -> tuple[str, dict[str, int]]:
        """What `_native.events.FilterChain` takes."""
        return self.name, {one.name: _number(one, self.values[one.name]) for one in get(self.name).parameters}


FilterLike = str | Mapping[str, Any] | Filter


def parse_filter(source: FilterLike, *, where: str = "filter") -> Filter:
    """Return the filter of a text or of a JSON object; defaults are filled in.

    Raises:
        UsageError: an unknown filter or parameter, a missing one, or a value that it cannot have.

    >>> parse_filter("refractory:period=1ms").json
    {'filter': 'refractory', 'period_us': 1000, 'after': 'passed'}
    """
    if isinstance(source, Filter):
        return source
    if isinstance(source, str):
        return _from_text(source, where)
    if isinstance(source, Mapping):
        return _from_json(source, where)
    raise UsageError("not a filter", where=where, found=repr(source)[:80], expected="a text or an object")


def parse_filters(sources: Iterable[FilterLike], *, where: str = "filters") -> tuple[Filter, ...]:
    """Return the filters of a list, in their order; `parse_filter` of each."""
    if isinstance(sources, (str, Mapping)):
        raise UsageError("not a list of filters", where=where, found=repr(sources)[:80], expected="a list")
    return tuple(parse_filter(source, where=f"{where}[{at}]") for at, source in enumerate(sources))


def _from_text(text: str, where: str) -> Filter:
    name, _, rest = text.strip().partition(":")
    described = {one.name: one for one in get(name, where=where).parameters}
    values: dict[str, int | str] = {}
    for word in rest.split(",") if rest else []:
        key, equals, value = (part.strip() for part in word.partition("="))
        if not equals or key not in described or key in values:
            expected = ", ".join(described) or "none"
            raise UsageError(
                "not a parameter of the filter", where=f"{where} {name}", found=repr(word)[:80], expected=expected
            )
        values[key] = _read(described[key], value, f"{where} {name}:{key}")
    return _filled(name, values, where)


def _from_json(source: Mapping[str, Any], where: str) -> Filter:
    name = source.get("filter")
    if not isinstance(name, str):
        raise UsageError("the filter has no name", where=where, found=repr(dict(source))[:80], expected="'filter'")
    described = {one.key: one for one in get(name, where=where).parameters}
    values: dict[str, int | str] = {}
    for key, value in source.items():
        if key == "filter":
            continue
        if key not in described:
            expected = ", ".join(described) or "none"
            raise UsageError(
                "not a parameter of the filter", where=f"{where} {name}", found=repr(key)[:80], expected=expected
            )
        values[described[key].name] = _checked(described[key], value, f"{where} {name}:{key}")
    return _filled(name, values, where)


def _filled(name: str, values: dict[str, int | str], where: str) -> Filter:
    """Return the filter with the defaults of what is not given, in the order of the description."""
    filled: dict[str, int | str] = {}
    for one in get(name).parameters:
        value = values.get(one.name, one.default)
        if value is None:
            raise UsageError(
                "the filter needs a parameter", where=f"{where} {name}", expected=f"{one.name}: {one.help}"
            )
        filled[one.name] = value
    return Filter(name, filled)


def _read(parameter: Parameter, text: str, where: str) -> int | str:
    if parameter.unit == "us":
        return _checked(parameter, parse_duration_us(text, where=where), where)
    if parameter.unit == "hz":
        return _checked(parameter, parse_rate_hz(text, where=where), where)
    if parameter.unit == "choice":
        return _checked(parameter, text, where)
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise UsageError("not a whole number", where=where, found=repr(text)[:80], expected=parameter.help)
    return _checked(parameter, int(text), where)


def _checked(parameter: Parameter, value: Any, where: str) -> int | str:
    if parameter.choices:
        if isinstance(value, str) and value in parameter.choices:
            return value
        expected = ", ".join(parameter.choices)
    else:
        if type(value) is int and parameter.low <= value <= parameter.high:
            return value
        expected = f"{parameter.low} to {parameter.high} {parameter.unit}"
    raise UsageError(f"{parameter.name} is wrong", where=where, found=repr(value)[:80], expected=expected)


def _written(parameter: Parameter, value: int | str) -> str:
    return f"{value}{_UNITS.get(parameter.unit, '')}"


def _number(parameter: Parameter, value: int | str) -> int:
    return value if isinstance(value, int) else parameter.choices.index(value)
