"""Log records on standard error: text, the journal's priorities, or JSON, one a line."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, TextIO

from edgesnn.daemon.schema import Log

_log = logging.getLogger("edgesnn.daemon")
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


def set_up(log: Log, environment: Mapping[str, str]) -> None:
    """Send what the library logs to standard error, as the configuration says; again: as it says now."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(log.format, environment, sys.stderr))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(log.level.upper())


def catch_what_threads_raise() -> None:
    """Log what ends a thread, or goes wrong where nobody can catch it, as one line each."""

    def of_thread(found: threading.ExceptHookArgs) -> None:
        name = "?" if found.thread is None else found.thread.name
        error = found.exc_value or found.exc_type()
        _log.error("thread %s ended: this is a fault of edgesnn: please report it", name, exc_info=error)

    def of_nobody(found: Any) -> None:
        _log.error("an error that nobody catches: please report it", exc_info=found.exc_value)

    threading.excepthook = of_thread
    sys.unraisablehook = of_nobody


def _formatter(name: str, environment: Mapping[str, str], stream: TextIO) -> logging.Formatter:
    if name == "auto":
        name = "journal" if _is_journal(environment.get("JOURNAL_STREAM", ""), stream) else "text"
    return {"text": _Text, "journal": _Journal, "json": _Json}[name]()


def _is_journal(named: str, stream: TextIO) -> bool:
    """Whether this is the stream that systemd connected to the journal: JOURNAL_STREAM is its device and inode."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{status.st_dev}:{status.st_ino}"


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"edgesnn: {record.levelname.lower()}: {_line(self, record)}"


class _Journal(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"<{_PRIORITY.get(record.levelno, 5)}>{_line(self, record)}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        ts = datetime.fromtimestamp(record.created, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        fields = {"ts": ts, "level": record.levelname.lower(), "logger": record.name, "message": _line(self, record)}
        return json.dumps(fields, ensure_ascii=False)


def _line(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """Return the message and its exception on one line, without what a terminal would obey."""
    text = record.getMessage()
    if record.exc_info:
        text += " | " + formatter.formatException(record.exc_info)
    return "".join(letter if letter.isprintable() else "\\n" if letter == "\n" else "?" for letter in text)
