"""TOML, by the standard library, or by `tomli` before Python 3.11."""

from __future__ import annotations

import importlib
import sys
from typing import Any

_tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")


class TomlError(ValueError):
    """What is wrong with a text, and where."""


def loads(text: str) -> dict[str, Any]:
    """Return what a TOML text says; raises `TomlError`."""
    try:
        document: dict[str, Any] = _tomllib.loads(text)
    except _tomllib.TOMLDecodeError as error:
        raise TomlError(str(error)) from None
    return document
