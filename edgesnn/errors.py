"""The one exception tree. Every error says what, where, found against expected, and what to do next.

`EdgeSnnError` and its children are raised from Python and from the native core alike (one translator in
`native/bindings/module.cpp` maps the native kinds to these classes). Each class carries the exit code that the
command line ends with. This module imports nothing.
"""

from __future__ import annotations


class EdgeSnnError(Exception):
    """Base of all errors that a user's data, files, flags or surroundings can cause.

    Args:
        what: one clause that says what is wrong.
        where: file, topic, key or node that it concerns.
        offset: byte offset inside `where`, if there is one.
        found: what was there.
        expected: what should have been there.
        hint: what to do next.

    >>> str(EdgeSnnError("bad magic", where="a.raw", offset=0, found="'PK'", expected="'% '", hint="pass --format"))
    "a.raw: byte 0: bad magic: found 'PK', expected '% '; pass --format"
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        offset: int | None = None,
        found: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.offset = offset
        self.found = found
        self.expected = expected
        self.hint = hint
        super().__init__(what)

    def __str__(self) -> str:
        text = self.what
        if self.offset is not None:
            text = f"byte {self.offset}: {text}"
        if self.where:
            text = f"{self.where}: {text}"
        facts = [f"{name} {value}" for name, value in (("found", self.found), ("expected", self.expected)) if value]
        if facts:
            text += ": " + ", ".join(facts)
        return f"{text}; {self.hint}" if self.hint else text


class UsageError(EdgeSnnError):
    """A wrong argument or flag (exit code 2)."""

    exit_code = 2


class RecordingError(EdgeSnnError):
    """A recording, stream or event source is damaged, empty, unknown or unreadable (exit code 3)."""

    exit_code = 3


class ModelError(EdgeSnnError):
    """A model file, snapshot or model input is wrong (exit code 4)."""

    exit_code = 4


class ConfigError(EdgeSnnError):
    """A configuration is wrong (exit code 5)."""

    exit_code = 5


class PublishError(EdgeSnnError):
    """A broker cannot be reached, refuses, or a queue is full (exit code 6)."""

    exit_code = 6


class BackendError(EdgeSnnError):
    """A backend or instruction-set arm that was asked for by name cannot run (exit code 7)."""

    exit_code = 7


def unloadable(error: ImportError) -> BackendError:
    """Return what to say where the compiled module is there and cannot be loaded: the loader's words name the file."""
    return BackendError(
        "the native module is damaged, or of another processor or system",
        where="edgesnn._native",
        found=str(error),
        hint="install the package again with this Python",
    )
