"""Arguments of pipelines and streams: each is returned as it is used, or a UsageError names it."""

from __future__ import annotations

import operator
from typing import Any

from edgesnn.errors import ModelError, UsageError
from edgesnn.graph import fields
from edgesnn.tokens.masks import MOST_FIELD

MOST_SESSIONS = 1 << 16


def integer(value: Any, name: str, largest: int) -> int | None:
    """Return an integer of at most this absolute value, or None; UsageError names the argument."""
    try:
        number = None if value is None else operator.index(value)
    except TypeError:
        number = largest + 1
    if number is not None and abs(number) > largest:
        raise UsageError("not a usable number", where=name, found=repr(value), expected=f"an integer up to {largest}")
    return number


def checked_reset(reset: Any) -> dict[str, Any]:
    """Return a reset policy as a model file has it."""
    try:
        return fields.reset_policy(reset, "reset", "reset")
    except ModelError as error:
        raise UsageError("not a reset policy", where="reset", found=error.found, expected=error.expected) from None


def checked_key(key: Any) -> str | int | None:
    """Return what sessions are told apart by."""
    if key is None or key == "origin":
        return None if key is None else "origin"
    if type(key) is int and 0 <= key <= MOST_FIELD:
        return key
    expected = f"'origin', or the number of a field, 0 to {MOST_FIELD}"
    raise UsageError("not a key of sessions", where="key", found=repr(key), expected=expected)


def checked_count(sessions: Any) -> int:
    """Return how many sessions there may be."""
    if type(sessions) is not int or not 1 <= sessions <= MOST_SESSIONS:
        expected = f"1 to {MOST_SESSIONS}"
        raise UsageError("not a number of sessions", where="sessions", found=repr(sessions), expected=expected)
    return sessions
