"""From a file to a `Config`, or to errors that name file, line, key, value, what is allowed and the nearest key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from edgesnn.daemon.places import Path, lines_of
from edgesnn.daemon.schema import Config
from edgesnn.daemon.toml import TomlError, loads
from edgesnn.errors import ConfigError
from edgesnn.events.formats.base import printable

VERSION = 1
MOST_BYTES = 1 << 20
_PLACE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)")
_SECRET = re.compile("pass|secret|credential", re.IGNORECASE)
_BARE = re.compile("[A-Za-z0-9_-]+")
_TYPES = {
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "finite_number": "a finite number",
    "int_from_float": "a whole number",
    "too_short": "at least one",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "less_than_equal": ("le", "at most"),
    "greater_than": ("gt", "more than"),
}


class WrongConfigError(ConfigError):
    """Everything that is wrong with a configuration; itself it reads as the first."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        first = errors[0]
        super().__init__(first.what, where=first.where, found=first.found, expected=first.expected, hint=first.hint)
        self.errors = tuple(errors)


@dataclass(frozen=True)
class Read:
    """A configuration, and where its keys stand.

    Attributes:
        config: checked by the schema.
        document: as it was written.
        path: of the file.
        lines: of its keys.
    """

    config: Config
    document: Mapping[str, Any]
    path: str
    lines: Mapping[Path, int]

    def where(self, path: Path) -> str:
        """Return file, line and key, for an error about it; a key that is absent stands where its table begins."""
        return where(self.path, self.lines, path)


def read(path: str) -> Read:
    """Return the configuration of a file.

    Raises:
        WrongConfigError: it cannot be read, or holds what the schema does not allow.
    """
    text = _text(path)
    try:
        document = loads(text)
    except TomlError as error:
        line = _PLACE.search(str(error))
        at = f"{printable(path)}: line {line[1] if line and line[1] else text.count(chr(10)) + 1}"
        raise WrongConfigError([ConfigError("not TOML", where=at, found=_PLACE.sub("", str(error)))]) from None
    except RecursionError:
        raise WrongConfigError(
            [ConfigError("not TOML that can be read", where=printable(path), found="too deep")]
        ) from None
    lines = lines_of(text)
    _check_version(path, lines, document)
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        raise WrongConfigError(list(_errors(path, lines, error))) from None
    made = Read(config, document, path, lines)
    _check_names(made)
    return made


def where(path: str, lines: Mapping[Path, int], key: Path) -> str:
    """Return "config.toml: line 7: stream[0].filters[1]"."""
    line = _line(lines, key)
    return f"{printable(path)}: {f'line {line}: ' if line else ''}{key_text(key)}"


def _line(lines: Mapping[Path, int], key: Path) -> int | None:
    return next((lines[key[:end]] for end in range(len(key), 0, -1) if key[:end] in lines), None)


