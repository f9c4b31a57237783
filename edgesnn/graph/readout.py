"""Changing how a model's scores become decisions; its weights and graph stay as they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edgesnn.errors import ModelError, UsageError
from edgesnn.graph import fields
from edgesnn.graph.document import Document


def with_readout(
    document: Document,
    *,
    temperature: float | None = None,
    rejection: float | None = None,
    early_exit: float | None = None,
    min_steps: int | None = None,
) -> Document:
    """Return the document with other numbers in its readout (docs/pipeline.md, "Decide"); None leaves one as it is.

    Args:
        temperature: divides the scores; the readout then counts as not calibrated: nothing was fitted here.
        rejection: a confidence below it is no label.
        early_exit: a window stops after the first step whose largest confidence exceeds it.
        min_steps: of an early exit: the first step that may stop a window; 1 where it was not set.

    Raises:
        ModelError: the model has no readout; an early exit of one whose states go on after a window.
        UsageError: a number out of its range, or min_steps without an early exit.

    >>> from edgesnn.graph import Builder
    >>> b = Builder(input={"kind": "spikes", "shape": [2]})
    >>> made = b.document(outputs=b.add("count", "input", name="sum"), readout={"node": "sum", "labels": ["a", "b"]})
    >>> with_readout(made, temperature=2.0, early_exit=0.9).readout["early_exit"]
    {'confidence': 0.9, 'min_steps': 1}
    """
    if all(number is None for number in (temperature, rejection, early_exit, min_steps)):
        return document
    if document.readout is None:
        hint = "import it with --labels FILE (docs/import.md)"
        raise ModelError("the model cannot decide", where=f"{document.where}, readout", found="none", hint=hint)
    readout = dict(document.readout)
    if temperature is not None:
        readout.update(temperature=_number(temperature), calibrated=False)
    if rejection is not None:
        readout["rejection"] = _number(rejection)
    readout["early_exit"] = _early_exit(readout["early_exit"], early_exit, min_steps)
    if readout["early_exit"] is not None:
        check_windows_stop(document, document.where)
    try:
        fields.check_readout(readout, document.analysis, document.outputs, document.where)
    except ModelError as error:
        raise UsageError(error.what, where="numbers asked for", found=error.found, expected=error.expected) from None
    return replace(document, readout=readout)


def check_windows_stop(document: Document, where: str) -> None:
    """Raise a ModelError where a window that stops early would leave out steps that the next one's states need."""
    for state in document.states:
        if state.reset != "window":
            raise ModelError(
                "windows of this model cannot stop early",
                where=f"{where}, readout.early_exit",
                found=f"state {state.name!r} of reset policy {state.reset!r}",
                expected="states that are reset at every window",
                hint="a state that goes on needs every step; an import with --bin, --sensor and --steps has windows",
            )


def _early_exit(before: Any, confidence: float | None, min_steps: int | None) -> Any:
    if confidence is None and min_steps is None:
        return before
    if before is None and confidence is None:
        raise UsageError("steps of no early exit", where="min_steps", found=str(min_steps), expected="an early exit")
    exit = {"min_steps": 1, **(before or {})}
    if confidence is not None:
        exit["confidence"] = _number(confidence)
    if min_steps is not None:
        exit["min_steps"] = min_steps
    return exit


def _number(value: Any) -> Any:
    """Return a whole number as a float, as the file has it; what is none is left to the checks."""
    return float(value) if type(value) is int else value
