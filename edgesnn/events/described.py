"""Filters and encoders as people name them: a list of each with its parameters, and two written forms.

Text for the command line, `refractory:period=1ms`; JSON for files, `{"filter": "refractory", "period_us": 1000, ...}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

from edgesnn.errors import UsageError
from edgesnn.units import parse_duration_us, parse_rate_hz

Unit = Literal["us", "hz", "pixels", "count", "choice", "bitmap"]

_LONGEST_US = 1 << 48
_UNITS = {"us": "us", "hz": "Hz"}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a filter or an encoder.

    Attributes:
        name: as in `NAME:parameter=value`.
        unit: "us" is a duration ("1ms"), "hz" a rate ("200Hz", "2MHz"), "choice" one of `choices`,
            "bitmap" a picture of 0 and 1: a file in the text form, in JSON its bits (`filters/bitmap.py`).
        help: one line.
        low, high: bounds of a number in that unit.
        default: None where it must be given.
        choices: words; native code sees their places.
    """

    name: str
    unit: Unit
    help: str
    low: int = 0
    high: int = 65535
    default: int | str | None = None
    choices: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its name in the JSON form: with its unit, where it has one."""
        return f"{self.name}_{self.unit}" if self.unit in ("us", "hz") else self.name


@dataclass(frozen=True)
class Description:
    """One filter or encoder: what it does, in a line, and its parameters."""

    help: str
    parameters: tuple[Parameter, ...] = ()


def duration(name: str, help: str, default: int | None = None, *, high: int = _LONGEST_US) -> Parameter:
    """Return a parameter that is a duration of at least 1 us."""
    return Parameter(name, "us", help, 1, high, default)


def choice(name: str, help: str, *choices: str) -> Parameter:
    """Return a parameter that is one of these words, the first by default."""
    return Parameter(name, "choice", help, default=choices[0], choices=choices)


@dataclass(frozen=True)
class Written:
    """One of a list, with all its parameters.

    Attributes:
        word: what it is, "filter"; its JSON form says its name under that.
        known: the list.
        name: in the list.
        values: parameter -> number in the unit of its description, or its choice.
    """

    word: ClassVar[str]
    known: ClassVar[Mapping[str, Description]]

    name: str
    values: Mapping[str, int | str]

    @property
    def json(self) -> dict[str, Any]:
        """Return the JSON form: `{"filter": "refractory", "period_us": 1000, "after": "passed"}`."""
        return {self.word: self.name, **{one.key: self.values[one.name] for one in self._parameters}}

    @property
    def text(self) -> str:
        """Return the text form, with all parameters: `refractory:period=1000us,after=passed`."""
        words = [f"{one.name}={_written(one, self.values[one.name])}" for one in self._parameters]
        return f"{self.name}{':' * bool(words)}{','.join(words)}"

    @property
    def numbers(self) -> dict[str, int]:
        """Return the parameters as native code takes them; a bitmap's are its width and height."""
        found: dict[str, int] = {}
        for one in self._parameters:
            found.update(_numbers(one, self.values[one.name]))
        return found

    @property
    def _parameters(self) -> tuple[Parameter, ...]:
        return self.known[self.name].parameters


_W = TypeVar("_W", bound=Written)


def parse(kind: type[_W], source: Any, where: str) -> _W:
    """Return what a text or a JSON object says; defaults are filled in.

    Raises:
        UsageError: an unknown name or parameter, a missing one, or a value that it cannot have.
    """
    if isinstance(source, kind):
        return source
    if isinstance(source, str):
        return _from_text(kind, source, where)
    if isinstance(source, Mapping):
        return _from_json(kind, source, where)
    raise UsageError(f"not a {kind.word}", where=where, found=repr(source)[:80], expected="a text or an object")


def find(known: Mapping[str, Description], word: str, name: str, where: str) -> Description:
    """Return one of these descriptions; UsageError names them all."""
    if name not in known:
        raise UsageError(f"no such {word}", where=where, found=repr(name)[:80], expected=f"one of {', '.join(known)}")
    return known[name]


def usage_of(known: Mapping[str, Description]) -> str:
    """Return a line for each, for `--help`: its text form with its units, and what it does."""
    lines = []
    for name, described in known.items():
        values = ",".join(f"{one.name}={_example(one)}" for one in described.parameters)
        lines.append(f"  {name}{':' * bool(values)}{values}\n      {described.help}")
    return "\n".join(lines)