def key_text(key: Path) -> str:
    """Return a key as messages write it.

    >>> key_text(("stream", 0, "filters", 1))
    'stream[0].filters[1]'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{_name(part)}" for part in key).removeprefix(".")


def _name(part: str) -> str:
    return part if _BARE.fullmatch(part) else repr(part)


def _text(path: str) -> str:
    try:
        with FilePath(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise WrongConfigError(
                [ConfigError("too large", where=printable(path), expected=f"at most {MOST_BYTES} bytes")]
            )
        return data.decode("utf-8")
    except (OSError, ValueError) as error:
        found = getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)
        offset = getattr(error, "start", None)
        what = "cannot read the configuration"
        raise WrongConfigError([ConfigError(what, where=printable(path), offset=offset, found=found)]) from None


def _check_version(path: str, lines: Mapping[Path, int], document: Mapping[str, Any]) -> None:
    """Refuse a newer version before its keys are held against ours."""
    version = document.get("version")
    if type(version) is int and version > VERSION:
        at, expected = where(path, lines, ("version",)), f"version {VERSION}"
        what = "a configuration that is newer than this program"
        raise WrongConfigError([ConfigError(what, where=at, found=f"version {version}", expected=expected)])


def _check_names(read: Read) -> None:
    """Refuse two streams of one name."""
    seen: dict[str, int] = {}
    for number, stream in enumerate(read.config.stream):
        if stream.name in seen:
            at = read.where(("stream", number, "name"))
            first = read.lines.get(("stream", seen[stream.name], "name"), 0)
            expected = f"a name that no other stream has; it is stream[{seen[stream.name]}]'s, line {first}"
            raise WrongConfigError(
                [ConfigError("two streams of one name", where=at, found=repr(stream.name), expected=expected)]
            )
        seen[stream.name] = number


def _errors(path: str, lines: Mapping[Path, int], error: ValidationError) -> Iterator[ConfigError]:
    """Yield an error for each key that pydantic finds wrong, in the order of the lines."""
    found: dict[Path, list[Mapping[str, Any]]] = {}
    for entry in error.errors(include_url=False):
        found.setdefault(_key(entry["loc"]), []).append(entry)
    for key in sorted(found, key=lambda key: _line(lines, key) or 0):
        yield _error(where(path, lines, key), key, found[key])


def _key(loc: Sequence[str | int]) -> Path:
    """Return the place in the file; pydantic also names the member of a union that it tried."""
    model: Any = Config
    key: list[str | int] = []
    for part in loc:
        if isinstance(part, str) and model is None:
            break
        key.append(part)
        model = model if isinstance(part, int) else _inner(model.model_fields.get(part))
    return tuple(key)


def _inner(field: FieldInfo | None) -> type[BaseModel] | None:
    """Return the table that a field holds, also in a list or where it may be absent."""
    kinds: list[Any] = [] if field is None else [field.annotation]
    while kinds:
        kind = kinds.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
        kinds += get_args(kind)
    return None


def _table(key: Path) -> type[BaseModel]:
    """Return the schema of the table that holds a key."""
    model: type[BaseModel] = Config
    for part in key[:-1]:
        model = model if isinstance(part, int) else _inner(model.model_fields.get(part)) or model
    return model


def _error(at: str, key: Path, entries: Sequence[Mapping[str, Any]]) -> ConfigError:
    entry, context = entries[0], entries[0].get("ctx", {})
    kind = entry["type"]
    found = _shown(key, entry["input"])
    if kind == "extra_forbidden":
        names = list(_table(key).model_fields)
        close = difflib.get_close_matches(str(key[-1]), names, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else None
        return ConfigError("no such key", where=at, found=found, expected=f"one of {', '.join(names)}", hint=hint)
    if kind == "missing":
        field = _table(key).model_fields[str(key[-1])]
        return ConfigError("this key is missing", where=at, expected=field.description)
    if kind == "edgesnn":
        whole = found if not isinstance(entry["input"], dict) else None
        return ConfigError(
            context["what"], where=at, found=whole, expected=context["expected"] or None, hint=context["hint"] or None
        )
    expected = " or ".join(dict.fromkeys(_expected(one) for one in entries))
    return ConfigError("not a value that this key takes", where=at, found=found, expected=expected)


def _expected(entry: Mapping[str, Any]) -> str:
    kind, context = entry["type"], entry.get("ctx", {})
    if kind in _TYPES:
        return _TYPES[kind]
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"{words} {context[name]:g}"
    if kind == "literal_error":
        return f"one of {context['expected']}"
    if kind == "string_pattern_mismatch":
        return "64 hexadecimal digits"
    return str(entry["msg"])


def _shown(key: Path, value: Any) -> str | None:
    """Return what was written, unless it may be a secret."""
    known = key[0] != "mqtt" or key[-1] in ("protocol", "no_subscriber", "ca_file", "cert_file", "qos", "client_id")
    if not known or any(isinstance(part, str) and _SECRET.search(part) for part in key):
        return None
    return printable(repr(value))[:120]
