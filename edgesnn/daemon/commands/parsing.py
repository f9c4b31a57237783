"""A command's payload, from bytes that anybody may have sent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

VERBS = ("ping", "pause", "resume", "reset", "snapshot", "set")
SCHEMA = "edgesnn.command/1"
MOST_BYTES = 16_384
LONGEST_S = 300.0
"""How far ahead a command may expire."""
_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z")
_FIELDS = {"schema", "id", "expires", "args"}


@dataclass(frozen=True)
class Command:
    """What was asked; `wrong` says why it cannot be done, "" where it can.

    `response_topic`, `correlation`: where and how MQTT 5's sender wants the answer.
    """

    verb: str
    id: str
    expires_s: float
    args: Mapping[str, Any]
    wrong: str = ""
    response_topic: str | None = None
    correlation: bytes | None = None


class NoCommandError(Exception):
    """Bytes that have no id: there is nobody to answer."""


def parse(verb: str, payload: bytes) -> Command:
    """Return the command of a payload; one that has an id is always one, with what is wrong in `wrong`.

    Raises:
        NoCommandError: it is no JSON object with an id.
    """
    record = _record(payload)
    named = record.get("id")
    if not isinstance(named, str) or not _ID.fullmatch(named):
        raise NoCommandError("no id")
    expires_s = _unix_s(record.get("expires"))
    args = record.get("args", {})
    wrong = ""
    if record.get("schema") != SCHEMA:
        wrong = f"schema is not {SCHEMA}"
    elif surplus := sorted(set(record) - _FIELDS):
        wrong = f"no such field: {surplus[0][:40]!r}"
    elif expires_s is None:
        wrong = "expires is no UTC time such as 2026-01-31T12:00:00Z"
    elif not isinstance(args, dict):
        wrong = "args is no object"
    return Command(verb, named, expires_s or 0.0, args if isinstance(args, dict) else {}, wrong)


def late(command: Command, now_s: float) -> str | None:
    """Say why a command's time is not now (Unix seconds): "expired", or that it lies too far ahead; None: it is."""
    if now_s >= command.expires_s:
        return "expired"
    if command.expires_s - now_s > LONGEST_S:
        here = datetime.fromtimestamp(now_s, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"expires lies more than {LONGEST_S:g} s ahead: it is {here} here"
    return None


def _record(payload: bytes) -> dict[str, Any]:
    if len(payload) > MOST_BYTES:
        raise NoCommandError("too large")
    try:
        record = json.loads(payload.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise NoCommandError("no JSON") from error
    if not isinstance(record, dict):
        raise NoCommandError("no JSON object")
    return record


def _refuse(_word: str) -> None:
    raise ValueError("a number that is not finite")


def _unix_s(text: Any) -> float | None:
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        return None
    form = "%Y-%m-%dT%H:%M:%S.%f%z" if "." in text else "%Y-%m-%dT%H:%M:%S%z"
    try:
        return datetime.strptime(text, form).timestamp()
    except (ValueError, OverflowError):
        return None