def _example(parameter: Parameter) -> str:
    if parameter.choices:
        return "|".join(parameter.choices)
    return {"us": "TIME", "hz": "RATE", "bitmap": "FILE"}.get(parameter.unit, "N")


def _from_text(kind: type[_W], text: str, where: str) -> _W:
    name, _, rest = text.strip().partition(":")
    described = {one.name: one for one in find(kind.known, kind.word, name, where).parameters}
    values: dict[str, int | str] = {}
    for word in rest.split(",") if rest else []:
        key, equals, value = (part.strip() for part in word.partition("="))
        if not equals or key not in described or key in values:
            expected = ", ".join(described) or "none"
            raise UsageError(
                f"not a parameter of the {kind.word}", where=f"{where} {name}", found=repr(word)[:80], expected=expected
            )
        values[key] = _read(described[key], value, f"{where} {name}:{key}")
    return _filled(kind, name, values, where)


def _from_json(kind: type[_W], source: Mapping[str, Any], where: str) -> _W:
    name = source.get(kind.word)
    if not isinstance(name, str):
        raise UsageError(
            f"the {kind.word} has no name", where=where, found=repr(dict(source))[:80], expected=repr(kind.word)
        )
    described = {one.key: one for one in find(kind.known, kind.word, name, where).parameters}
    values: dict[str, int | str] = {}
    for key, value in source.items():
        if key == kind.word:
            continue
        if key not in described:
            expected = ", ".join(described) or "none"
            raise UsageError(
                f"not a parameter of the {kind.word}", where=f"{where} {name}", found=repr(key)[:80], expected=expected
            )
        values[described[key].name] = _checked(described[key], value, f"{where} {name}:{key}")
    return _filled(kind, name, values, where)


def _filled(kind: type[_W], name: str, values: dict[str, int | str], where: str) -> _W:
    """Return it with the defaults of what is not given, in the order of the description."""
    filled: dict[str, int | str] = {}
    for one in kind.known[name].parameters:
        value = values.get(one.name, one.default)
        if value is None:
            raise UsageError(
                f"the {kind.word} needs a parameter", where=f"{where} {name}", expected=f"{one.name}: {one.help}"
            )
        filled[one.name] = value
    return kind(name, filled)


def _read(parameter: Parameter, text: str, where: str) -> int | str:
    if parameter.unit == "us":
        return _checked(parameter, parse_duration_us(text, where=where), where)
    if parameter.unit == "hz":
        return _checked(parameter, parse_rate_hz(text, where=where), where)
    if parameter.unit == "choice":
        return _checked(parameter, text, where)
    if parameter.unit == "bitmap":
        from edgesnn.events.filters import bitmap

        return text if bitmap.unpack(text) else bitmap.pack(bitmap.read(text, where))
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise UsageError("not a whole number", where=where, found=repr(text)[:80], expected=parameter.help)
    return _checked(parameter, int(text), where)


def _checked(parameter: Parameter, value: Any, where: str) -> int | str:
    if parameter.choices:
        if isinstance(value, str) and value in parameter.choices:
            return value
        expected = ", ".join(parameter.choices)
    elif parameter.unit == "bitmap":
        from edgesnn.events.filters import bitmap

        if isinstance(value, str) and bitmap.unpack(value):
            return value
        expected = "WIDTHxHEIGHT:bits, as `edgesnn.events.filters.bitmap.pack` writes them"
    else:
        if type(value) is int and parameter.low <= value <= parameter.high:
            return value
        unit = "" if parameter.unit == "count" else f" {parameter.unit}"
        expected = f"{parameter.low} to {parameter.high}{unit}"
    raise UsageError(f"{parameter.name} is wrong", where=where, found=repr(value)[:80], expected=expected)


def _written(parameter: Parameter, value: int | str) -> str:
    return f"{value}{_UNITS.get(parameter.unit, '')}"


def _numbers(parameter: Parameter, value: int | str) -> dict[str, int]:
    if isinstance(value, int):
        return {parameter.name: value}
    if parameter.unit == "bitmap":
        width, _, height = value.partition(":")[0].partition("x")
        return {"width": int(width), "height": int(height)}
    return {parameter.name: parameter.choices.index(value)}
