"""The commented default that `edgesnn run --print-config` prints, made of the schema."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from edgesnn.daemon.schema import Config, Stream

_HEAD = """\
# What `edgesnn run -c FILE` does; docs/daemon.md is the page. Keys behind a # show their default, or an example where
# they have none. A duration or rate carries its unit. `edgesnn run -c FILE --check` says whether all of it is right.
"""
_OF = {"events": "models of events", "tokens": "models of tokens"}


def template() -> str:
    """Return the text; `--check` takes it as it is where a broker listens at its address."""
    lines = [_HEAD, "version = 1", ""]
    for name, field in Config.model_fields.items():
        if name == "version":
            continue
        table = Stream if name == "stream" else field.annotation
        assert isinstance(table, type)
        assert issubclass(table, BaseModel)
        lines += [f"# {(table.__doc__ or '').strip()}", f"[[{name}]]" if name == "stream" else f"[{name}]"]
        lines += _keys(table)
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _keys(table: type[BaseModel]) -> Iterator[str]:
    of = None
    for name, field in table.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        if extra.get("of") != of:
            of = extra.get("of")
            yield f"\n# of {_OF[str(of)]}:"
        yield from textwrap.wrap(field.description or "", 116, initial_indent="# ", subsequent_indent="# ")
        yield f"{'' if field.is_required() else '#'}{name} = {toml_value(_example(field))}"


def _example(field: FieldInfo) -> Any:
    default = field.get_default(call_default_factory=True) if not field.is_required() else PydanticUndefined
    if default not in (None, PydanticUndefined):
        return default
    if field.examples:
        return field.examples[0]
    return _first_word(field)


def _first_word(field: FieldInfo) -> Any:
    """Return the first of the words that a field allows."""
    kinds: list[Any] = [field.annotation]
    while kinds:
        kind = kinds.pop(0)
        words = getattr(kind, "__args__", ())
        if words and all(isinstance(word, str) for word in words):
            return words[0]
        kinds += words
    raise AssertionError(f"{field} shows nothing")


def toml_value(value: Any) -> str:
    """Return a value as TOML writes it on one line.

    >>> toml_value({"a": ["b", 1.5, True]})
    '{a = ["b", 1.5, true]}'
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml_value(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
